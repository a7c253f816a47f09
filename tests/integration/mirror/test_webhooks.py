"""Webhooks of a real mirror, to a real receiver that fails on purpose."""

import base64
import hashlib
import hmac
import json
import os
import signal
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import requests

from mirror import state
from mirror.state import Folder
from tests.support.dists import wheel
from tests.support.mirror_and_upstream import Mirrored, mirror_of, new_name
from tests.support.servers import BIN, wait_until
from tests.support.team_indexes import new_team
from tests.support.upstream import Upstream

SECRET = "a-secret-of-enough-characters"


class Receiver(ThreadingHTTPServer):
    """Keeps what it gets: path, headers, body. Answers `status`, after `gate` is open."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.got: list[tuple[str, dict[str, str], Any]] = []
        self.status = 200
        self.gate = threading.Event()
        self.gate.set()

    def bodies(self, kind: str) -> list[Any]:
        return [body["data"] for _, _, body in list(self.got) if body["type"] == kind]


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        receiver: Any = self.server
        content = self.rfile.read(int(self.headers["Content-Length"]))
        headers = {name.lower(): value for name, value in self.headers.items()}
        signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + content
        expected = base64.b64encode(hmac.digest(SECRET.encode(), signed, hashlib.sha256)).decode()
        assert headers["webhook-signature"] == f"v1,{expected}"
        assert abs(int(headers["webhook-timestamp"]) - time.time()) < 300
        receiver.gate.wait(60)
        receiver.got.append((self.path, headers, json.loads(content)))
        self.send_response(receiver.status)
        self.send_header("Location", "/elsewhere")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    with Receiver() as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield running
        running.gate.set()
        running.shutdown()


@pytest.fixture(scope="module")
def told(receiver: Receiver, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mirrored]:
    """A mirror with one webhook, and a policy that blocks one project."""
    secret = tmp_path_factory.mktemp("secret") / "webhook"
    secret.write_text(SECRET)
    url = f"http://127.0.0.1:{receiver.server_port}/hooks/secret-path"
    hook = f'webhooks = [{{url = "{url}", secret_file = "{secret}", timeout = 5.0}}]'
    settings = f'{hook}\npolicy.deny = ["blocked"]\n'
    with Upstream() as upstream, mirror_of(upstream, settings) as mirrored:
        yield mirrored


def kill_and_start(told: Mirrored) -> None:
    serving = state.read_serving(Folder(told.mirror.home))
    assert serving
    os.kill(serving.pid, signal.SIGKILL)
    told.mirror.run(BIN / "mirror", "serve", "--background", cwd=told.mirror.home)


def shown(told: Mirrored) -> Any:  # noqa: ANN401 (JSON)
    """What `mirror webhook list` says of the one."""
    (listed,) = json.loads(told.mirror.run(BIN / "mirror", "webhook", "list", "--json").stdout)
    return listed


def test_uploads_promotions_and_blocked_files_are_told(told: Mirrored, receiver: Receiver) -> None:
    """Who, what and where, as in the audit log; signed."""
    team, project = new_team(told), new_name("told")
    dist = wheel(project, "1.0")
    team.upload(dist)
    pushed = {"name": project, "version": "1.0", "targetindex": f"{team.name}/prod"}
    team.call("POST", f"{team.name}/dev", json=pushed)
    blocked = wheel("blocked", "1.0")
    told.upstream.add("blocked", blocked)
    digest = hashlib.sha256(blocked.content).hexdigest()
    address = f"{told.mirror.url}/root/pypi/+f/{digest[:3]}/{digest[3:16]}/{blocked.filename}"
    assert {requests.get(address, timeout=30).status_code for _ in range(3)} == {403}
    wait_until("all three", lambda: len(receiver.got) >= 3)
    (uploaded,) = receiver.bodies("upload")
    assert (uploaded["who"], uploaded["index"], uploaded["file"]) == (
        team.name,
        f"{team.name}/dev",
        dist.filename,
    )
    (promoted,) = receiver.bodies("promotion")
    assert (promoted["project"], promoted["target"]) == (project, f"{team.name}/prod")
    (refused,) = receiver.bodies("blocked")
    assert (refused["file"], refused["rule"]) == (blocked.filename, "deny")


def test_messages_wait_for_a_receiver_that_fails_over_a_crash_of_the_server(
    told: Mirrored, receiver: Receiver
) -> None:
    """The same identity again, so that who had it already can drop it."""
    receiver.status = 503
    receiver.got.clear()
    project = new_name("late")
    new_team(told).upload(wheel(project, "1.0"))
    wait_until("a try", lambda: receiver.got)
    kill_and_start(told)
    receiver.status = 200
    wait_until("another", lambda: len(receiver.got) >= 2)
    wait_until("the end of it", lambda: not shown(told)["waiting"])
    identities = {headers["webhook-id"] for _, headers, _ in receiver.got}
    assert (len(identities), receiver.bodies("upload")[-1]["project"]) == (1, project)


def test_a_mirror_that_is_offline_tells_them_too(told: Mirrored, receiver: Receiver) -> None:
    """It asks no upstream; a receiver is where the mirror is."""
    told.restart("--offline")
    try:
        project = new_name("offline")
        new_team(told).upload(wheel(project, "1.0"))
        wait_until("the message", lambda: project in {each["project"] for each in receiver.bodies("upload")})
    finally:
        told.restart()


def test_an_upload_does_not_wait_for_a_receiver_that_does_not_answer(
    told: Mirrored, receiver: Receiver
) -> None:
    """Nor does the next one; `mirror webhook` says what waits, and names no path."""
    receiver.got.clear()
    receiver.gate.clear()
    team, projects = new_team(told), [new_name("quick") for _ in range(3)]
    for project in projects:
        team.upload(wheel(project, "1.0"))
        assert receiver.got == []
    listed = shown(told)
    receiver.gate.set()
    assert listed["waiting"] == 3
    assert listed["host"] == f"127.0.0.1:{receiver.server_port}"
    wait_until("all", lambda: {each["project"] for each in receiver.bodies("upload")} >= set(projects))


def test_a_test_message_says_what_is_wrong_and_no_redirect_is_followed(
    told: Mirrored, receiver: Receiver
) -> None:
    """Another server would get what is for this one."""
    receiver.got.clear()
    assert "delivered" in told.mirror.run(BIN / "mirror", "webhook", "test").stdout
    receiver.status = 302
    done = told.mirror.run(BIN / "mirror", "webhook", "test", status=1)
    assert "answered 302" in done.stdout
    assert "Not delivered" in done.stderr
    assert [path for path, _, _ in receiver.got] == ["/hooks/secret-path"] * 2
    receiver.status = 200


def test_the_secret_and_the_path_are_in_no_file_that_others_read(told: Mirrored) -> None:
    """Nor in the log, the list of processes or an answer to anybody but root."""
    folder = told.mirror.home / "mirror"
    serving = state.read_serving(Folder(told.mirror.home))
    assert serving
    shown = Path(f"/proc/{serving.pid}/cmdline").read_text() + (folder / "server.log").read_text()
    assert SECRET not in shown
    assert "secret-path" not in shown
    settings = folder / "monitoring.json"
    assert settings.stat().st_mode & 0o777 == 0o600
    assert SECRET not in settings.read_text()
    for path in ("/+webhooks", "/+webhooks/test"):
        assert requests.get(f"{told.mirror.url}{path}", timeout=30).status_code == 401
        login = ("company", told.mirror.credentials["company"])
        assert requests.get(f"{told.mirror.url}{path}", auth=login, timeout=30).status_code == 403
