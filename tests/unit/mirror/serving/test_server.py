"""mirror.serving.server: what is looked at before devpi-server is started."""

from pathlib import Path
from typing import Any

import pytest

from mirror import config as configuration
from mirror.config import MirrorConfig, Upstream
from mirror.monitoring.settings import Webhook
from mirror.serving import server
from mirror.state import Folder
from packhorse.errors import PackhorseError


def test_serving_without_data_says_how_to_make_it(tmp_path: Path) -> None:
    """The first thing that somebody tries."""
    with pytest.raises(PackhorseError, match="no mirror in") as caught:
        server.check(MirrorConfig(), Folder(tmp_path))
    assert "mirror init" in caught.value.hint


def test_a_secret_of_the_environment_is_looked_at_before_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`mirror init` does not know the environment of the server, `mirror serve` has it."""
    Folder(tmp_path).server.mkdir(parents=True)
    hook = Webhook(url="https://chat.example.com", secret_variable="HOOK")
    config = MirrorConfig(webhooks=(hook,), port=1, host="192.0.2.1", allow_http=True)
    server.check_secrets(config)
    with pytest.raises(PackhorseError, match=r"the secret in \$HOOK is missing"):
        server.check(config, Folder(tmp_path))
    monkeypatch.setenv("HOOK", "k" * 24)
    with pytest.raises(PackhorseError, match="Cannot listen"):
        server.check(config, Folder(tmp_path))


@pytest.mark.parametrize(
    "settings",
    [
        {"host": "0.0.0.0"},
        {"host": "::"},
        {"host": "packages.example.com"},
        {"upstream": Upstream(url="http://packages.example.com/simple/")},
    ],
)
def test_plain_http_over_a_network_is_refused_unless_it_is_allowed(
    tmp_path: Path, settings: dict[str, Any]
) -> None:
    """Passwords of uploads, and the packages that everybody installs, would be for all on the way."""
    folder = Folder(tmp_path)
    folder.server.mkdir(parents=True)
    with pytest.raises(PackhorseError, match="clear text") as refused:
        server.check(MirrorConfig(port=1, **settings), folder)
    assert "allow_http = true" in refused.value.hint
    configuration.require_tls(MirrorConfig(allow_http=True, **settings), "host", "http://0.0.0.0")
