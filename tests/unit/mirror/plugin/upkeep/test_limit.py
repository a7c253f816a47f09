"""When the limit of cached files begins to remove, and where it ends."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from mirror.plugin.audit import events
from mirror.plugin.upkeep import limit
from mirror.plugin.upkeep.limit import Limit, Limits
from mirror.plugin.upkeep.selection import CachedFile


class _Mirror:
    """Files by their last use, and all that a limit asks of the server."""

    root = Path("/nowhere")

    def __init__(self, *sizes: int) -> None:
        self.files = [
            CachedFile(f"root/pypi/+f/abc/def/demo-{n}.zip", "demo", str(n), size, n)
            for n, size in enumerate(sizes)
        ]
        self.looks = 0

    def size(self) -> int:
        self.looks += 1
        return sum(each.size for each in self.files)

    def all(self) -> list[CachedFile]:
        return list(self.files)

    def remove(self, files: Sequence[CachedFile]) -> Sequence[CachedFile]:
        self.files = [each for each in self.files if each not in files]
        return files

    def do(self, change: Callable[[], None]) -> None:
        change()

    @contextmanager
    def read_transaction(self) -> Iterator[None]:
        yield


def limited(mirror: _Mirror, limits: Limits) -> Limit:
    fake: Any = mirror
    return Limit(limits, fake, fake, fake, fake)


def test_it_is_in_the_audit_log(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files that are missed have gone somewhere."""
    heard: list[events.Event] = []
    monkeypatch.setattr(events, "_listeners", [heard.append])
    limited(_Mirror(10, 10), Limits(most=1000)).prune()
    assert not heard
    limited(_Mirror(500, 500), Limits(most=600)).prune()
    (event,) = heard
    assert (event["action"], event["result"]) == ("prune", "ok")
    assert event["detail"] == "1 file: demo-0.zip"


def test_it_begins_above_the_high_mark_and_ends_below_the_low_one() -> None:
    """Otherwise each download would remove one file."""
    mirror = _Mirror(*[10] * 96)
    limited(mirror, Limits(most=1000)).prune()
    assert mirror.size() == 850
    limited(mirror, Limits(most=895)).prune()
    assert mirror.size() == 850


def test_what_must_stay_does_not_let_each_download_look_again() -> None:
    mirror = _Mirror(*[10] * 200)
    kept = limited(mirror, Limits(most=1000, keep_last=150))
    kept.prune()
    assert mirror.size() == 1500
    kept.stored(90)
    assert not kept._grown.is_set()
    kept.stored(20)
    assert kept._grown.is_set()


def test_age_alone_needs_no_size() -> None:
    mirror = _Mirror(10, 10)
    limited(mirror, Limits(unused_for=1000)).prune()
    assert mirror.files == []


def test_there_is_no_limit_offline() -> None:
    """Nothing could be had again, and nothing grows."""
    arguments = SimpleNamespace(offline_mode=True, prune_max_size=1, prune_unused_for=1, prune_keep_last=1)
    assert limit.limits_of(arguments) == Limits()
