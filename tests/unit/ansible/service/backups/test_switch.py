"""A restore that is killed while it switches: seen at once, and finished by the next command."""

import json
import re
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, Any

import pytest
from packhorse_service import state
from packhorse_service.backups import commands, engines, mariadb, processes, redis
from packhorse_service.errors import ServiceError
from packhorse_service.state import Database

NAME = "shop_production_db"
ACCOUNT = f"'{NAME}__a'@'10.0.0.5'"
SHOP = Database(NAME, "mariadb", clients=("10.0.0.5",), passwords={"a": "x"})
NEW = {"tables": ["t"], "objects": {"view": "new"}}
OLD = {"tables": ["t", "u"], "objects": {"view": "old", "trigger": "old"}}


class KilledError(BaseException):
    """SIGKILL: what runs after it, as `finally` does here, reaches no server."""


class Kill:
    """Lets `steps` steps be done, and none from then on."""

    def __init__(self, steps: int) -> None:
        self.steps = steps

    def step(self) -> None:
        self.steps -= 1
        if self.steps < 0:
            raise KilledError


class Server:
    """MariaDB, as far as a switch asks it."""

    def __init__(self) -> None:
        self.databases: dict[str, Any] = json.loads(json.dumps({NAME: OLD, f"{NAME}__n": NEW}))
        self.locked: set[str] = set()
        self.kill = Kill(0)

    def administer(self, sql: str) -> str:
        self.kill.step()
        name = found[1] if (found := re.search(r"= '(\w+)'", sql)) else ""
        if sql.startswith("SELECT concat(quote"):
            return "" if self.locked else ACCOUNT
        if sql.startswith("SELECT concat(table_type"):
            tables = self.databases.get(name, {"tables": []})["tables"]
            return "\n".join(f"BASE TABLE\t{table.encode().hex()}" for table in tables)
        if found := re.match(r"SELECT hex\((view|trigger|table)_name\)", sql):
            kind = {"table": "view"}.get(found[1], found[1])
            has = kind in self.databases.get(name, {"objects": {}})["objects"]
            return kind.encode().hex() if has else ""
        if sql.startswith("SELECT 1 "):
            return "1" if name in self.databases else ""
        if sql.startswith("SELECT default_character_set_name"):
            return "utf8mb4\tutf8mb4_general_ci"
        self._change(sql)
        return ""

    def _change(self, sql: str) -> None:
        if found := re.match(r"ALTER USER (\S+@'10\S+) ACCOUNT (UN)?LOCK", sql):
            self.locked = set() if found[2] else {found[1]}
        if found := re.match(r"DROP (VIEW|TRIGGER) IF EXISTS `(\w+)`\.`(\w+)`", sql):
            del self.databases[found[2]]["objects"][found[3]]
        if found := re.match(r"CREATE DATABASE IF NOT EXISTS `(\w+)`", sql):
            self.databases.setdefault(found[1], {"tables": [], "objects": {}})
        for source, table, to in re.findall(r"`(\w+)`\.`(\w+)` TO `(\w+)`", sql):
            self.databases[source]["tables"].remove(table)
            self.databases[to]["tables"].append(table)
        if found := re.match(r"DROP DATABASE IF EXISTS `(\w+)`", sql):
            self.databases.pop(found[1], None)

    def dump(self, command: Sequence[str], write: Callable[[bytes], object], **_: object) -> None:
        self.kill.step()
        write(json.dumps(self.databases[command[-1]]["objects"]).encode())

    def feed(self, _client: object, name: str, lines: IO[bytes]) -> None:
        for kind, text in json.loads(lines.read()).items():
            self.kill.step()
            assert kind not in self.databases[name]["objects"], "it is there already"
            self.databases[name]["objects"][kind] = text


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Server:
    fake = Server()
    monkeypatch.setattr(state, "FOLDER", tmp_path / "services")
    monkeypatch.setattr(mariadb, "STATE", tmp_path / "state")
    monkeypatch.setattr(mariadb.MariaDB, "administer", lambda _self, sql: fake.administer(sql))
    monkeypatch.setattr(mariadb, "_feed", fake.feed)
    monkeypatch.setattr(processes, "pump", fake.dump)
    state.save(SHOP)
    return fake


@pytest.mark.parametrize("steps", range(50))
def test_a_switch_of_mariadb_is_finished_after_a_kill_at_any_step(server: Server, steps: int) -> None:
    """As soon as a login is closed, `list` says it; at the end both databases have all of their objects."""
    server.kill = Kill(steps)
    try:
        engines.of(SHOP).switch()
        assert steps > 30
    except KilledError:
        assert not server.locked or state.switching(NAME).exists()
    server.kill = Kill(1000)
    if state.switching(NAME).exists():
        with pytest.raises(ServiceError, match="was interrupted"):
            state.refuse_interrupted(SHOP)
        commands._finish(SHOP)
    elif f"{NAME}__n" in server.databases:
        engines.of(SHOP).switch()
    assert server.databases == {NAME: NEW, f"{NAME}__o": OLD}
    assert (server.locked, state.switching(NAME).exists()) == (set(), False)


def test_a_switch_of_mariadb_that_fails_early_is_undone(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The application gets in again, to what it had."""

    def fail(*_: object, **__: object) -> None:
        raise processes.BackupError("mariadb-dump failed")

    monkeypatch.setattr(processes, "pump", fail)
    server.kill = Kill(1000)
    with pytest.raises(processes.BackupError):
        engines.of(SHOP).switch()
    assert server.databases[NAME] == OLD
    assert (server.locked, state.switching(NAME).exists()) == (set(), False)


@pytest.fixture
def instance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> redis.Redis:
    folder = tmp_path / "data"
    for place, text in ((folder, "old"), (folder / f"{NAME}__n", "new")):
        (place / f"{NAME}.aof").mkdir(parents=True)
        (place / f"{NAME}.rdb").write_text(text)
        (place / f"{NAME}.aof/1").write_text(text)
    monkeypatch.setattr(state, "FOLDER", tmp_path / "services")
    return redis.Redis(Database(NAME, "redis", place=f"redis-server@{NAME}"), str(folder))


@pytest.mark.parametrize("steps", range(9))
def test_a_switch_of_redis_is_finished_after_a_kill_at_any_step(
    instance: redis.Redis, monkeypatch: pytest.MonkeyPatch, steps: int
) -> None:
    """Between two files, too."""
    kill, running = Kill(steps), [True]

    def run(command: Sequence[str], *_: object, **__: object) -> str:
        kill.step()
        if command[0] == "systemctl":
            running[0] = command[1] == "start"
        else:
            counted = (
                f'n=0\nmv() {{ n=$((n + 1)); [ $n -le {kill.steps} ] || kill -9 $$; command mv "$@"; }}\n'
            )
            done = subprocess.run(["/bin/sh", "-c", counted + command[2], *command[3:]], check=False)
            if done.returncode:
                raise KilledError
            kill.steps -= 4
        return ""

    monkeypatch.setattr(processes, "run", run)
    try:
        instance.switch()
    except KilledError:
        assert running[0] or state.switching(NAME).exists()
    kill.steps = 1000
    instance.switch()
    folder = Path(instance.folder)
    for place, text in ((folder, "new"), (folder / f"{NAME}__o", "old")):
        assert (place / f"{NAME}.rdb").read_text() == text
        assert (place / f"{NAME}.aof/1").read_text() == text
    assert (running[0], state.switching(NAME).exists()) == (True, False)
