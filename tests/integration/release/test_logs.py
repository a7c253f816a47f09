"""`release logs` on real hosts: what processes wrote is shown once, in order, whatever happens meanwhile."""

import contextlib
import json
import os
import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import documents, hosts, ssh_target, terminals
from tests.support.hosts import Host, network
from tests.support.local_target import Index
from tests.support.servers import BIN, run_command, short_home, wait_until
from tests.support.ssh_target import LAYOUT, Servers
from tests.support.tiny_app import NAME, app_wheel

pytestmark = hosts.MARKS

# Writes to its log what it finds in /var/say, which is not on the disk that is full in one test.
ECHO = """
import os, sys, time
path = "/var/say"
print("echo of", os.environ["PACKHORSE_RELEASE"], flush=True)
offset = os.path.getsize(path) if os.path.exists(path) else 0
while True:
    if os.path.exists(path):
        with open(path, "rb") as file:
            file.seek(offset)
            while data := file.read(65536):
                offset += len(data)
                while data:
                    data = data[os.write(1, data):]
    time.sleep(0.02)
"""
PROCFILE = "web: python -m tiny\necho: python echo.py\nrelease: sh -c 'echo migrating; printf done'\n"


@pytest.fixture(scope="module")
def web() -> Iterator[Servers]:
    """Two hosts with an application that has a worker and a release phase."""
    with network() as net, short_home() as home, Index(net.address) as served:
        running = Servers(net, [net.host("web1"), net.host("web2", megabytes=300)], served, home)
        for host in running.hosts:
            ssh_target.prepare(host)
        for version in ("0.5.0", "0.6.0"):
            served.add(NAME, app_wheel(version, procfile=PROCFILE, beside={"echo.py": ECHO.encode()}))
        running.configure()
        running.deploy("0.5.0")
        for host in running.hosts:
            await_line(host, "echo.1", "echo of 1")
        yield running


def data(host: Host, path: Path) -> Path:
    """A file on the host, seen from here."""
    return host.files / path.relative_to("/")


def log(host: Host, name: str) -> str:
    path = data(host, LAYOUT.log(name))
    return path.read_text(errors="replace") if path.exists() else ""


def await_line(host: Host, name: str, text: str) -> None:
    """Wait until the log `name` has this line."""
    wait_until(text, lambda: f" {text}\n" in log(host, name))


def say(host: Host, text: str | bytes) -> None:
    """Let the worker on `host` write this."""
    with data(host, Path("/var/say")).open("ab") as file:
        file.write(text.encode() if isinstance(text, str) else text)


class Follower:
    """`release logs production -f` in the background."""

    def __init__(self, web: Servers, *options: str) -> None:
        self.output, self.errors = web.home / "followed", web.home / "followed-errors"
        command = [str(BIN / "release"), "logs", "production", "-f", "--json", *options]
        with self.output.open("wb") as out, self.errors.open("wb") as err:
            self.process = subprocess.Popen(
                command, env=web.environment, cwd=web.project, stdout=out, stderr=err
            )

    def texts(self, prefix: str = "") -> list[str]:
        """The lines that begin with `prefix`, without one that is being written."""
        whole = self.output.read_text().rpartition("\n")[0]
        lines = [json.loads(line) for line in whole.splitlines()]
        return [line["text"] for line in lines if line["text"].startswith(prefix)]

    def wait_for(self, text: str, deadline: float = 60) -> None:
        wait_until(text, lambda: text in self.texts(), deadline=deadline)

    def wait_for_word(self, word: str, deadline: float = 60) -> None:
        wait_until(word, lambda: word in self.errors.read_text(), deadline=deadline)


@contextlib.contextmanager
def following(web: Servers, *options: str) -> Iterator[Follower]:
    follower = Follower(web, *options)
    try:
        yield follower
        follower.process.send_signal(signal.SIGINT)
        assert follower.process.wait(60) == 0
    finally:
        follower.process.kill()
        follower.process.wait()


def test_lines_of_hosts_processes_and_the_release_phase_are_in_order_of_time(web: Servers) -> None:
    """Each with its time, its host and its process; -n counts over all of them."""
    one, two = web.hosts
    for number, host in enumerate((one, two, one, two)):
        say(host, f"turn {number}\n")
        await_line(host, "echo.1", f"turn {number}")
    shown = web.release("logs", "production", "-n", "4").stdout.splitlines()
    assert [re.sub(r"^\S+Z  (web\d)  echo\.1 +", r"\1 ", line) for line in shown] == [
        "web1 turn 0",
        "web2 turn 1",
        "web1 turn 2",
        "web2 turn 3",
    ]
    phase = web.release("logs", "production", "--process", "release").stdout.splitlines()
    assert [line.split("  ", 1)[1] for line in phase] == [
        "web1  release.1  migrating",
        "web1  release.1  done",
    ]
    assert phase[0].startswith("20")
    only = web.release("logs", "production", "--host", "web2", "--grep", "turn [13]", "--json").stdout
    assert [json.loads(line)["text"] for line in only.splitlines()] == ["turn 1", "turn 3"]
    wrong = web.release("logs", "production", "--process", "wokrer", status=1).stderr
    assert "There are logs of: echo, release, web" in wrong


def test_following_survives_a_deploy_a_power_cut_and_a_cable(web: Servers) -> None:
    """With a word about each; every line comes once, the lines of the time in between too."""
    one, two = web.hosts
    with following(web, "-n", "1", "--process", "echo") as follower:
        say(one, "to begin\n")
        follower.wait_for("to begin")
        web.deploy("0.6.0")
        follower.wait_for("echo of 2")
        say(one, "n 1\n")
        follower.wait_for("n 1")
        two.power_cut()
        follower.wait_for_word("web2: the connection was lost. Trying again")
        say(one, "n 2\n")
        follower.wait_for("n 2")
        two.boot()
        wait_until("its worker", lambda: log(two, "echo.2").count("echo of 2") == 2, deadline=60)
        say(two, "n 3\n")
        follower.wait_for("n 3")
        follower.wait_for_word("web2: connected again")
        one.unplug()
        say(one, "n 4\n")
        follower.wait_for_word("web1: the connection was lost", deadline=90)
        one.plug_in()
        follower.wait_for("n 4", deadline=90)
        say(one, "n 5\n")
        follower.wait_for("n 5")
    assert follower.texts("n ") == [f"n {number}" for number in range(1, 6)]


def test_nothing_is_lost_where_a_log_is_rotated(web: Servers) -> None:
    """30 MB in one go are three rotations; long lines and broken UTF-8 come as they are."""
    with following(web, "-n", "1", "--process", "echo", "--host", "web1") as follower:
        say(web.hosts[0], "to begin\n")
        follower.wait_for("to begin")
        lines = [f"m {number} {'y' * 990}" for number in range(30_000)]
        say(web.hosts[0], "".join(f"{line}\n" for line in lines))
        say(web.hosts[0], b"broken \xff\xfe \x1b[2J\x00" + b"z" * 300_000 + b"\nthe end\n")
        follower.wait_for("the end", deadline=120)
    assert [line.split()[1] for line in follower.texts("m ")] == [str(number) for number in range(30_000)]
    (broken,) = follower.texts("broken")
    assert broken == "broken \ufffd\ufffd \x1b[2J\x00" + "z" * 300_000
    assert follower.errors.read_text() == ""
    assert len(list(data(web.hosts[0], LAYOUT.logs).glob("echo.*.log.*"))) >= 2


def test_a_full_disk_stops_nobody_and_is_told(web: Servers) -> None:
    """circusd goes on, the application serves, and the log says how much is missing."""
    host = web.hosts[1]
    log_name = f"echo.{web.status()[1]['release']}"
    say(host, "before\n")
    await_line(host, log_name, "before")
    host.leave_space(0)
    try:
        say(host, b"q" * 200_000 + b"\n")
        assert web.get(host, "/") == web.versions()[0]
    finally:
        host.leave_space(100)
    say(host, "after\n")
    await_line(host, log_name, "after")
    shown = web.release("logs", "production", "--host", "web2", "-n", "20").stdout
    assert re.search(r"\d+ bytes of output were lost here: No space left on device", shown)


def test_a_clock_that_differs_stops_nothing(web: Servers) -> None:
    """A word says so."""
    host = web.hosts[1]
    host.set_clock(3600)
    try:
        say(host, "from the future\n")
        with following(web, "-n", "5") as follower:
            follower.wait_for("from the future")
            follower.wait_for_word("web2: its clock is 3")
            say(web.hosts[0], "from now\n")
            follower.wait_for("from now")
    finally:
        host.set_clock(0)


def journal(host: Host, *matches: str) -> list[dict[str, str]]:
    """What the host's journald has."""
    shown = host.ssh("journalctl", "--quiet", "--output", "json", *matches).stdout
    return [json.loads(line) for line in shown.splitlines()]


def test_journald_gets_every_line_once_over_deploys_and_reboots(web: Servers) -> None:
    """With application, process and release; what was logged before stays where it is."""
    host, other = web.hosts
    say(host, "before the drain\n")
    await_line(host, f"echo.{web.status()[0]['release']}", "before the drain")
    assert "logs go nowhere else" in web.release("logs", "drain", "production", "--host", "web1").stdout
    done = web.release("logs", "drain", "production", "--to", "journald", "--host", "web1").stdout
    assert "tiny on web1: logs go to journald, since " in done
    matches = ("PACKHORSE_APP=tiny", "PACKHORSE_PROCESS=echo")

    def messages() -> list[str]:
        return [entry["MESSAGE"] for entry in journal(host, *matches) if entry["MESSAGE"].startswith("d ")]

    say(host, "d 1\n")
    wait_until("the first line", lambda: messages() == ["d 1"])
    (entry,) = journal(host, *matches, "SYSLOG_IDENTIFIER=tiny")[-1:]
    number = web.status()[0]["release"]
    assert (entry["PACKHORSE_RELEASE"], entry["PRIORITY"]) == (str(number), "6")
    assert f" {entry['SYSLOG_PID']} d 1\n" in log(host, f"echo.{number}")
    web.deploy("0.5.0" if web.versions()[0] == "0.6.0" else "0.6.0")
    number = web.status()[0]["release"]
    await_line(host, f"echo.{number}", f"echo of {number}")
    say(host, "d 2\n")
    wait_until("the second line", lambda: messages() == ["d 1", "d 2"])
    host.reboot()
    wait_until("the worker", lambda: log(host, f"echo.{number}").count("echo of") == 2, deadline=60)
    say(host, "d 3\n")
    wait_until("the third line", lambda: messages() == ["d 1", "d 2", "d 3"], deadline=60)
    assert journal(host, "MESSAGE=before the drain") == []
    show = ("logs", "drain", "production", "--host", "web1")
    wait_until("its record of it", lambda: "0 bytes to send" in web.release(*show).stdout)
    assert "drain-" not in web.release("ps", "production").stdout
    assert "logs drain --to journald" in web.release("journal", "production").stdout
    assert journal(other, "PACKHORSE_APP=tiny") == []


def test_a_receiver_that_is_away_is_waited_for(web: Servers) -> None:
    """The application notices nothing; syslog gets it all when it is back, and nothing after an end."""
    host = web.hosts[0]
    web.release("logs", "drain", "production", "--to", "syslog", "--host", "web1")
    say(host, "s 1\n")
    tag = f"SYSLOG_IDENTIFIER=tiny/echo.{web.status()[0]['release']}"
    wait_until("the line", lambda: [entry["MESSAGE"] for entry in journal(host, tag)] == ["s 1"])
    units = [f"systemd-journald{kind}" for kind in ("-dev-log.socket", ".socket", ".service")]
    host.ssh("systemctl", "stop", *units)
    say(host, "s 2\n")
    number = web.status()[0]["release"]
    await_line(host, f"echo.{number}", "s 2")
    wait_until("a word about it", lambda: "Waiting for /dev/log" in log(host, "drain"))
    assert web.get(host, "/")
    host.ssh("systemctl", "start", *units)
    wait_until("it", lambda: [entry["MESSAGE"] for entry in journal(host, tag)][-1:] == ["s 2"], deadline=40)
    web.release("logs", "drain", "production", "--to", "off", "--host", "web1")
    say(host, "s 3\n")
    await_line(host, f"echo.{number}", "s 3")
    assert "s 3" not in [entry["MESSAGE"] for entry in journal(host, tag)]
    assert not host.ssh("pgrep", "-f", "current.pyz drain", status=None).stdout


def test_a_terminal_gets_colours_and_ctrl_c_ends_it(web: Servers) -> None:
    """What the application writes is never obeyed."""
    with terminals.open_terminal() as (controller, terminal):
        command = [
            "setsid",
            "--ctty",
            "--wait",
            str(BIN / "release"),
            "logs",
            "production",
            "-f",
            "--process",
            "echo",
        ]
        process = subprocess.Popen(
            command,
            env={**web.environment, "TERM": "xterm"},
            cwd=web.project,
            stdin=terminal,
            stdout=terminal,
            stderr=terminal,
        )
        say(web.hosts[0], "\x1b[2Jred\n")
        shown = terminals.read_until(controller, "\\x1b[2Jred")
        os.write(controller, b"\x03")
        assert process.wait(60) == 0
    assert "\x1b[36m20" in shown
    assert "\x1b[2J" not in shown


def test_the_page_about_logs_shows_what_works(web: Servers) -> None:
    """Every command of docs/logs.md."""
    environment = {**web.environment, "PATH": f"{BIN}:{web.environment['PATH']}"}
    pages = [text for language, _, text in documents.blocks("logs.md") if language == "sh"]
    assert len(pages) == 2
    for text in pages:
        run_command("sh", "-eux", "-c", text, env=environment, cwd=web.project)
    assert json.loads((web.project / "lines.json").read_text().splitlines()[-1])["process"]
