"""Secrets of webhooks, and what is sent again."""

from pathlib import Path
from typing import Any

import pytest

from mirror.plugin.webhooks import delivery

KEY = b"k" * 24


def table(**more: object) -> dict[str, Any]:
    usual = {"url": "https://chat.example.com/hooks/secret-path", "events": ["upload"], "timeout": 1.0}
    return {"secret_variable": None, "secret_file": None, **usual, **more}


def test_the_secret_comes_from_a_file_or_from_a_variable(tmp_path: Path) -> None:
    """In the form of Standard Webhooks, or as it is."""
    (tmp_path / "secret").write_text("whsec_" + "a2tr" * 8 + "\n")
    assert delivery.webhook(table(secret_file=str(tmp_path / "secret")), {}).key == KEY
    assert delivery.webhook(table(secret_variable="HOOK"), {"HOOK": "k" * 24}).key == KEY


def test_logs_see_the_host_alone() -> None:
    """The path may be what lets in."""
    hook = delivery.webhook(table(secret_variable="HOOK"), {"HOOK": "k" * 24})
    assert hook.host == "chat.example.com"
    assert "secret" not in hook.name


@pytest.mark.parametrize(
    ("problem", "again"),
    [
        ("cannot be reached: ConnectError", True),
        ("answered 500", True),
        ("answered 429", True),
        ("answered 408", True),
        ("answered 302", False),
        ("answered 400", False),
        ("answered 410", False),
    ],
)
def test_what_is_not_wanted_is_not_sent_again(problem: str, again: bool) -> None:  # noqa: FBT001 (a parameter)
    """As release's webhook has it."""
    assert delivery.may_pass(problem) is again
