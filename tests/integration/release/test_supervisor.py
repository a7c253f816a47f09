"""The supervisor program with a real circus: what processes write, and what is recorded of them."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import psutil
import pytest

from release.host.disk.layout import Layout
from release.host.formats import log_line
from release.host.processes import circus_ini
from release.host.processes.circusd import Circus
from release.host.runtime import supervisor
from tests.support.servers import short_home, wait_until

APP = """
import fcntl, os, pathlib, sys, time
what = sys.argv[1]
if what == "crash" and not pathlib.Path("crashed").exists():
    pathlib.Path("crashed").touch()
    while not pathlib.Path("go").exists():
        time.sleep(0.01)
    fcntl.fcntl(1, fcntl.F_SETPIPE_SZ, 2**20)
    os.write(1, b"x" * 300_000 + b"\\nKeyError: 'DATABASE_URL'")
    os._exit(3)
print(what, "runs", flush=True)
time.sleep(600)
"""


@pytest.fixture
def layout() -> Iterator[Layout]:
    """An application's folder, whose watchers run APP."""
    with short_home() as home:
        place = Layout("tiny", home, home / "run")
        for folder in (place.watchers, place.logs, place.sockets):
            folder.mkdir(parents=True)
        (place.folder / "app.py").write_text(APP)
        place.circus_ini.write_text(circus_ini.circus_text(place, None))
        with subprocess.Popen(
            [sys.executable, "-I", supervisor.__file__, place.circus_ini], cwd=place.folder
        ) as circusd:
            wait_until("circusd", Circus(place).running)
            yield place
            circusd.send_signal(signal.SIGTERM)


def run(layout: Layout, process: str, processes: int = 1) -> None:
    """Let it run so many processes."""
    name = f"{process}.1"
    layout.watcher_ini(name).write_text(
        f"[watcher:{name}]\ncmd = {sys.executable} app.py {process}\nnumprocesses = {processes}\n"
        f"stdout_stream.class = FileStream\nstdout_stream.filename = {layout.log(name)}\n"
    )
    Circus(layout).reload()


def texts(layout: Layout, process: str) -> list[str]:
    log = layout.log(f"{process}.1")
    return [log_line.text_of(line) for line in log.read_text().splitlines()] if log.exists() else []


def events(layout: Layout, process: str) -> list[dict[str, Any]]:
    entries = map(json.loads, (layout.logs / "processes.jsonl").read_text().splitlines())
    return [entry for entry in entries if entry["watcher"] == f"{process}.1"]


def test_the_last_words_of_a_process_that_crashed_are_in_the_log(layout: Layout) -> None:
    """They say why; circus reads a pipe by the kB, and closes that of a process that has ended.

    It looks for these once a second: while it is held up for longer, one writes and ends.
    """
    run(layout, "crash")
    circusd, (crashing,) = Circus(layout).pid() or 0, Circus(layout).pids("crash.1")
    os.kill(circusd, signal.SIGSTOP)
    (layout.folder / "go").touch()
    wait_until("its end", lambda: psutil.Process(crashing).status() == psutil.STATUS_ZOMBIE)
    time.sleep(1.2)
    os.kill(circusd, signal.SIGCONT)
    wait_until("the next process", lambda: "crash runs" in texts(layout, "crash"))
    log = "\n".join(texts(layout, "crash"))
    assert log.replace("x\nx", "xx") == "x" * 300_000 + "\nKeyError: 'DATABASE_URL'\ncrash runs"
    started, ended, again = events(layout, "crash")
    assert (started["event"], ended["event"], again["event"]) == ("started", "ended", "started")
    assert (ended["pid"], ended["status"], ended["asked"]) == (started["pid"], 3, False)
    assert started["at"] < ended["at"] < again["at"]


def test_every_end_is_recorded_however_it_came(layout: Layout) -> None:
    """By a signal, by fewer processes than before, with the release: circus tells of some of them."""
    run(layout, "web", 3)
    wait_until("three processes", lambda: texts(layout, "web") == ["web runs"] * 3)
    killed = Circus(layout).pids("web.1")[0]
    os.kill(killed, signal.SIGKILL)
    wait_until("a fourth", lambda: len(texts(layout, "web")) == 4)
    assert [e["status"] for e in events(layout, "web") if e["event"] == "ended"] == [-signal.SIGKILL]
    run(layout, "web", 1)
    wait_until("two ends", lambda: sum(e["status"] == -signal.SIGTERM for e in events(layout, "web")) == 2)
    layout.watcher_ini("web.1").unlink()
    Circus(layout).reload()
    wait_until("the last end", lambda: len(events(layout, "web")) == 8)
    assert sum(entry["asked"] for entry in events(layout, "web")) == 3
    ended = {entry["pid"] for entry in events(layout, "web") if entry["event"] == "ended"}
    assert ended == {entry["pid"] for entry in events(layout, "web")}


def test_endless_output_without_a_newline_costs_neither_memory_nor_disk(layout: Layout) -> None:
    """256 MB of NULs; meanwhile circusd answers."""
    ini = layout.watcher_ini("flood.1")
    ini.write_text(
        "[watcher:flood.1]\ncmd = head -c 256M /dev/zero\nrespawn = False\n"
        f"stdout_stream.class = FileStream\nstdout_stream.filename = {layout.log('flood.1')}\n"
    )
    circus = Circus(layout)
    circus.reload()
    process, most = psutil.Process(circus.pid()), 0
    while not any(event["event"] == "ended" for event in events(layout, "flood")):
        circus.watchers()
        most = max(most, process.memory_info().rss)
    assert most < 150 * 2**20
    parts = list(layout.logs.glob("flood.1.log*"))
    assert sum(part.stat().st_size for part in parts) <= 41 * 2**20
    pieces = [log_line.parse(line) for line in layout.log("flood.1").read_bytes().splitlines()]
    assert {piece.goes_on for piece in pieces[:-1]} == {True}
    assert not pieces[-1].goes_on
