"""The promises of release.provision.index_tokens."""

from pathlib import Path

import pytest

from release import reading
from release.config.release_toml import ReleaseConfig
from release.config.servers.mirror import MirrorServers
from release.config.servers.services import Service
from release.config.target.target import Target
from release.provision import index_tokens

COMPANY, FIRST = "https://pypi.example.com/company/prod", "https://first.example.com/root/prod"


class Reader:
    """Of an index that asks for a login."""

    def __init__(self, index: str) -> None:
        self._index = index

    def token(self) -> str | None:
        return f"token for {self._index}"


@pytest.fixture(autouse=True)
def _protected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "of", lambda indexes, _home, _seconds: Reader(*indexes))


def config(first: str | None) -> ReleaseConfig:
    return ReleaseConfig(
        app="shop",
        index=COMPANY,
        mirror=MirrorServers(hosts=["pypi1"], index_url=first),
        services={"db": Service(kind="postgresql", hosts=["db1"])},
        targets={"production": Target(hosts=["web1"], services=["db"])},
    )


@pytest.mark.parametrize(
    ("target", "first", "expected"),
    [
        ("production", f"{FIRST}/+simple/", {f"{COMPANY}/+simple/": f"token for {COMPANY}"}),
        ("mirror", f"{FIRST}/+simple/", {f"{FIRST}/+simple/": f"token for {FIRST}"}),
        ("mirror", f"{FIRST}/+simple", {f"{FIRST}/+simple": f"token for {FIRST}"}),
        ("mirror", None, {f"{COMPANY}/+simple/": f"token for {COMPANY}"}),
        ("mirror", "https://first.example.com/simple/", {}),
        ("db", None, {}),
    ],
)
def test_a_token_is_for_the_index_that_the_hosts_install_from(
    target: str, first: str | None, expected: dict[str, str], tmp_path: Path
) -> None:
    """By the address that the role asks for: no other server gets it. What is no devpi makes none."""
    assert index_tokens.of(config(first), target, tmp_path) == expected
