"""What packhorse-balancer thinks of hosts, and which of them it takes out."""

import asyncio
import contextlib
import fcntl
import importlib.util
import json
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

PROGRAM = Path(__file__).parents[3] / "ansible/roles/balancer/files/packhorse_balancer.py"


@pytest.fixture(scope="module")
def program() -> ModuleType:
    spec = importlib.util.spec_from_file_location("packhorse_balancer", PROGRAM)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look there
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("number", "failing", "held", "expected"),
    [
        (2, [], [], []),
        (2, [1], [], [1]),
        (2, [1, 2], [], []),  # a page of the application's own beats one of nginx
        (2, [], [1], [1]),
        (2, [], [1, 2], [1]),
        (2, [1], [2], [1]),
        (1, [], [1], []),
        (1, [1], [1], []),
        (3, [], [1, 2], [1]),  # one alone would have the work of three
        (4, [], [2, 3, 4], [2, 3]),
        (4, [1], [2, 3], [1, 2]),
        (4, [1, 2], [3], [1, 2]),
        (3, [1], [1], [1]),
    ],
)
def test_all_that_fail_are_out_and_of_those_held_as_many_as_can_be_spared(
    program: ModuleType, number: int, failing: list[int], held: list[int], expected: list[int]
) -> None:
    """The last host is never taken out."""
    hosts = list(range(1, number + 1))
    assert program.outside(hosts, failing, held) == set(expected)


def test_the_first_answer_counts_and_later_ones_when_they_come_twice(program: ModuleType) -> None:
    """One lost packet takes no host out."""
    host = program.Host("web1", "10.0.0.1")
    thoughts = []
    for answer in ("refused", "", "", "", "slow", "", "slow", "502", "slow", ""):
        host.after(answer)
        thoughts.append(host.failure)
    assert thoughts == ["refused", "refused", "", "", "", "", "", "502", "slow", "slow"]


@pytest.mark.parametrize(
    ("answer", "failure"),
    [
        ("200 OK\r\nX-Packhorse-App: shop\r\n\r\n", ""),
        ("404 Not Found\r\nServer: nginx\r\nX-Packhorse-App: shop\r\n\r\n", ""),
        ("404 Not Found\r\nServer: nginx\r\n\r\n", "it is not prepared for the application"),
        ("200 OK\r\nX-Packhorse-App: blog\r\n\r\n", "it is not prepared for the application"),
        ("200 OK\r\n\r\nX-Packhorse-App: shop\r\n", "it is not prepared for the application"),
        ("200 OK\r\n" + "X: 1\r\n" * 1000 + "X-Packhorse-App: shop\r\n\r\n", "it is not prepared"),
        ("503 Service Unavailable\r\n\r\n", "answers 503"),
    ],
)
def test_a_host_is_good_when_the_vhost_of_the_application_answers(
    program: ModuleType, monkeypatch: pytest.MonkeyPatch, answer: str, failure: str
) -> None:
    """Debian's default site answers, too, on a host that nobody has prepared."""
    health = {"app": "shop", "path": "/healthz", "host": "shop.example.com", "scheme": "http"}

    async def ask() -> Any:  # noqa: ANN401  # of a module without a name
        client = Client(f"HTTP/1.1 {answer}".encode())
        client.reader.feed_eof()

        async def connect(*_: object) -> tuple[asyncio.StreamReader, Client]:
            return client.reader, client

        monkeypatch.setattr(asyncio, "open_connection", connect)
        return await program.failure_of(program.Host("web1", "10.0.0.1"), health)

    found = asyncio.run(ask())
    assert found.startswith(failure)
    assert bool(found) == bool(failure)


@pytest.mark.parametrize("text", ["[]", "{}", '{"user": "shop", "hosts": [{"name": "web1"}], "health": {}}'])
def test_settings_that_are_none_are_an_error_that_the_program_survives(
    program: ModuleType, text: str
) -> None:
    """Others are balanced all the same."""
    with pytest.raises((KeyError, TypeError, ValueError)):
        program.Application.of(text)


def balancer(program: ModuleType) -> Any:  # noqa: ANN401  # of a module without a name
    """It leads to two hosts, whose health is not known yet."""
    health = {"path": "/healthz", "host": "shop.example.com", "scheme": "http"}
    hosts = [{"name": name, "address": "10.0.0.1"} for name in ("web1", "web2")]
    made = program.Balancer()
    text = json.dumps({"user": "shop", "hosts": hosts, "health": health})
    made.applications = {"shop.production": program.Application.of(text)}
    return made


@pytest.mark.parametrize("held", [["web1"] * 3, ["web3"], "web1", [["web1"]]])
def test_a_list_of_hosts_that_is_longer_than_all_or_has_others_is_refused(
    program: ModuleType, held: object
) -> None:
    """Whatever is kept is gone through at each line and each answer of a host."""
    made = balancer(program)
    line = json.dumps({"name": "shop.production", "hold": held}).encode()
    assert made._answer(0, 1, line) == {"error": "it does not know these hosts"}
    assert made.applications["shop.production"].held == {}


class Client:
    """The end of a connection that root writes `lines` to, and never stops."""

    def __init__(self, lines: bytes) -> None:
        self.reader, self.answers = asyncio.StreamReader(), 0
        self.reader.feed_data(lines)

    def get_extra_info(self, _name: str) -> "Client":
        return self

    def getsockopt(self, *_: int) -> bytes:
        return struct.pack("3i", 1, 0, 0)

    def write(self, _data: bytes) -> None:
        self.answers += 1

    async def drain(self) -> None:
        pass

    def close(self) -> None:
        pass


def test_connections_of_one_user_are_few_and_hold_nothing_up(
    program: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Hosts are asked in the same event loop: else they would count as silent."""
    monkeypatch.setattr(program, "PACE", 600.0)

    async def flood() -> list[int]:
        line = json.dumps({"name": "shop.production", "hold": ["web1", "web1"]}).encode() + b"\n"
        made, clients = balancer(program), [Client(line * 1000) for _ in range(32)]
        tasks = [asyncio.ensure_future(made._connected(client.reader, client)) for client in clients]
        for _ in range(1000):  # turns of the event loop, of which they need a few
            await asyncio.sleep(0)
        assert [task.done() for task in tasks] == [False] * 8 + [True] * 24
        while not all(task.done() for task in tasks):
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks, timeout=0.1)  # wait_for of Python 3.11 may swallow the first one
        assert made.applications["shop.production"].held == {}
        return [client.answers for client in clients]

    assert asyncio.run(asyncio.wait_for(flood(), 60)) == [1] * 8 + [0] * 24


@pytest.mark.parametrize(("user", "held"), [("shop", {1: {"web1"}}), ("blog", {})])
def test_what_a_deploy_holds_out_stays_out_when_settings_change(
    program: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, user: str, held: dict[int, set[str]]
) -> None:
    """Somebody provisions while a host is being switched, and has another host taken away."""
    monkeypatch.setattr(program, "SETTINGS", tmp_path)
    monkeypatch.setattr(program, "STATE", tmp_path)
    made = balancer(program)
    before = made.applications["shop.production"]
    before.held = {1: {"web1", "web2"}}
    after = {**json.loads(before.text), "user": user, "hosts": [{"name": "web1", "address": "10.0.0.1"}]}
    (tmp_path / "shop.production.json").write_text(json.dumps(after))

    async def read() -> None:
        made.read()
        for task in made.applications["shop.production"].tasks:
            task.cancel()

    asyncio.run(read())
    assert made.applications["shop.production"].held == held


@pytest.mark.parametrize("refused", [True, False])
def test_a_removal_that_nginx_refuses_leaves_all_as_it_was(
    program: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, *, refused: bool
) -> None:
    """Some other file is wrong. Whoever else changes files of nginx waits for the test."""
    for name in ("SETTINGS", "NGINX"):
        monkeypatch.setattr(program, name, tmp_path)
    lock = tmp_path / "lock"
    monkeypatch.setattr(program, "NGINX_LOCK", lock)
    present = {tmp_path / f"shop.production.{kind}": kind for kind in ("conf", "upstream.conf", "json")}
    for path, text in present.items():
        path.write_text(text)
        path.chmod(0o640)
    started = []

    def run(command: list[str], *, check: bool) -> None:
        started.append(command[1])
        assert not any(path.exists() for path in present)
        with lock.open() as other, pytest.raises(BlockingIOError):
            fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if refused and check:
            raise subprocess.CalledProcessError(1, command)

    monkeypatch.setattr(program.subprocess, "run", run)
    with pytest.raises(subprocess.CalledProcessError) if refused else contextlib.nullcontext():
        program.remove("shop.production")
    assert started == (["-t"] if refused else ["-t", "-s"])
    left = {path: path.read_text() for path in present if path.exists()}
    assert left == (present if refused else {})
    assert all(path.stat().st_mode & 0o777 == 0o640 for path in left)


TALK = "import sys, runpy; m = runpy.run_path(sys.argv[1]); c = m['Talk']; "
TALK += "c.run.__globals__.update(SOCKET=sys.argv[2], SILENCE=float(sys.argv[3])); c().run()"
HOLD = b'{"hold": ["web1"]}\n'


@contextlib.contextmanager
def talking(place: Path, silence: float = 30) -> Iterator["subprocess.Popen[bytes]"]:
    """`packhorse-balancer talk` with another socket."""
    command = [sys.executable, "-c", TALK, str(PROGRAM), str(place), str(silence)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0) as process:
        try:
            yield process
        finally:
            process.kill()


@contextlib.contextmanager
def serving(place: Path) -> Iterator[socket.socket]:
    """The socket of `serve`, which is gone after the block."""
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(place))
        server.listen()
        server.settimeout(20)
        yield server
    place.unlink()


def heard(server: socket.socket, lines: int, answer: bytes) -> list[bytes]:
    """The first lines of a new connection, which is answered and ended then."""
    connection, _ = server.accept()
    with connection, connection.makefile("rb") as stream:
        found = [stream.readline() for _ in range(lines)]
        if answer:
            connection.sendall(answer)
    return found


def test_what_a_deploy_holds_out_is_said_again_when_the_program_restarts(tmp_path: Path) -> None:
    """A host that is being switched would get requests; the deploy, far away, notices nothing."""
    place = tmp_path / "control.sock"
    with contextlib.ExitStack() as stack:
        with serving(place) as server:
            process = stack.enter_context(talking(place))
            assert process.stdin
            assert process.stdout
            process.stdin.write(HOLD)
            assert heard(server, 1, b"first\n") == [HOLD]
            assert process.stdout.readline() == b"first\n"
        with serving(place) as server:
            connection, _ = server.accept()
            with connection, connection.makefile("rb") as lines:
                assert lines.readline() == HOLD
                connection.sendall(b"again\n")
                process.stdin.write(b"\n" + HOLD.replace(b"1", b"2"))
                assert [lines.readline(), lines.readline()] == [b"\n", HOLD.replace(b"1", b"2")]
                connection.sendall(b"second\n")
                assert process.stdout.readline() == b"second\n"
                process.stdin.close()
                assert lines.readline() == b""
        assert process.wait(20) == 0


@pytest.mark.parametrize(("answer", "silence"), [(b"", 30), (b"known\n", 0)])
def test_a_connection_that_is_refused_or_silent_is_not_opened_again(
    tmp_path: Path, answer: bytes, silence: float
) -> None:
    """What a deploy holds out comes back when its cable was cut; and nobody is asked in a circle."""
    place = tmp_path / "control.sock"
    with serving(place) as server, talking(place, silence) as process:
        assert process.stdin
        process.stdin.write(HOLD)
        heard(server, 1, answer)
        assert process.wait(20) == 0
