"""Shrinking a database of devpi's: what it holds stays, whenever it is stopped."""

import os
import shutil
import signal
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from devpi_server.fileutil import loads

from mirror.upkeep import shrink
from packhorse.errors import PackhorseError
from tests.support.devpi_database import index_of, open_database, upload

State = dict[str, tuple[str, object]]
KILLS = 12


def quiet(text: str, total: int) -> AbstractContextManager[Callable[[], None]]:  # noqa: ARG001 (as console.progress)
    return nullcontext(lambda: None)


def state(server: Path) -> State:
    """Each key and its value; a deleted one has None."""
    with closing(sqlite3.connect(server / shrink.NAME)) as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        found = {}
        for key, name, serial in database.execute("SELECT key, keyname, serial FROM kv"):
            query = "SELECT data FROM changelog WHERE serial = ?"
            (data,) = database.execute(query, (serial,)).fetchone()
            found[key] = (name, loads(data)[0][key][2])
        return found


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A server folder in which a list was stored often, as before there were parts, and a version deleted."""
    server = tmp_path_factory.mktemp("shrink") / "server"
    xom = open_database(server)
    for number in range(8):
        upload(xom, f"1.{number}")
    for number in range(40):
        with xom.keyfs.write_transaction():
            key = index_of(xom).key_projsimplelinks("large")
            key.set({"links": [f"{number} {line}" for line in range(2000)]})
    with xom.keyfs.write_transaction():
        index_of(xom).del_versiondata("demo", "1.3")
    upload(xom, "2.0")
    (server / shrink.EVENTS).write_text(str(xom.keyfs.get_current_serial() + 1))
    return server


@pytest.fixture
def server(filled: Path, tmp_path: Path) -> Path:
    """A copy to shrink."""
    return Path(shutil.copytree(filled, tmp_path / "server"))


def size(server: Path) -> int:
    return (server / shrink.NAME).stat().st_size


def test_all_values_stay_and_the_file_is_smaller(server: Path) -> None:
    """Forty lists of two thousand lines were stored, of which one counts."""
    before, was = state(server), size(server)
    done = shrink.run(server, quiet, dry=False)
    assert state(server) == before
    assert (done.before, done.after) == (was, size(server))
    assert done.after < was / 5
    assert done.values > 40


def test_a_dry_run_says_about_what_a_run_frees_and_changes_nothing(server: Path) -> None:
    """Pages of the database are freed as a whole."""
    content = (server / shrink.NAME).read_bytes()
    planned = shrink.run(server, quiet, dry=True)
    assert (server / shrink.NAME).read_bytes() == content
    done = shrink.run(server, quiet, dry=False)
    assert planned.values == done.values
    assert planned.freed == pytest.approx(done.freed, rel=0.1)


def test_a_dry_run_counts_the_log_that_a_server_at_work_has_beside_its_database(server: Path) -> None:
    """It is empty after a run."""
    with closing(sqlite3.connect(server / shrink.NAME)) as other:
        other.execute("PRAGMA journal_mode = WAL")
        other.execute("CREATE TABLE more AS SELECT data FROM changelog")
        other.execute("DROP TABLE more")
        log = (server / f"{shrink.NAME}-wal").stat().st_size
        planned = shrink.run(server, quiet, dry=True)
        done = shrink.run(server, quiet, dry=False)
    assert log > 1_000_000
    assert planned.freed == pytest.approx(done.freed, rel=0.05)


def test_a_second_run_while_one_is_at_work_is_refused(server: Path) -> None:
    """Both would write the same entries, and the second one's VACUUM waits for nobody."""
    refused = []

    @contextmanager
    def progress(_: str, __: int) -> Iterator[Callable[[], None]]:
        with pytest.raises(PackhorseError) as caught:
            shrink.run(server, quiet, dry=False)
        refused.append(caught.value.message)
        assert shrink.run(server, quiet, dry=True).values, "who only counts is not in the way"
        yield lambda: None

    assert shrink.run(server, progress, dry=False).values
    assert refused == [f"Another `mirror shrink` is at work in {server}."]
    shrink.run(server, quiet, dry=False)


def test_a_second_run_finds_nothing(server: Path) -> None:
    """What was done needs not be done again."""
    shrink.run(server, quiet, dry=False)
    done = shrink.run(server, quiet, dry=False)
    assert (done.values, done.freed) == (0, 0)


def test_what_the_last_transaction_replaced_stays_and_what_plugins_have_not_heard_of(server: Path) -> None:
    """devpi reads the first when it starts, and tells its plugins of the second, with what was before."""
    (server / shrink.EVENTS).write_text("20")
    shrink.run(server, quiet, dry=False)
    with closing(sqlite3.connect(server / shrink.NAME)) as database:
        entries = dict(database.execute("SELECT serial, data FROM changelog"))
    first = {serial for serial, data in entries.items() if loads(data)[0]}
    assert first >= set(range(19, max(entries) + 1))
    assert set(entries) == set(range(max(entries) + 1))


def test_a_kill_at_any_time_leaves_all_values_and_the_next_run_goes_on(server: Path, tmp_path: Path) -> None:
    """Twelve times, spread over all of it, also inside of SQLite's own work."""
    before = state(server)
    ticks = _ticks(Path(shutil.copytree(server, tmp_path / "counted")), 0)
    assert ticks > KILLS
    for number in range(KILLS):
        copy = Path(shutil.copytree(server, tmp_path / f"killed{number}"))
        _ticks(copy, 1 + number * ticks // KILLS)
        assert state(copy) == before
        shrink.run(copy, quiet, dry=False)
        assert state(copy) == before
        assert size(copy) < size(server) / 5


def _ticks(server: Path, kill_at: int) -> int:
    """Shrink in a process that kills itself at this call of SQLite's progress handler; how many came."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        count = 0

        def tick() -> None:
            nonlocal count
            count += 1
            if count == kill_at:
                os.kill(os.getpid(), signal.SIGKILL)

        def connect(*path: Any, **options: Any) -> sqlite3.Connection:  # noqa: ANN401 (sqlite3's)
            database: sqlite3.Connection = sqlite3.connect(*path, **options)
            database.set_progress_handler(tick, 50)
            return database

        setattr(shrink, "sqlite3", SimpleNamespace(**{**vars(sqlite3), "connect": connect}))  # noqa: B010 (mypy)
        shrink.run(server, quiet, dry=False)
        os.write(writing, str(count).encode())
        os._exit(0)
    os.close(writing)
    _, status = os.waitpid(child, 0)
    with os.fdopen(reading) as pipe:
        counted = pipe.read()
    assert os.WIFSIGNALED(status) == bool(kill_at)
    return int(counted or 0)


def test_a_disk_without_room_is_said_before_the_copy_and_nothing_is_lost(
    server: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite writes the database anew; what was dropped is free for what comes."""
    before = state(server)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=1))
    with pytest.raises(PackhorseError, match="Nothing is lost"):
        shrink.run(server, quiet, dry=False)
    assert state(server) == before


def test_who_reads_meanwhile_goes_on(server: Path) -> None:
    """Only the last step needs the database for itself, and waits for readers no longer than a minute."""
    with closing(sqlite3.connect(server / shrink.NAME)) as reader:
        reader.execute("PRAGMA journal_mode=WAL")
        rows = reader.execute("SELECT serial FROM changelog").fetchall()
        shrink.run(server, quiet, dry=False)
        assert reader.execute("SELECT serial FROM changelog").fetchall() == rows


def test_no_database_and_a_broken_one_are_told_in_words(tmp_path: Path) -> None:
    """Two lines, no traceback."""
    with pytest.raises(PackhorseError, match="There is no database"):
        shrink.run(tmp_path, quiet, dry=False)
    (tmp_path / shrink.NAME).write_bytes(b"no database at all" * 100)
    with pytest.raises(PackhorseError, match="not a database"):
        shrink.run(tmp_path, quiet, dry=False)


def test_a_transaction_that_cannot_be_read_is_told_in_words(server: Path) -> None:
    """Nothing of it may be taken for replaced."""
    with closing(sqlite3.connect(server / shrink.NAME)) as database, database:
        database.execute("UPDATE changelog SET data = ? WHERE serial = 5", (b"broken",))
    with pytest.raises(PackhorseError, match="damaged"):
        shrink.run(server, quiet, dry=False)
