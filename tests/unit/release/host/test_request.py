"""The promises of release.host.request: what one end encodes, the other decodes."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from packhorse.errors import PackhorseError
from release.host import request
from release.host.disk.manifest import File, ReplacementRule
from release.host.request import Logs, Rollback, Stop
from tests.support.release_folders import a_content, a_deploy, a_layout

HEAD: dict[str, Any] = {
    "app": "shop",
    "root": "/srv/apps",
    "run": "/run",
    "supervised": True,
    "by": "ann@example",
    "target_name": "production",
    "silence": 30.0,
}


@pytest.mark.parametrize(
    "sent",
    [
        Stop(**HEAD),
        Logs(**HEAD, lines=5, follow=True, release=None),
        Rollback(**HEAD, index_url=None, keep=5, key="k", release=7, gates=["lock"]),
    ],
)
def test_a_request_arrives_as_it_was_sent(sent: request.Request) -> None:
    """One definition for both ends."""
    line = request.encode(sent)
    assert line.count(b"\n") == 1
    assert request.decode(json.loads(line)) == sent


@pytest.mark.parametrize("bind", [None, ("127.0.0.1", 8000)])
def test_a_deploy_arrives_with_all_that_is_nested_in_it(tmp_path: Path, bind: tuple[str, int] | None) -> None:
    """JSON knows no classes and no tuples."""
    files = [File("shop", "shop-1.0.tar.gz", "a" * 64, "https://example.com/shop-1.0.tar.gz")]
    content = replace(
        a_content(A="it's $5\n"), files=files, rules={"worker": ReplacementRule(overlap=True, stop_timeout=1)}
    )
    sent = replace(a_deploy(a_layout(tmp_path), content), bind=bind)
    assert request.decode(json.loads(request.encode(sent))) == sent


def test_another_protocol_is_refused() -> None:
    """An old agent on a host must not guess what a newer controller means."""
    table = json.loads(request.encode(Stop(**HEAD)))
    with pytest.raises(PackhorseError, match=r"speaks protocol [0-9]+, the request protocol 99"):
        request.decode({**table, "protocol": 99})


def test_a_request_that_is_printed_shows_no_value_of_the_configuration(tmp_path: Path) -> None:
    """Tracebacks of tools and tests print arguments."""
    assert "hunter2" not in repr(a_deploy(a_layout(tmp_path), a_content(TOKEN="hunter2")))
