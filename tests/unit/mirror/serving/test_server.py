"""mirror.serving.server: what devpi-server is started with."""

from pathlib import Path
from typing import Any

import pytest

from mirror import config as configuration
from mirror.config import MirrorConfig, Upstream
from mirror.monitoring.settings import Webhook
from mirror.serving import server
from mirror.state import Folder
from packhorse.errors import PackhorseError

FOLDER = Folder(Path("/state"))


def _options(config: MirrorConfig) -> dict[str, str]:
    """--name -> value, of everything after the interpreter and the module."""
    arguments = server.command(config, FOLDER)[3:]
    return dict(zip(arguments[::2], arguments[1::2], strict=True))


def test_strangers_cannot_create_users_and_a_slow_upstream_gets_its_time() -> None:
    """devpi's own defaults: anybody may, and 5 seconds."""
    options = _options(MirrorConfig(request_timeout=44))
    assert options["--restrict-modify"] == "root"
    assert options["--request-timeout"] == "44"


def test_the_settings_of_mirror_toml_reach_devpi() -> None:
    """Each one that is for the server."""
    config = MirrorConfig(host="::1", port=4000, threads=7, outside_url="https://packages.example.com")
    options = _options(config)
    assert {
        key: options[key] for key in ("--serverdir", "--host", "--port", "--threads", "--outside-url")
    } == {
        "--serverdir": "/state/mirror/server",
        "--host": "::1",
        "--port": "4000",
        "--threads": "7",
        "--outside-url": "https://packages.example.com",
    }
    assert "--outside-url" not in _options(MirrorConfig())


def test_logins_outlive_a_restart_and_the_key_costs_no_gigabyte() -> None:
    """Without --secretfile every restart logs everybody out; see the reason beside _CHEAP_KEY."""
    options = _options(MirrorConfig())
    assert options["--secretfile"] == "/state/mirror/secret"
    assert int(options["--argon2-memory-cost"]) <= 8192


def test_a_choice_of_certificates_is_respected() -> None:
    """devpi looks at these two itself."""
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        assert server.environment({name: "/chosen.pem"})["REQUESTS_CA_BUNDLE"] == "/chosen.pem"


def test_without_a_choice_devpi_gets_the_certificates_of_the_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The authority of a company is installed there, and not in the list that devpi brings along."""
    bundle = tmp_path / "ca.pem"
    bundle.touch()
    monkeypatch.setenv("SSL_CERT_FILE", str(bundle))
    assert server.environment({"LANG": "C"})["REQUESTS_CA_BUNDLE"] == str(bundle)


def test_a_machine_without_certificates_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A path to nowhere would be worse than devpi's own list."""
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "missing.pem"))
    assert "REQUESTS_CA_BUNDLE" not in server.environment({"LANG": "C"})


def test_memory_that_threads_are_done_with_is_shared() -> None:
    """glibc gives each thread a pool of its own: 450 MB instead of 290 after a hundred large pages."""
    assert server.environment({"LANG": "C"})["MALLOC_ARENA_MAX"] == "2"
    assert server.environment({"MALLOC_ARENA_MAX": "8"})["MALLOC_ARENA_MAX"] == "8"


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


def test_uploads_are_checked_unless_mirror_toml_says_otherwise() -> None:
    """Checked by default."""
    assert "--skip-upload-checks" not in server.command(MirrorConfig(), FOLDER)
    assert "--skip-upload-checks" in server.command(MirrorConfig(check_uploads=False), FOLDER)


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
