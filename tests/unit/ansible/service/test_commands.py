"""The promises of packhorse_service.commands."""

from pathlib import Path
from typing import Any

import pytest
from packhorse_service import commands, kinds, state
from packhorse_service.changes import Changes
from packhorse_service.errors import ServiceError
from packhorse_service.state import Database

REQUEST = {
    "name": "shop_production_db",
    "kind": "postgresql",
    "version": None,
    "clients": ["10.0.0.5"],
    "listen": ["10.0.0.4"],
    "host": "10.0.0.4",
    "backup": {"at": "daily", "keep": 7},
}


class Server:
    """A server that keeps logins in memory; `dies`: the next change of it kills the command."""

    def __init__(self) -> None:
        self.logins: dict[str, str] = {}
        self.connections: list[str] = []
        self.dies = False

    def locate(self, database: Database) -> Database:
        return database.with_(port=5432, place="15/main")

    def apply(self, database: Database, changes: Changes) -> None:
        if self.logins != dict(database.passwords):
            changes.do("sets logins", lambda: self._set(database))

    def _set(self, database: Database) -> None:
        if self.dies:
            self.dies = False
            raise KeyboardInterrupt
        self.logins = dict(database.passwords)

    def url(self, database: Database, which: str) -> str:
        return f"postgresql://{database.login(which)}:{database.passwords[which]}@{database.host}"

    def disconnect(self, _database: Database, which: str) -> int:
        closed = [each for each in self.connections if each == which and which not in self.logins]
        self.connections = [each for each in self.connections if each not in closed]
        return len(closed)

    def describe(self, database: Database) -> dict[str, Any]:
        if self.dies:
            raise ServiceError("It does not run.", "Start it.")
        return {"version": "15.1", "size": 8_000_000, "place": database.place}

    def remove(self, database: Database, changes: Changes) -> None:
        changes.do(f"removes {database.name}", lambda: self._set(database.with_(passwords={})))


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Server:
    fake = Server()
    monkeypatch.setattr(state, "FOLDER", tmp_path / "services")
    monkeypatch.setattr(kinds, "of", lambda _database: fake)
    return fake


def test_a_second_apply_changes_nothing(server: Server) -> None:
    """And the password stays: configurations have it."""
    first = commands.apply(REQUEST)
    assert first["changed"]
    assert first["port"] == 5432
    url = commands.credentials(REQUEST)["url"]
    assert url == f"postgresql://shop_production_db__a:{server.logins['a']}@10.0.0.4"
    assert commands.apply(REQUEST) == {"changed": False, "did": [], "restart": "", "port": 5432}
    assert commands.credentials(REQUEST)["url"] == url


def test_a_server_at_a_port_that_the_firewall_keeps_closed_is_refused(server: Server) -> None:
    """A second cluster of PostgreSQL has another port: applications would get no answer, and no reason."""
    with pytest.raises(ServiceError, match=r"listens at port 5432 here, and .firewall. opens 5433 for it"):
        commands.apply({**REQUEST, "ports": "5433"})
    assert (server.logins, state.names()) == ({}, [])
    for opened in (None, "5432", "5000-6000"):
        commands.apply({**REQUEST, "ports": opened})


def test_check_mode_says_what_would_come(server: Server) -> None:
    """On a host without any of it, too."""
    answer = commands.apply({**REQUEST, "check": True})
    assert answer["did"] == ["makes a login for shop_production_db", "sets logins"]
    assert (server.logins, state.names()) == ({}, [])


def test_an_apply_that_was_killed_is_finished_by_the_next_one(server: Server) -> None:
    """What is to be true was written first."""
    server.dies = True
    with pytest.raises(KeyboardInterrupt):
        commands.apply(REQUEST)
    assert commands.apply(REQUEST)["did"] == ["sets logins"]
    assert commands.apply(REQUEST)["changed"] is False


def test_a_new_host_or_backup_is_written_down_and_keeps_the_password(server: Server) -> None:
    """A target grows."""
    commands.apply(REQUEST)
    before = dict(server.logins)
    assert commands.apply({**REQUEST, "clients": ["10.0.0.5", "10.0.0.6"]})["changed"]
    assert state.load(REQUEST["name"]).clients == ("10.0.0.5", "10.0.0.6")
    assert server.logins == before


def test_a_rotation_has_both_logins_open_until_it_is_finished(server: Server) -> None:
    """The old one serves requests while the new one comes into the configuration."""
    commands.apply(REQUEST)
    old = server.logins["a"]
    opened = commands.rotate(REQUEST)
    assert set(server.logins) == {"a", "b"}
    assert opened["login"] == "shop_production_db__a"
    assert opened["next"]["login"] == "shop_production_db__b"
    assert opened["next"]["url"] == f"postgresql://shop_production_db__b:{server.logins['b']}@10.0.0.4"
    assert commands.rotate(REQUEST) == opened  # run twice
    assert commands.apply(REQUEST)["changed"] is False  # a provision meanwhile
    server.connections = ["a", "a", "b"]
    finished = commands.rotate_finish(REQUEST)
    assert finished == {
        "changed": True,
        "login": "shop_production_db__b",
        "closed": "shop_production_db__a",
        "disconnected": 2,
    }
    assert (list(server.logins), server.connections) == (["b"], ["b"])
    assert commands.rotate_finish(REQUEST)["changed"] is False
    assert commands.credentials(REQUEST)["next"] is None
    commands.rotate(REQUEST)
    assert server.logins["a"] != old


@pytest.mark.parametrize("command", [commands.rotate, commands.rotate_finish])
def test_a_rotation_that_was_killed_is_finished_by_the_same_command(server: Server, command: Any) -> None:  # noqa: ANN401
    """Ctrl-C between the file and the server."""
    commands.apply(REQUEST)
    if command is commands.rotate_finish:
        commands.rotate(REQUEST)
    server.dies = True
    with pytest.raises(KeyboardInterrupt):
        command(REQUEST)
    command(REQUEST)
    assert dict(state.load(REQUEST["name"]).passwords) == server.logins


def test_what_is_removed_is_gone_and_a_killed_removal_is_finished(server: Server) -> None:
    """The state goes last: it says what is left to remove."""
    commands.apply(REQUEST)
    commands.close("shop_production_db")
    server.dies = True
    with pytest.raises(KeyboardInterrupt):
        commands.remove(REQUEST)
    assert state.names() == [REQUEST["name"]]
    did = ["removes shop_production_db", "forgets shop_production_db"]
    assert commands.remove(REQUEST) == {"changed": True, "did": did}
    assert (server.logins, state.names()) == ({}, [])
    assert commands.remove(REQUEST)["changed"] is False


def test_what_is_open_is_not_removed(server: Server) -> None:
    """Somebody has provisioned it again since its last backup, which has nothing of what was written then."""
    commands.apply(REQUEST)
    with pytest.raises(ServiceError, match="would be lost"):
        commands.remove(REQUEST)
    server.connections = ["a", "b", "s"]
    commands.close("shop_production_db")
    assert (server.logins, server.connections) == ({}, [])
    assert commands.list_({})["services"][0]["closed"] is True
    commands.apply(REQUEST)
    assert commands.list_({})["services"][0]["closed"] is False
    assert list(server.logins) == ["a"]
    with pytest.raises(ServiceError, match="would be lost"):
        commands.remove(REQUEST)


@pytest.mark.parametrize("command", [commands.credentials, commands.rotate, commands.rotate_finish])
def test_a_closed_database_gives_no_login(server: Server, command: Any) -> None:  # noqa: ANN401
    """Its removal has begun; provisioning opens it again, with another password."""
    commands.apply(REQUEST)
    before = server.logins["a"]
    commands.rotate(REQUEST)
    commands.rotate_finish(REQUEST)
    commands.close("shop_production_db")
    with pytest.raises(ServiceError, match="is closed: its removal has begun"):
        command(REQUEST)
    assert server.logins == {}
    commands.apply(REQUEST)
    assert before not in commands.credentials(REQUEST)["url"]


def test_the_list_has_no_passwords_and_says_what_does_not_answer(server: Server) -> None:
    """It is printed."""
    assert commands.list_({}) == {"services": []}
    commands.apply(REQUEST)
    found = commands.list_({})
    assert server.logins["a"] not in str(found)
    assert (found["services"][0]["service"], found["services"][0]["size"]) == ("db", 8_000_000)
    server.dies = True
    assert commands.list_({})["services"][0]["error"] == "It does not run."


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": 'a_b_c"; DROP'},
        {"kind": "oracle"},
        {"version": 15},
        {"clients": None},
        {"clients": ["all"]},
        {"host": "db1"},
        {"backup": []},
    ],
)
def test_a_request_that_is_none_of_ours_is_refused(server: Server, wrong: dict[str, object]) -> None:
    """Before anything is written."""
    with pytest.raises(ServiceError):
        commands.apply({**REQUEST, **wrong})
    assert (server.logins, state.names()) == ({}, [])


def test_a_database_does_not_change_its_kind(server: Server) -> None:
    """Its data would be left behind."""
    commands.apply(REQUEST)
    with pytest.raises(ServiceError, match=r"is postgresql on this host, and redis in release\.toml"):
        commands.apply({**REQUEST, "kind": "redis"})
    assert server.logins


def test_nobody_has_brought_it_yet(server: Server) -> None:
    """The next command is named."""
    with pytest.raises(ServiceError) as caught:
        commands.credentials(REQUEST)
    assert caught.value.hint == "Bring it: release provision"
    assert server.logins == {}
