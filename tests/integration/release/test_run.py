"""`release run`: one-off processes on this machine and on two servers, with a terminal and without."""

import hashlib
import json
import os
import re
import signal
import subprocess
import sys
import termios
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import psutil
import pytest

from tests.support import documents, hosts, ssh_target
from tests.support.local_target import Host, running_host
from tests.support.one_offs import Runner
from tests.support.servers import BIN, clean_environment, run_command, short_home, wait_until
from tests.support.ssh_target import Servers

T = TypeVar("T", bound=Callable[..., Any])


def on_servers(test: T) -> T:
    """Mark a test that needs them."""
    for mark in hosts.MARKS:
        test = mark(test)
    return test


def alive_here(argument: str) -> bool:
    """Whether a process of this machine has this argument last, test hosts' included."""
    for process in psutil.process_iter(["cmdline"]):
        if (process.info["cmdline"] or [""])[-1] == argument:
            return True
    return False


@pytest.fixture(scope="module")
def host() -> Iterator[Host]:
    with short_home() as home, running_host(home) as running:
        running.deploy("0.1.0")
        yield running


@pytest.fixture(scope="module")
def fleet() -> Iterator[Servers]:
    with ssh_target.running("web1", "web2") as running:
        running.deploy("0.1.0")
        yield running


@pytest.fixture(params=["local", pytest.param("production", marks=hosts.MARKS)])
def run(request: pytest.FixtureRequest) -> Runner:
    """`release run` on this machine, and on the first of two servers."""
    where: Host | Servers = request.getfixturevalue("host" if request.param == "local" else "fleet")
    return Runner(request.param, where.project, where.environment, alive_here)


def test_output_status_and_both_streams_pass_through(run: Runner) -> None:
    """A script decides by them."""
    done = run("sh", "-c", "echo out; echo err >&2; exit 3", status=3)
    assert (done.stdout, done.stderr) == (b"out\n", b"err\n")
    assert run("sh", "-c", "kill -9 $$", status=137).stdout == b""
    assert b"nosuch" in run("nosuch", status=127).stderr
    assert b"/etc/passwd" in run("/etc/passwd", status=126).stderr


def test_it_has_code_configuration_and_folder_of_the_release(run: Runner) -> None:
    """`flask shell` sees what the application sees."""
    program = "import sys, os, json; print(json.dumps([sys.prefix, os.getcwd(), dict(os.environ)]))"
    prefix, folder, variables = json.loads(run("python", "-c", program).stdout)
    release = variables["PACKHORSE_FOLDER"]
    assert prefix == f"{release}/venv"
    assert folder == f"{release}/work"
    assert variables["PACKHORSE_RELEASE"] == "1"
    assert "LEAK" not in variables
    assert "TERM" not in variables


def test_arguments_arrive_as_they_were_typed(run: Runner) -> None:
    """There is no shell on the way, and bytes need not be UTF-8."""
    typed = ["a b", "$(id)", "", "\udcff\n", "'\"\\", "-x", "ü"]
    program = "import sys, os; print(*map(os.fsencode, sys.argv[1:]), sep='|')"
    shown = run("python", "-c", program, *typed).stdout.decode()
    assert shown.strip() == "|".join(str(os.fsencode(text)) for text in typed)


def test_stdin_passes_through_whole(run: Runner) -> None:
    """`release run production -- psql < dump`: binary, large, and with its end."""
    data = os.urandom(3 * 2**20) + b"\0\x04\xff\n"
    program = "import sys, hashlib; print(hashlib.sha256(sys.stdin.buffer.read()).hexdigest())"
    assert (
        run("python", "-c", program, stdin=data).stdout.decode().strip() == hashlib.sha256(data).hexdigest()
    )
    assert run("cat", stdin=data).stdout == data
    assert run("head", "-c", "5", stdin=data).stdout == data[:5]  # who reads no more ends none the less
    assert run("true", stdin=data).stdout == b""


def test_a_slow_reader_costs_no_memory(run: Runner) -> None:
    """100 MB that nobody reads yet wait where they are made."""
    with run.piped("sh", "-c", "head -c 100000000 /dev/zero; echo end >&2") as process:
        assert process.stdin
        assert process.stdout
        assert process.stderr
        size = len(process.stdout.read(1000))
        process.stdin.close()
        assert psutil.Process(process.pid).memory_info().rss < 150 * 2**20
        while piece := process.stdout.read(2**20):
            size += len(piece)
        assert size == 100_000_000
        assert process.stderr.read() == b"end\n"
        assert process.wait(60) == 0


def test_a_terminal_knows_its_size_and_type(run: Runner) -> None:
    """Full-screen programs ask; a change of the window reaches them."""
    program = (
        "import os, signal\n"
        "def show(): print(*os.get_terminal_size(), os.environ['TERM'], os.isatty(2), flush=True)\n"
        "signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGWINCH])\n"  # input() may miss it
        "open('/dev/tty', 'w').close(), open(os.ttyname(0), 'w').close()\n"
        "show()\n"
        "while os.get_terminal_size().columns == 80: signal.sigwait([signal.SIGWINCH])\n"
        "show()\n"
        "while line := input(): print(line.upper(), flush=True)"
    )
    with run.typed("python", "-c", program) as it:
        it.until("80 24 xterm-256color True")
        it.resize(50, 132)
        it.until("132 50 xterm-256color True")
        it.type("word\r")
        it.until("WORD")
        it.type("\x04")
        it.until("EOFError")
        assert it.process.wait(60) == 1


def test_ctrl_c_reaches_the_command_and_the_terminal_is_as_before(run: Runner) -> None:
    """In a shell it ends what runs there, not the shell, and not `release run`."""
    with run.typed("sh") as it:
        before = termios.tcgetattr(it.controller)
        it.type("sleep 1013\r")
        wait_until("sleep", lambda: alive_here("1013"))
        it.type("\x03")
        it.type("echo status $?\r")
        it.until("status 130")
        it.type("exit 7\r")
        assert it.process.wait(60) == 7
        assert termios.tcgetattr(it.controller) == before


def test_a_full_screen_program_gets_and_sends_raw_bytes(run: Runner) -> None:
    """Every key, and every escape, as they are."""
    program = (
        "import os, sys, tty; tty.setraw(0); os.write(1, b'\\x1b[2J\\x00\\xffready'); "
        "keys = b''\nwhile not keys.endswith(b'q'): keys += os.read(0, 99)\n"
        "os.write(1, keys.hex().encode())"
    )
    with run.typed("python", "-c", program) as it:
        assert "\x1b[2J\x00" in it.until("ready")
        it.type("\x03\x1a\x11\x1b[A\x7f~.\r~~.~q")
        it.until("031a111b5b417f7e2e0d7e2e7e71")
        assert it.process.wait(60) == 0


def test_enter_tilde_dot_leaves_a_command_that_listens_to_nothing(run: Runner) -> None:
    """Ctrl-C is the command's: there has to be another way out."""
    with run.typed("sh", "-c", "trap '' INT TERM; stty raw; echo deaf; exec sleep 1019") as it:
        it.until("deaf")
        it.type("\x03\r")
        it.type("~")
        it.type(".")
        assert it.process.wait(60) == 130
    wait_until("its end", lambda: not alive_here("1019"), deadline=30)


@pytest.mark.parametrize("terminal", [True, False])
def test_it_ends_when_the_client_is_killed(run: Runner, *, terminal: bool) -> None:
    """Nobody is there any more, whatever the command does about SIGHUP."""
    program = "trap '' HUP; sleep 1021 & echo begun; wait; exec sleep 1021"
    if terminal:
        with run.typed("sh", "-c", program) as it:
            it.until("begun")
            it.process.kill()
    else:
        with run.piped("sh", "-c", program) as process:
            assert process.stdout
            assert process.stdout.readline() == b"begun\n"
            process.kill()
    wait_until("its end", lambda: not alive_here("1021"), deadline=30)


def test_signals_are_passed_on_without_a_terminal(run: Runner) -> None:
    """A CI that cancels sends SIGTERM: the command decides how to end."""
    program = "trap 'echo told; exit 4' TERM; echo begun; while :; do sleep 0.05; done"
    with run.piped("sh", "-c", program) as process:
        assert process.stdout
        assert process.stdout.readline() == b"begun\n"
        process.send_signal(signal.SIGTERM)
        assert process.stdout.read() == b"told\n"
        assert process.wait(60) == 4
    with run.piped("sh", "-c", "trap '' INT; echo begun; exec sleep 1031") as process:
        assert process.stdout
        assert process.stdout.readline() == b"begun\n"
        process.send_signal(signal.SIGINT)
        assert process.stderr
        assert b"once more" in process.stderr.readline()
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130
    wait_until("its end", lambda: not alive_here("1031"))


def test_what_it_leaves_behind_ends_with_it(run: Runner) -> None:
    """Also in a session of its own: nobody would know of it."""
    run("sh", "-c", "setsid sleep 1033 & sleep 1033 & exit 0")
    assert not alive_here("1033")


def test_its_trace_is_in_the_journal_and_its_output_in_the_log(run: Runner) -> None:
    """Who ran what, when, and how it ended; never what was typed into a terminal."""
    with run.typed("sh") as it:
        it.type("echo sec''ret; exit 5\r")
        it.until("secret")
        assert it.process.wait(60) == 5
    run("sh", "-c", "echo visible; exit 6", status=6)
    shown = subprocess.run(
        [sys.executable, "-m", "release", "journal", run.target, "--json"],
        env=dict(run.environment),
        cwd=run.project,
        capture_output=True,
        check=True,
    )
    entries = [entry["reason"] for entry in json.loads(shown.stdout)["hosts"][0]["entries"]]
    assert any(entry.startswith("run sh (") for entry in entries)
    assert any("ended with status 5" in entry for entry in entries)
    assert any("echo visible" in entry for entry in entries)
    log = run("sh", "-c", 'cat "$PACKHORSE_FOLDER"/../../log/run.1.*.log').stdout
    assert b" visible\n" in log
    assert b"ended with status 6" in log
    assert b"secret" not in log


def test_it_goes_on_over_deploys_and_keeps_its_release(run: Runner) -> None:
    """Also a release that would be pruned; afterwards it is. New ones get the new release."""
    release = [sys.executable, "-m", "release"]

    def deploy(version: str) -> None:
        command = [*release, "deploy", run.target, f"tiny=={version}"]
        subprocess.run(command, env=dict(run.environment), cwd=run.project, check=True, capture_output=True)

    (run.project / "release.toml").write_text(
        (run.project / "release.toml").read_text().replace("graceful_timeout", "keep = 1\ngraceful_timeout")
    )
    with run.piped("sh", "-c", "read x; ls -d $PACKHORSE_FOLDER/venv; echo $PACKHORSE_RELEASE") as process:
        assert process.stdin
        assert process.stdout
        first = run("printenv", "PACKHORSE_RELEASE").stdout
        for version in ("0.2.0", "0.1.0", "0.2.0"):
            deploy(version)
        assert int(run("printenv", "PACKHORSE_RELEASE").stdout) == int(first) + 3
        process.stdin.write(b"go\n")
        process.stdin.close()
        folder, number = process.stdout.read().split()
        assert folder.endswith(b"/venv")
        assert number == first.strip()
        assert process.wait(60) == 0
    deploy("0.1.0")
    assert run("ls", os.fsdecode(folder), status=None).returncode == 2


def test_it_runs_while_the_application_is_stopped_and_goes_on_over_a_stop(run: Runner) -> None:
    """What has to be mended by hand may be the reason of the stop. `local` has no circusd then."""
    release = [sys.executable, "-m", "release"]

    def give(command: str) -> None:
        arguments = [*release, command, run.target]
        subprocess.run(arguments, env=dict(run.environment), cwd=run.project, check=True, capture_output=True)

    with run.piped("sh", "-c", "echo begun; read x; echo $x") as process:
        assert process.stdin
        assert process.stdout
        assert process.stdout.readline() == b"begun\n"
        give("stop")
        assert run("echo", "1").stdout == b"1\n"
        give("start")
        process.stdin.write(b"there\n")
        process.stdin.close()
        assert process.stdout.read() == b"there\n"


def test_before_the_first_deploy_it_says_so(tmp_path: Path) -> None:
    """There is no code to run."""
    (tmp_path / "src").mkdir()
    (tmp_path / "src/release.toml").write_text('app = "tiny"\n')
    run = Runner("local", tmp_path / "src", clean_environment(tmp_path), alive_here)
    said = run("true", status=255).stderr.decode()
    assert said.startswith("Error: tiny has never been deployed here.\nHint: Deploy it: release deploy local")


@pytest.mark.parametrize("victim", ["agent", "oneoff.py"])
def test_a_killed_agent_or_watcher_leaves_nothing(host: Host, victim: str) -> None:
    """kill -9 in the middle: the command ends, and the client says what happened."""
    run = Runner("local", host.project, host.environment, alive_here)
    with run.piped("sh", "-c", "echo $PPID; exec sleep 1061") as process:
        assert process.stdout
        assert process.stderr
        watcher = int(process.stdout.readline())
        (agent,) = psutil.Process(process.pid).children()
        os.kill(agent.pid if victim == "agent" else watcher, signal.SIGKILL)
        assert process.wait(30) == 255
        assert b"Error: " in process.stderr.read()
    wait_until("its end", lambda: not alive_here("1061"), deadline=30)


@on_servers
def test_on_servers_the_processes_user_runs_it_in_its_unit(fleet: Servers) -> None:
    """With its sandbox and limits, and what it has in files is its own."""
    run = Runner("production", fleet.project, fleet.environment, alive_here)
    shown = run(
        "sh", "-c", "id -un; cat /proc/self/cgroup; touch /etc/x; echo $?; touch $DATA_DIR/x; echo $?"
    )
    lines = shown.stdout.decode().split()
    assert lines[0] == ssh_target.run_user()
    assert "packhorse@tiny.service" in shown.stdout.decode()
    assert lines[-2:] == ["1", "0"]


@on_servers
def test_the_command_is_in_no_argument_list_but_its_own(fleet: Servers) -> None:
    """It may hold a password, and every user of this machine sees ours."""
    run = Runner("production", fleet.project, fleet.environment, alive_here)
    with run.piped("sh", "-c", "echo begun; read x; : hunter2") as process:
        assert process.stdout
        assert process.stdout.readline() == b"begun\n"
        with_it = [
            each.info["cmdline"] for each in psutil.process_iter(["cmdline"]) if "hunter2" in str(each.info)
        ]
    assert not [line for line in with_it if "ssh" in line[0] or "circus" in str(line)]


@on_servers
def test_the_end_of_circusd_ends_it_and_the_client_says_so(fleet: Servers) -> None:
    """systemd starts the unit anew, and all in it ends."""
    run = Runner("production", fleet.project, fleet.environment, alive_here)
    with run.piped("sh", "-c", "echo begun; exec sleep 1063") as process:
        assert process.stdout
        assert process.stdout.readline() == b"begun\n"
        fleet.hosts[0].ssh("systemctl", "kill", "--kill-whom=main", "--signal=KILL", "packhorse@tiny")
        # The quickest: systemd's SIGTERM, SIGHUP for a command that nobody waits for, or the end of ssh.
        assert process.wait(60) in {128 + signal.SIGHUP, 128 + signal.SIGTERM, 255}
    assert not alive_here("1063")
    assert run("echo", "again").stdout == b"again\n"


@on_servers
def test_all_hosts_run_it_side_by_side_also_when_one_is_down(fleet: Servers) -> None:
    """What people used Fabric for: whose line is whose, and how it ended where."""
    run = Runner("production", fleet.project, fleet.environment, alive_here)
    everywhere = ("--all-hosts",)
    done = run("sh", "-c", "cat; uname -n; echo oh >&2", stdin=b"in\n", options=everywhere)
    assert sorted(done.stdout.splitlines()) == [b"web1  in", b"web1  web1", b"web2  in", b"web2  web2"]
    assert {b"web1  oh", b"web2  oh", b"web1: ended with status 0"} <= set(done.stderr.splitlines())
    one = run("sh", "-c", "test $(uname -n) = web1 || exit 9", options=everywhere, status=9)
    assert b"web2: ended with status 9" in one.stderr
    assert run("uname", "-n", options=("--host", "web2")).stdout == b"web2\n"
    assert run("uname", "-n", options=("--skip", "web1")).stdout == b"web2\n"
    answer = json.loads(run("uname", "-n", options=("--all-hosts", "--json")).stdout)
    assert [(row["host"], row["stdout"], row["status"]) for row in answer["hosts"]] == [
        ("web1", "web1\n", 0),
        ("web2", "web2\n", 0),
    ]
    fleet.configure(names=["web1", "nowhere"])
    try:
        down = run("uname", "-n", options=everywhere, status=255)
        assert down.stdout == b"web1     web1\n"
        assert b"nowhere" in down.stderr
    finally:
        fleet.configure()


@on_servers
def test_ssh_logs_in_as_the_user_that_deploys(fleet: Servers) -> None:
    """To look at a host; on this machine there is nothing to log in to."""
    done = fleet.release(
        "ssh", "production", "--host", "web2", "--", "sh", "-c", "id -un; uname -n; exit 4", status=4
    )
    assert done.stdout == "tiny\nweb2\n"
    assert "ssh sh -c" in fleet.release("journal", "production").stdout
    assert "nothing to log in to" in fleet.release("ssh", "local", status=1).stderr


JOBS = """
[[targets.{0}.jobs]]
name = "fails"
schedule = "*:*:0/1"
command = "echo $PACKHORSE_RELEASE on $(uname -n) | tr 1 x; exit 3"
[[targets.{0}.jobs]]
name = "long"
schedule = "0 3 * * *"
command = "echo begun; exec sleep 1071"
timeout = 1
"""


def test_a_job_runs_when_told_to_and_says_how_it_ended(run: Runner) -> None:
    """Its command is as in a Procfile; `release jobs` and `release ps` show it."""
    settings = run.project / "release.toml"
    before = settings.read_text()
    settings.write_text(before + JOBS.format(run.target))

    def give(*arguments: str, status: int | None = 0) -> "subprocess.CompletedProcess[bytes]":
        done = subprocess.run(
            [sys.executable, "-m", "release", *arguments],
            env=dict(run.environment),
            cwd=run.project,
            capture_output=True,
            check=False,
        )
        assert status is None or done.returncode == status, done.stderr.decode()
        return done

    give("deploy", run.target, "tiny==0.2.0")
    done = give("jobs", "run", run.target, "fails", status=3)
    assert b" on " in done.stdout
    assert give("jobs", "run", run.target, "long", status=129).stdout == b"begun\n"
    for command in ("jobs", "ps"):  # the host's timer may be running it at this moment
        wait_until("how it ended", lambda: b"failed: ended with status 3" in give(command, run.target).stdout)  # noqa: B023
    assert b"its timeout" in give("jobs", run.target).stdout
    assert b" on " in run("sh", "-c", 'cat "$PACKHORSE_FOLDER"/../../log/fails.*.log').stdout
    assert b"no job nosuch" in give("jobs", "run", run.target, "nosuch", status=255).stderr
    settings.write_text(before)
    give("deploy", run.target, "tiny==0.1.0")
    assert b"has no jobs" in give("jobs", run.target).stdout
    give("rollback", run.target)
    assert b"fails" in give("jobs", run.target).stdout


def test_what_the_page_shows_works(host: Host) -> None:
    """docs/run.md, as a reader follows it."""
    settings = host.project / "release.toml"
    before = settings.read_text()
    project = host.project / "pyproject.toml"
    project.write_text('[project]\nname = "tiny"\nversion = "0.2.0"\n')
    environment = {**host.environment, "PATH": f"{BIN}:{host.environment['PATH']}"}
    shown = []
    for language, _, text in documents.blocks("run.md"):
        if language == "toml":
            settings.write_text(before + text)
        else:
            command = ["/bin/sh", "-e", "-c", documents.script(text)]
            shown.append(run_command(*command, env=environment, cwd=host.project).stdout)
    settings.write_text(before)
    project.unlink()
    assert "HELLO\n" in shown[0]
    assert "ended with status 1" in shown[0]
    assert shown[1].startswith("42\n") or "\n42\n" in shown[1]
    assert re.search(r"report +30 3 \* \* \* +ok", shown[1])


@on_servers
def test_a_timer_runs_jobs_on_the_first_host_alone(fleet: Servers) -> None:
    """Each when it is due; another first host takes them over with the next deploy."""
    base = (fleet.project / "release.toml").read_text()

    last = "/srv/apps/tiny/jobs/fails.last.json"

    def runs_jobs(host: hosts.Host) -> bool:
        command = ("systemctl", "is-active", "packhorse-jobs@tiny.service")
        return host.ssh(*command, status=None).returncode == 0

    def there() -> list[bool]:
        for host in fleet.hosts:
            host.ssh("systemctl", "start", "packhorse-jobs@tiny.service")
        return [host.ssh("test", "-e", last, status=None).returncode == 0 for host in fleet.hosts]

    def ran() -> list[bool]:
        for host in fleet.hosts:
            host.ssh("rm", "-f", last)
        wait_until("a run", lambda: any(there()))
        return there()

    (fleet.project / "release.toml").write_text(base + JOBS.format("production"))
    fleet.deploy("0.2.0")
    assert ran() == [True, False]
    text = base.replace('["web1", "web2"]', '["web2", "web1"]') + JOBS.format("production")
    (fleet.project / "release.toml").write_text(text)
    fleet.deploy("0.1.0")
    wait_until("the end of what the first one still ran", lambda: not runs_jobs(fleet.hosts[0]))
    assert ran() == [False, True]
    (fleet.project / "release.toml").write_text(
        base + JOBS.format("production").replace("*:*:0/1", "Foo 25:00")
    )
    said = fleet.deploy("0.2.0", status=1).stderr
    assert "is no time of systemd" in said
    (fleet.project / "release.toml").write_text(base)
