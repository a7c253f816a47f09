"""The promises of release.host.runtime.shim, which needs a process group of its own to be tested."""

import os
import signal
import subprocess
import sys

import pytest


def shim(line: str, **environment: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-Im", "release.host.runtime.shim", line]
    given = {**os.environ, **environment}
    return subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True, text=True, env=given)


def test_a_signal_reaches_every_process_of_the_line_and_their_end_is_awaited() -> None:
    """The server below a shell finishes its requests only if it hears that it should, and gets the time."""
    code = "signal.signal(15, lambda *_: (time.sleep(0.5), exit(print('bye')))); print('up', flush=True)"
    with shim(f'true; {sys.executable} -c "import signal, time; {code}; signal.pause()"; echo no') as running:
        assert running.stdout
        assert running.stdout.readline() == "up\n"
        os.kill(running.pid, signal.SIGTERM)
        assert running.wait(60) == 143
        with pytest.raises(ProcessLookupError):
            os.killpg(running.pid, 0)
        assert running.stdout.read() == "bye\n"


@pytest.mark.parametrize(("line", "status"), [("exit 3", 3), ("kill -9 $$", 137), ("true && true", 0)])
def test_the_end_of_the_line_is_the_end_of_the_process(line: str, status: int) -> None:
    """circus decides by it, and people read it in logs."""
    with shim(line) as running:
        assert running.wait(60) == status


def test_a_server_that_the_shell_becomes_knows_its_own_process_id() -> None:
    """sd_listen_fds(3): sockets are for the process that LISTEN_PID names."""
    with shim(
        f"true; exec {sys.executable} -c 'import os; print(os.getpid(), os.environ[\"LISTEN_PID\"])'",
        LISTEN_FDS="1",
    ) as running:
        own, named = running.communicate()[0].split()
    assert own == named


def test_a_server_without_a_socket_is_told_of_none() -> None:
    """cheroot takes any LISTEN_PID for a socket, although it was told to open a port."""
    with shim('echo "<$LISTEN_PID>"') as running:
        assert running.stdout
        assert running.stdout.read() == "<>\n"
