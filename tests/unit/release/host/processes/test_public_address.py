"""The promises of release.host.processes.public_address that need no server."""

from pathlib import Path

import pytest

from packhorse.errors import PackhorseError
from release.host.disk import releases
from release.host.disk.layout import Layout
from release.host.processes import circus_ini, health, public_address
from tests.support.release_folders import FakeSupervisor, a_layout, add_release

PORT = ("127.0.0.1", 8000)


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return a_layout(tmp_path)


def test_only_a_listener_of_its_own_is_forwarded(layout: Layout) -> None:
    """On servers nginx connects to the unix socket: no program of ours is in between."""
    public_address.configure(layout, None, FakeSupervisor(layout))
    assert not layout.forward.exists()
    public_address.configure(layout, PORT, FakeSupervisor(layout))
    assert circus_ini.bind_of(layout.circus_ini.read_text()) == PORT
    assert "asyncio" in layout.forward.read_text()


def test_a_circusd_that_an_earlier_version_started_goes_on(layout: Layout) -> None:
    """Its listener had another name, and its program lay elsewhere: that is no other address."""
    text = circus_ini.circus_text(layout, PORT).replace("forward", "front")
    layout.circus_ini.write_text(text)
    public_address.configure(layout, PORT, FakeSupervisor(layout, alive=True))
    assert layout.circus_ini.read_text() == text


def test_a_running_circusd_keeps_its_listeners(layout: Layout) -> None:
    """It reads circus.ini at its start only; the same again changes nothing."""
    circus = FakeSupervisor(layout, alive=True)
    public_address.configure(layout, PORT, circus)
    public_address.configure(layout, PORT, circus)
    with pytest.raises(
        PackhorseError, match=r"cannot move from http://127\.0\.0\.1:8000 to http://127\.0\.0\.1:9000"
    ):
        public_address.configure(layout, ("127.0.0.1", 9000), circus)
    assert circus_ini.bind_of(layout.circus_ini.read_text()) == PORT
    circus.alive = False
    public_address.configure(layout, ("127.0.0.1", 9000), circus)
    assert circus_ini.bind_of(layout.circus_ini.read_text()) == ("127.0.0.1", 9000)


def test_a_release_that_serves_nobody_in_public_is_named(
    layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was healthy on its own socket: the way to it is broken."""
    add_release(layout, 1)
    public_address.configure(layout, None, FakeSupervisor(layout))
    answers = iter(
        [
            health.ProbeResult(healthy=False, text="502 Bad Gateway: "),
            health.ProbeResult(healthy=True, text=""),
        ]
    )
    monkeypatch.setattr(health, "probe", lambda *_: next(answers))
    public_address.verify(layout, 1)
    monkeypatch.setattr(health, "probe", lambda *_: health.ProbeResult(healthy=False, text="500: no"))
    monkeypatch.setattr(public_address, "VERIFY_TIMEOUT", 0)
    with pytest.raises(
        PackhorseError, match=r"shop 1\.0 is healthy on its own socket, but not at the public"
    ):
        public_address.verify(layout, 1)


@pytest.mark.parametrize(
    ("bind", "address", "text"),
    [
        (PORT, PORT, "http://127.0.0.1:8000"),
        (("0.0.0.0", 80), ("127.0.0.1", 80), "http://0.0.0.0:80"),
        (("::", 80), ("::1", 80), "http://[::]:80"),
    ],
)
def test_an_address_is_for_probes_and_for_people(
    layout: Layout, bind: tuple[str, int], address: tuple[str, int], text: str
) -> None:
    """Nobody can connect to a wildcard."""
    add_release(layout, 1)
    public_address.configure(layout, bind, FakeSupervisor(layout))
    assert public_address.address(layout, 1) == address
    assert public_address.address_text(layout, bind) == text
    assert public_address.as_result(layout, 1)["url"] == text
    assert public_address.address_text(layout, None) == str(layout.web)


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("server {\n    server_name shop.example.com www.example.com;\n}\n", "http://shop.example.com/"),
        ("    server_name *.example.com example.com;\n    ssl_certificate /a.pem;\n", "https://example.com/"),
        ("    server_name [2001:db8::7];\n", "http://[2001:db8::7]/"),
        ("", None),
    ],
)
def test_the_vhost_says_at_which_url_users_come(text: str, url: str | None) -> None:
    """It is what nginx serves, whatever release.toml has said since."""
    assert public_address.vhost_url(text) == url


def test_a_result_without_a_release_says_that_nothing_serves(layout: Layout) -> None:
    """The first deploy of all failed, and was taken back."""
    releases.switch(layout, None)
    assert public_address.as_result(layout, None) == {
        **dict.fromkeys(("release", "project", "version", "url", "maintenance")),
        "app": "shop",
    }
