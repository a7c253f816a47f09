"""The promises of release.config.mirror_servers and of the table provision."""

import pytest
from pydantic import ValidationError

from release.config.mirror_servers import MirrorServers
from release.config.targets import Provision


@pytest.mark.parametrize(
    "wrong",
    [
        {"static": {"media": "/srv"}},
        {"static": {"/media/": "srv"}},
        {"static": {"/media/ { }": "/srv"}},
        {"static": {"/media/": "/srv; }"}},
        {"max_body": "10m; }"},
        {"memory_max": "1G\nUser=root"},
        {"cpu_quota": "all"},
        {"authorized_keys": ["command=/bin/sh"]},
        {"authorized_keys": ["ssh-ed25519 AAAA a\nssh-ed25519 AAAA b"]},
        {"writable": ["/srv/a b"]},
    ],
)
def test_what_would_end_up_as_something_else_in_a_servers_files_is_refused(wrong: dict[str, object]) -> None:
    """Values become lines of nginx's and systemd's configuration."""
    with pytest.raises(ValidationError):
        Provision(**wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "wrong",
    [
        {"hosts": []},
        {"hosts": ["-oProxyCommand=x"]},
        {"settings": "/etc/passwd"},
        {"settings": "../mirror.toml"},
        {"index_url": "https://user:secret@example.com/"},
        {"version": "1 --index-url=http://example.com"},
        {"backup_at": "daily\nUser=root"},
        {"keep_backups": 0},
    ],
)
def test_the_same_for_the_mirror(wrong: dict[str, object]) -> None:
    """A password in release.toml would be in the repository besides."""
    with pytest.raises(ValidationError):
        MirrorServers(**{"hosts": ["pypi.example.com"], **wrong})  # type: ignore[arg-type]
