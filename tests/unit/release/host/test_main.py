"""The promises of the agent's command line: python -m release.host."""

import errno
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from release.host import __main__ as agent
from release.host import request
from release.host.disk.layout import Layout
from tests.support.release_folders import a_layout, a_request, add_release


def run(stdin: bytes) -> list[dict[str, Any]]:
    """The events of an agent that gets `stdin`."""
    done = subprocess.run(
        [sys.executable, "-Im", "release.host"], input=stdin, stdout=subprocess.PIPE, check=True
    )
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_every_request_has_its_command() -> None:
    """A new kind of request without one would end in a traceback on a host."""
    assert set(agent.COMMANDS) == set(request.COMMANDS.values())


def test_a_request_is_answered_with_one_result(tmp_path: Path) -> None:
    """From the line on stdin to the line on stdout."""
    layout = a_layout(tmp_path)
    add_release(layout, 1)
    (result,) = run(request.encode(a_request(request.Releases, layout)))
    assert (result["event"], result["app"], result["releases"][0]["release"]) == ("result", "shop", 1)


def test_expected_trouble_is_an_event(tmp_path: Path) -> None:
    """With everything that the other end shows."""
    layout = Layout("shop", tmp_path / "apps", tmp_path / "run")
    (error,) = run(request.encode(a_request(request.Stop, layout)))
    assert error == {
        "event": "error",
        "message": "shop has never been deployed here.",
        "hint": "Deploy it: release deploy TARGET",
        "detail": "",
        "exit_code": 1,
    }


def test_an_end_without_a_request_is_no_failure() -> None:
    """Agents start early; whoever started one may find that there is nothing to ask."""
    assert run(b"") == []


def test_a_full_disk_is_expected_and_any_other_broken_call_is_a_bug() -> None:
    """The first is shown in two lines, the second with its traceback."""
    full = OSError(errno.ENOSPC, "No space left on device", "/srv/apps/shop/current")
    assert "The disk is full" in agent._disk_full(full).message
    with pytest.raises(OSError, match="Not a directory"):
        agent._disk_full(OSError(errno.ENOTDIR, "Not a directory"))
