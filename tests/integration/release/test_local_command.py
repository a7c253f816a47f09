"""`release local`: real processes, and a real terminal where one matters."""

import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from tests.support import documents
from tests.support.local_target import get
from tests.support.servers import BIN, clean_environment, free_port, run_command, wait_until
from tests.support.terminals import open_terminal, read_until

HOSTILE = """
import os, signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
if os.fork() == 0:
    os.setsid()  # a daemon with an environment of its own
    os.execve(sys.executable, [sys.executable, "-c", "import time; time.sleep(1000)"], {})
sys.stdout.buffer.write(b"\\x1b]0;title\\x07 broken \\xff utf8\\r\\n")
print("ready", flush=True)
open("ready", "w").close()
time.sleep(1000)
"""
# Serves on the open socket as gunicorn does: when LISTEN_PID is its own process id (sd_listen_fds(3)).
APP = """
import os, signal, socket
from http.server import BaseHTTPRequestHandler, HTTPServer

class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(os.environ[self.path[1:]].encode())

def leave(*_):
    print("Shutting down", flush=True)
    os._exit(0)

signal.signal(signal.SIGTERM, leave)
assert (os.environ["LISTEN_PID"], os.environ["LISTEN_FDS"]) == (str(os.getpid()), "1")
server = HTTPServer(("", 0), Handler, bind_and_activate=False)
server.socket = socket.socket(fileno=3)
print("Serving", flush=True)
server.serve_forever()
"""
SERVE = f"web: {sys.executable} shop.py"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "the shop ü"
    folder.mkdir()
    (folder / "shop.py").write_text(APP)
    (folder / "hostile.py").write_text(HOSTILE)
    return folder


def _environment(project: Path) -> dict[str, str]:
    return clean_environment(project.parent, TERM="xterm")


def _release(project: Path, *arguments: str, status: int = 0) -> "subprocess.CompletedProcess[str]":
    return run_command(
        BIN / "release", *arguments, env=_environment(project), cwd=project, status=status, timeout=60
    )


@contextmanager
def _running(
    project: Path,
    *arguments: str,
    stdin: int | None = None,
    stdout: int = subprocess.PIPE,
    stderr: int = subprocess.STDOUT,
) -> Iterator[subprocess.Popen[bytes]]:
    """`release local` in a session of its own, as a terminal's; killed at the end, and nothing is left."""
    process = subprocess.Popen(
        [str(BIN / "release"), "local", "--port", str(free_port()), *arguments],
        cwd=project,
        env=_environment(project),
        stdin=stdin,
        stdout=stdout,
        stderr=stderr,
        start_new_session=True,
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def _until(process: "subprocess.Popen[bytes]", text: str) -> str:
    """What it printed up to the line with `text`."""
    assert process.stdout
    shown = ""
    for line in process.stdout:
        shown += line.decode()
        if text in shown:
            return shown
    raise AssertionError(f"no {text!r} in {shown}")


def _port(shown: str) -> int:
    return int(re.findall(r"http://127\.0\.0\.1:(\d+)", shown)[-1])


def _left(project: Path) -> list[psutil.Process]:
    """Processes that work in the folder of the project."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.cwd() == str(project) and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except psutil.Error:
            continue
    return found


def test_the_procfile_of_servers_works_and_ctrl_c_stops_all(project: Path) -> None:
    """A server takes the open socket on PORT; lines have colours in a terminal; the environment is .env's."""
    (project / "Procfile").write_text(f"worker: echo $GREETING; sleep 1000\nweb: {sys.executable} shop.py\n")
    (project / ".env").write_text("GREETING='it\\'s'\n")
    with (
        open_terminal() as (controller, terminal),
        _running(project, stdin=terminal, stdout=terminal, stderr=terminal) as process,
    ):
        shown = read_until(controller, "Serving")
        port = _port(shown)
        assert get(port, "/PORT") == str(port)
        assert Path(get(port, "/DATA_DIR")).is_relative_to(project.parent / "local-data")
        if "it's" not in shown:
            shown += read_until(controller, "it's")
        assert re.search(r"\x1b\[\d+m\d\d:\d\d:\d\d worker  \| \x1b\[0mit's", shown)
        process.send_signal(signal.SIGINT)
        assert "Shutting down" in read_until(controller, "Shutting down")
        assert process.wait(60) == 130
    assert not _left(project)


def test_the_second_ctrl_c_kills_what_ignores_the_first(project: Path) -> None:
    """A process that ignores TERM, and its daemon that hides in another session, are gone at once."""
    (project / "Procfile").write_text(f"web: {sys.executable} hostile.py\n")
    with _running(project) as process:
        shown = _until(process, "ready")
        assert r"\x1b]0;title\x07 broken " in shown
        assert "\x1b" not in shown
        assert len(_left(project)) >= 3
        process.send_signal(signal.SIGINT)
        _until(process, "once more kills them")
        process.send_signal(signal.SIGINT)
        assert process.stdout
        assert b"Killing" not in process.stdout.read()  # that is after the grace
        assert process.wait(60) == 130
    assert not _left(project)


def test_one_that_ends_stops_the_rest_and_gives_its_status(project: Path) -> None:
    """Also those that ignore TERM, after the grace; what was written before the end is shown."""
    (project / "Procfile").write_text(
        f"web: {sys.executable} hostile.py\n"
        "worker: until [ -e ready ]; do sleep 0.1; done; echo 'last words'; exit 7\n"
    )
    done = _release(project, "local", "--port", str(free_port()), status=7)
    assert re.search(
        r"last words.*worker ended with status 7.*Killing what has not ended", done.stdout, re.DOTALL
    )
    assert "Error: worker ended with status 7" in done.stderr
    assert not _left(project)


def test_keep_going_leaves_the_others(project: Path) -> None:
    """The status is that of the first that failed."""
    (project / "Procfile").write_text("web: sleep 1; echo done\nworker: sh -c 'exit 3'\n")
    done = _release(project, "local", "--keep-going", status=3)
    assert re.search(r"worker ended with status 3.*\| done.*web ended with status 0", done.stdout, re.DOTALL)


def test_killed_it_leaves_no_process_on_the_port(project: Path) -> None:
    """The next one would find the port taken, by something that nobody sees."""
    (project / "Procfile").write_text(f"{SERVE}\n")
    with _running(project) as process:
        _until(process, "Serving")
        process.kill()
    wait_until("the end of all", lambda: not _left(project))


def test_two_at_once_have_ports_of_their_own(project: Path) -> None:
    """One that opens its port itself has it later than it was chosen."""
    (project / "Procfile").write_text(f"web: {sys.executable} -m http.server --bind 127.0.0.1 $PORT\n")
    port = str(free_port())
    with _running(project, "--port", port) as one, _running(project, "--port", port) as other:
        ports = {_port(_until(each, "Serving HTTP")) for each in (one, other)}
    assert len(ports) == 2


def test_a_change_restarts_and_a_broken_file_does_not(project: Path) -> None:
    """A change of .env, a crash, a Procfile with a wrong line, and its correction: all in one session."""
    (project / "Procfile").write_text(f"web: {sys.executable} shop.py $WORKERS\n")
    (project / ".env").write_text("WORKERS=1\n")
    with _running(project, "--watch") as process:
        port = _port(_until(process, "Serving"))
        (project / ".env").write_text("WORKERS=1\nGREETING=new\n")
        _until(process, ".env changed: restarting")
        _until(process, "Serving")
        assert get(port, "/GREETING") == "new"
        (project / "Procfile").write_text("web\n")
        _until(process, "nothing was restarted")
        assert get(port, "/GREETING") == "new"
        (project / "Procfile").write_text("web: exit 4\n")
        _until(process, "all have ended, a change starts them again")
        (project / "Procfile").write_text(f"{SERVE}\n")
        _until(process, "Serving")
        assert get(port, "/GREETING") == "new"


def test_a_flood_costs_no_memory(project: Path) -> None:
    """Who cannot print fast enough lets the process wait; one line without an end is printed in pieces."""
    (project / "Procfile").write_text("web: yes\nworker: head -c 20000000 /dev/zero | tr '\\0' x\n")
    with (
        _running(project, "--keep-going", stdout=subprocess.DEVNULL) as process,
    ):
        watched = psutil.Process(process.pid)
        wait_until("a flood", lambda: sum(watched.cpu_times()[:2]) > 2, deadline=60)
        assert watched.memory_info().rss < 100_000_000
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130


def test_a_reader_that_goes_away_ends_it(project: Path) -> None:
    """`release local | head`."""
    (project / "Procfile").write_text("web: yes\n")
    with _running(project, stderr=subprocess.DEVNULL) as process:
        _until(process, "| y")
        assert process.stdout
        process.stdout.close()
        assert process.wait(60) == 1


def test_the_release_phase_runs_when_asked_and_its_failure_stops(project: Path) -> None:
    """A migration must not surprise anybody."""
    (project / "Procfile").write_text("web: echo serves\nrelease: echo migrates; exit $STATUS\n")
    (project / ".env").write_text("STATUS=0\n")
    assert "migrates" not in _release(project, "local").stdout
    assert re.search(r"migrates.*serves", _release(project, "local", "--release-phase").stdout, re.DOTALL)
    (project / ".env").write_text("STATUS=9\n")
    assert "serves" not in _release(project, "local", "--release-phase", status=9).stdout


def test_run_becomes_the_command(project: Path) -> None:
    """Its exit status, its terminal and its signals are the command's own."""
    (project / ".env").write_text("GREETING=hello\n")
    done = _release(project, "local", "run", "sh", "-c", "echo $GREETING --watch; exit 7", status=7)
    assert (done.stdout, done.stderr) == ("hello --watch\n", "")
    done = _release(project, "local", "run", "no-such-program", status=127)
    assert "no-such-program" in done.stderr
    code = (
        "import signal,time; signal.signal(2, lambda *_: exit(5)); print('ready', flush=True); time.sleep(99)"
    )
    with open_terminal() as (controller, terminal):
        command = [str(BIN / "release"), "local", "run", sys.executable, "-c", code]
        with subprocess.Popen(
            command, cwd=project, env=_environment(project), stdin=terminal, stdout=terminal, stderr=terminal
        ) as process:
            read_until(controller, "ready")
            process.send_signal(signal.SIGINT)
            assert process.wait(60) == 5


def test_lines_are_not_lost_at_the_end(project: Path) -> None:
    """A process that writes much and ends at once."""
    (project / "Procfile").write_text("web: seq 1 50000\n")
    done = _release(project, "local")
    assert [line.split("| ")[1] for line in done.stdout.splitlines() if " web     |" in line] == [
        str(number) for number in range(1, 50001)
    ]


def test_the_page_works(tmp_path: Path) -> None:
    """docs/local.md, as a reader follows it."""
    printed = ""
    for language, filename, text in documents.blocks("local.md"):
        if filename:
            (tmp_path / filename).write_text(text)
        elif language == "sh":
            environment = clean_environment(tmp_path / "home")
            printed += run_command("sh", "-eux", "-c", text, env=environment, cwd=tmp_path).stdout
    assert printed.count(f"Hello, $USER from {tmp_path.name}-") == 2
