"""The promises of release.config.target.target."""

from pathlib import Path

import pytest

from release.config import release_toml
from release.config.release_toml import ReleaseConfig


def load(folder: Path, text: str = "") -> ReleaseConfig:
    """The settings of a release.toml in `folder`."""
    folder.joinpath("release.toml").write_text(f'app = "shop"\n{text}')
    return release_toml.load(folder)


def test_a_declared_local_target_keeps_the_address_it_does_not_mention(tmp_path: Path) -> None:
    """Adding one variable must not move the application to another address."""
    local = load(tmp_path, '[targets.local.env]\nA = "1"\n').target("local")
    assert local.env == {"A": "1"}
    assert local.bind == "127.0.0.1:8000"


def test_a_socket_and_ipv6_are_addresses_too(tmp_path: Path) -> None:
    """nginx in front wants a socket; IPv6 hosts carry brackets in text and none in a call."""
    text = '[targets.a]\nbind = "unix"\n[targets.b]\nbind = "[::1]:80"\n'
    loaded = load(tmp_path, text)
    assert loaded.target("a").address is None
    assert loaded.target("b").address == ("::1", 80)


@pytest.mark.parametrize(
    ("batch", "hosts", "expected"),
    [("2", 9, 2), ('"25%"', 3, 1), ('"25%"', 8, 2), ('"25%"', 11, 2), ('"100%"', 7, 7)],
)
def test_a_batch_is_a_number_of_hosts_or_a_part_of_them(
    tmp_path: Path, batch: str, hosts: int, expected: int
) -> None:
    """Rounded down: a batch is what may be broken at once. Never 0, or nothing would go on."""
    names = ", ".join(f'"web{number}"' for number in range(hosts))
    text = f"[targets.a]\nhosts = [{names}]\nbatch = {batch}\n"
    assert load(tmp_path, text).target("a").batch_size == expected
