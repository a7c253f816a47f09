"""When webhooks are told, and again."""

import json
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from mirror.plugin.webhooks import sender
from mirror.plugin.webhooks.delivery import Webhook
from mirror.plugin.webhooks.sender import FIRST, GIVE_UP, LONGEST, MOST_BLOCKED, Sender, Webhooks
from mirror.plugin.webhooks.spool import Message

HOOK = Webhook("https://chat.example.com/x", ("upload", "blocked"), 1.0, b"k" * 24)
TIME = "2026-01-01T00:00:00.000Z"


def event(action: str, result: str = "ok", **more: str) -> dict[str, str]:
    return {"time": TIME, "action": action, "result": result, **more}


@pytest.mark.parametrize(
    ("action", "result", "kind"),
    [
        ("upload", "ok", "upload"),
        ("upload", "failed", None),
        ("push", "ok", "promotion"),
        ("download", "denied", "blocked"),
        ("list", "reported", "reported"),
        ("login", "denied", None),
    ],
)
def test_of_the_events_some_are_told(action: str, result: str, kind: str | None) -> None:
    """The audit log has more, such as logins."""
    assert sender.kind(event(action, result)) == kind


def test_the_body_has_what_the_log_has() -> None:
    """type, timestamp and data, as Standard Webhooks proposes."""
    body: Any = json.loads(sender.body(event("push", project="demo"), "promotion"))
    assert body == {"type": "promotion", "timestamp": TIME, "data": {"project": "demo"}}


def test_a_failure_is_tried_again_after_ever_longer_pauses_and_given_up_at_last(tmp_path: Path) -> None:
    """A server that is down for a night gets all."""
    told = Sender(HOOK, tmp_path, lambda *_: "answered 503")
    told.add("a", "upload")
    pauses = [told.step() for _ in range(GIVE_UP)]
    assert pauses[:3] == [FIRST, 2 * FIRST, 4 * FIRST]
    assert (max(pauses), pauses[-1], told.waiting) == (LONGEST, 0.0, 0)
    assert (told.state.dropped, told.state.problem) == (1, "answered 503")
    assert 12 * 3600 < sum(pauses) < 48 * 3600


def test_a_blocked_file_that_is_not_taken_delays_no_upload(tmp_path: Path) -> None:
    """Anybody makes such messages; the pause after one may be an hour."""

    def post(_: Webhook, message: Message) -> str:
        if message.body == "new":
            return ""
        told.add("new", "upload")  # while the receiver takes its time
        return "answered 500"

    told = Sender(HOOK, tmp_path, post)
    told.add("blocked", "blocked")
    told.step()
    began = time.monotonic()
    told._pause(60)
    assert time.monotonic() - began < 30
    assert (told.step(), told.state.delivered, told.waiting) == (0.0, 1, 1)


def test_a_message_that_is_not_wanted_holds_up_no_other(tmp_path: Path) -> None:
    """400: trying again cannot help."""
    answers = iter(("answered 400", ""))
    told = Sender(HOOK, tmp_path, lambda *_: next(answers))
    told.add("a", "upload")
    told.add("b", "upload")
    assert [told.step(), told.step()] == [0.0, 0.0]
    assert (told.state.dropped, told.state.delivered, told.state.problem, told.waiting) == (1, 1, "", 0)


def test_a_message_that_cannot_be_read_is_counted_and_holds_up_no_other(tmp_path: Path) -> None:
    """A damaged disk: who watches the server is to know that a message is lost."""
    told = Sender(HOOK, tmp_path, lambda *_: "")
    told.add("a", "upload")
    told.add("b", "upload")
    min((tmp_path / HOOK.name).iterdir()).write_text("")
    assert (told.step(), told.state.dropped) == (0.0, 1)
    assert told.state.problem.startswith("does not get a message that cannot be read")
    assert (told.step(), told.state.delivered, told.waiting) == (0.0, 1, 0)


def test_each_webhook_hears_what_it_asked_for_and_of_a_blocked_file_once(tmp_path: Path) -> None:
    """pip asks for the same file several times, each time that somebody installs."""
    webhooks = Webhooks([HOOK], tmp_path, httpx.Client())
    blocked = event("download", "denied", index="a/b", file="x.whl", rule="deny")
    for each in (event("upload"), event("push"), blocked, blocked, {**blocked, "rule": "minimum_age"}):
        webhooks.listen(each)
    assert webhooks.senders[0].waiting == 3


def test_a_disk_that_is_full_harms_nobody(tmp_path: Path) -> None:
    """The listener is called before the upload is answered."""
    told = Sender(HOOK, tmp_path, lambda *_: "")
    (tmp_path / HOOK.name).rmdir()
    told.add("a", "upload")
    assert told.state.dropped == 1
    assert "No such file" in told.state.problem


def test_strangers_who_ask_for_denied_files_keep_no_upload_from_being_told(tmp_path: Path) -> None:
    """They name as many files as they like while the receiver is down; nobody would hear of a release."""
    bodies: list[str] = []

    def post(_: Webhook, message: Message) -> str:
        bodies.append(message.body)
        return ""

    told = Sender(HOOK, tmp_path, post)
    for number in range(2000):
        told.add(f"blocked {number}", "blocked")
    told.add("a", "upload")
    assert (told.waiting, told.state.dropped) == (MOST_BLOCKED + 1, 2000 - MOST_BLOCKED)
    assert [told.step(), told.step()] == [0.0, 0.0]
    assert bodies == ["a", "blocked 0"]
    assert Sender(HOOK, tmp_path, lambda *_: "").waiting == MOST_BLOCKED - 1
