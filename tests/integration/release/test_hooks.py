"""Hooks of release.toml around real deploys on this machine, and a webhook over a real socket."""

import base64
import hashlib
import hmac
import json
import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from packhorse.errors import PackhorseError
from release.config import release_toml
from release.config.hooks import Webhook
from release.deploy import webhook
from tests.support import documents
from tests.support.local_target import Host, running_host
from tests.support.servers import BIN, short_home, wait_until
from tests.support.tiny_app import NAME

SECRET = "whsec_" + base64.b64encode(b"0123456789abcdef01234567").decode()


@dataclass
class Receiver:
    """A server that gets webhooks, and answers with `statuses`, then 204; None: never."""

    statuses: list[int | None] = field(default_factory=list)
    got: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    port: int = 0
    over: threading.Event = field(default_factory=threading.Event)

    @property
    def messages(self) -> list[dict[str, Any]]:
        """What was sent, with signatures that are right."""
        for headers, body in self.got:
            signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
            mac = hmac.digest(base64.b64decode(SECRET.removeprefix("whsec_")), signed, hashlib.sha256)
            assert headers["webhook-signature"] == f"v1,{base64.b64encode(mac).decode()}"
        return [json.loads(body) for _, body in self.got]


@contextmanager
def _receiving(*statuses: int | None) -> Iterator[Receiver]:
    receiver = Receiver(list(statuses))

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            receiver.got.append(({key.lower(): value for key, value in self.headers.items()}, body))
            status = receiver.statuses.pop(0) if receiver.statuses else 204
            if status is None:
                receiver.over.wait(30)
                return
            self.send_response(status)
            self.send_header("Location", f"http://127.0.0.1:{receiver.port}/elsewhere")
            self.end_headers()

        def do_GET(self) -> None:
            raise AssertionError("a redirect was followed")

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        receiver.port = server.server_port
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield receiver
        receiver.over.set()
        server.shutdown()


@pytest.fixture(scope="module")
def host() -> Iterator[Host]:
    with short_home() as home, running_host(home) as running:
        (running.project / "secret").write_text(SECRET + "\n")
        yield running


def _configure(host: Host, hooks: str, receiver: Receiver | None = None) -> None:
    there = (
        f'[hooks.webhook]\nurl = "http://127.0.0.1:{receiver.port}/private-path"\nsecret_file = "secret"'
        if receiver
        else ""
    )
    host.configure(health=f"timeout = 20.0\n[hooks]\n{hooks}\n{there}")


def _facts(path: Path) -> dict[str, str]:
    lines = path.read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if line.startswith("RELEASE_"))


def test_a_deploy_runs_its_hooks_and_tells_the_webhook(host: Host) -> None:
    """With the facts, and without a value of the configuration; the same for a rollback, which says so."""
    with _receiving(500, 503) as receiver:
        _configure(
            host,
            'before_deploy = ["sh", "-c", "env > before; echo tests pass"]\n'
            'after_deploy = ["sh", "-c", "env > after"]',
            receiver,
        )
        host.release("config", "set", "local", "SECRET_KEY=hidden-value")
        done = host.deploy("0.1.0")
        assert "before_deploy tests pass" in done.stderr
        before, after = _facts(host.project / "before"), _facts(host.project / "after")
        assert before["RELEASE_VERSION"] == "0.1.0"
        assert after["RELEASE_NUMBER"] == "1"
        assert after["RELEASE_URL"] == f"http://127.0.0.1:{host.port}"
        assert (after["RELEASE_OUTCOME"], after["RELEASE_COMMAND"]) == ("done", "deploy")
        host.deploy("0.2.0")
        host.release("rollback", "local")
        assert _facts(host.project / "before")["RELEASE_COMMAND"] == "rollback"
        assert _facts(host.project / "after")["RELEASE_VERSION"] == "0.1.0"
        host.release("deploy", "local", f"{NAME}==0.2.0", "--plan")
    assert "hidden-value" not in (host.project / "after").read_text() + repr(receiver.got)
    first, second, third, *_ = receiver.got
    assert first[0]["webhook-id"] == second[0]["webhook-id"] == third[0]["webhook-id"]
    assert [message["type"] for message in receiver.messages[2:]] == [
        "config.done",
        "deploy.done",
        "deploy.done",
        "rollback.done",
    ]
    assert receiver.messages[-1]["data"]["hosts"] == [{"host": "local", "outcome": "done"}]


def test_a_failing_before_hook_touches_nothing(host: Host) -> None:
    """No agent got a request: the journal has no line more."""
    host.configure()
    host.deploy("0.1.0")
    journal = host.layout.journal.read_bytes()
    with _receiving() as receiver:
        _configure(
            host,
            'before_deploy = ["sh", "-c", "echo not today; exit 1"]\n'
            'on_failure = ["sh", "-c", "env > failure"]',
            receiver,
        )
        failed = host.deploy("0.2.0", status=1)
    assert "not today" in failed.stderr
    assert "Error: before_deploy: sh ended with status 1" in failed.stderr
    assert host.layout.journal.read_bytes() == journal
    assert _facts(host.project / "failure")["RELEASE_OUTCOME"] == "failed"
    assert receiver.messages[0]["data"]["error"].startswith("before_deploy: sh ended")


def test_a_failing_after_hook_or_webhook_is_a_warning(host: Host) -> None:
    """The address of the webhook may be a secret; a redirect is not followed, and not tried again."""
    for status, words in ((302, "answered 302, a redirect"), (404, "answered 404")):
        with _receiving(status) as receiver:
            _configure(host, 'after_deploy = ["false"]', receiver)
            done = host.deploy("0.1.0")
        assert "warning   after_deploy: false ended with status 1." in done.stderr
        assert words in done.stderr
        assert "private-path" not in done.stderr
        assert len(receiver.got) == 1


def test_ctrl_c_runs_on_failure(host: Host) -> None:
    """While a hook hangs: it is ended, and the failure is told."""
    _configure(
        host,
        'before_deploy = ["sh", "-c", "env > hangs; sleep 1000"]\non_failure = ["sh", "-c", "env > stopped"]',
    )
    with subprocess.Popen(
        [BIN / "release", "deploy", "local", f"{NAME}==0.2.0"],
        cwd=host.project,
        env=host.environment,
        stderr=subprocess.PIPE,
        start_new_session=True,
    ) as process:
        wait_until("the hook", (host.project / "hangs").exists)
        os.killpg(process.pid, signal.SIGINT)
        assert process.wait(30) == 130
    assert _facts(host.project / "stopped")["RELEASE_OUTCOME"] == "stopped"


def test_a_webhook_that_never_answers_is_given_up(tmp_path: Path) -> None:
    """Three tries with their timeout; the message is the same each time."""
    (tmp_path / "secret").write_text(SECRET)
    slept: list[float] = []
    with _receiving(None, None, 429) as receiver:
        settings = Webhook(url=f"http://127.0.0.1:{receiver.port}/", secret_file="secret", timeout=1.5)
        with pytest.raises(PackhorseError, match="answered 429"):
            webhook.send(settings, tmp_path, {}, {"type": "deploy.done"}, slept.append)
        receiver.statuses[:] = [None, None, None]
        with pytest.raises(PackhorseError, match=r"has not answered within 1\.5 s"):
            webhook.send(settings, tmp_path, {}, {"type": "deploy.done"}, slept.append)
    assert slept == [1, 2, 1, 2]
    with pytest.raises(PackhorseError, match="cannot be reached"):
        webhook.send(settings, tmp_path, {}, {"type": "deploy.done"}, slept.append)


def test_the_receiver_of_the_page_takes_what_we_send_and_nothing_else(
    host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """docs/hooks.md: its settings are valid, its function checks signature and age."""
    pages = {block.filename: block.text for block in documents.blocks("hooks.md")}
    (tmp_path / "release.toml").write_text(pages["release.toml"])
    assert release_toml.load(tmp_path).hooks.webhook
    monkeypatch.setenv("RELEASE_WEBHOOK_SECRET", SECRET)
    names: dict[str, Any] = {}
    exec(pages["receiver.py"], names)  # noqa: S102  # it is ours
    with _receiving() as receiver:
        _configure(host, "", receiver)
        host.deploy("0.1.0")
    [(headers, body)] = receiver.got
    assert names["is_ours"](headers, body)
    assert not names["is_ours"](headers, body + b" ")
    assert not names["is_ours"]({**headers, "webhook-timestamp": "1614265330"}, body)
