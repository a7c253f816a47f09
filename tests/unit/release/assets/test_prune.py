"""The promises of release.assets.prune and push.in_parallel, with a bucket in memory."""

import threading
import time
from collections.abc import Collection

import pytest

from packhorse.errors import PackhorseError
from release.assets.objects import Object, Stored
from release.assets.prune import Prune
from release.assets.push import in_parallel


class Memory:
    """A bucket in memory, with `others`, which another project has put there."""

    def __init__(self, *keys: str, others: Collection[str] = ()) -> None:
        self.keys, self.others = {*keys, *others}, others

    def stored(self, prefix: str, _stopped: threading.Event) -> dict[str, Stored]:
        return {key: Stored(0, "") for key in self.keys if key.startswith(prefix)}

    def put(self, each: Object) -> None:
        self.keys.add(each.key)

    def is_own(self, key: str) -> bool:
        return key not in self.others

    def delete(self, key: str) -> None:
        self.keys.remove(key)


def ready(names: object) -> dict[str, object]:
    return {"event": "gate", "name": "start", "names": names}


def test_what_any_host_needs_stays() -> None:
    """Of whichever target it is."""
    store = Memory("shop/a.css", "shop/b.css", "shop/c.css", "blog/c.css")
    pruning = Prune(store, "shop/", ["web1", "stage1"], None)
    pruning.hear("web1", ready(["a.css"]))
    pruning.hear("stage1", ready(["b.css", "b.css.gz"]))
    pruning.run(lambda *_: None)
    assert store.keys == {"shop/a.css", "shop/b.css", "blog/c.css"}
    assert (pruning.removed, pruning.there) == (["shop/c.css"], 3)


def test_what_this_project_has_not_pushed_stays() -> None:
    """Another one's prefix is a folder of this one's, or people keep uploads there."""
    store = Memory("shop/c.css", others=["shop/v2/app.css", "shop/media/photo.jpg"])
    pruning = Prune(store, "shop/", ["web1"], None)
    pruning.hear("web1", ready([]))
    pruning.run(lambda *_: None)
    assert store.keys == {"shop/v2/app.css", "shop/media/photo.jpg"}
    assert pruning.foreign == ["shop/media/photo.jpg", "shop/v2/app.css"]


def test_what_nobody_has_agreed_to_stays() -> None:
    """A host that was taken over may need less, the second time that it is asked."""
    store = Memory("shop/c.css", "shop/d.css")
    pruning = Prune(store, "shop/", ["web1"], frozenset({"shop/c.css"}))
    pruning.hear("web1", ready([]))
    pruning.run(lambda *_: None)
    assert (store.keys, pruning.removed) == ({"shop/d.css"}, ["shop/c.css"])


def test_a_dry_run_removes_nothing() -> None:
    """It says the same."""
    store = Memory("shop/c.css")
    pruning = Prune(store, "shop/", ["web1"], frozenset())
    pruning.hear("web1", ready([]))
    pruning.run(lambda *_: None)
    assert (store.keys, pruning.unneeded) == ({"shop/c.css"}, ["shop/c.css"])


@pytest.mark.parametrize(
    ("event", "said"),
    [
        ({"event": "error", "message": "no route"}, "stage1: no route"),
        ({"event": "gate", "name": "lock"}, "stage1: it did not say"),
        (ready(None), "stage1: it did not say"),
        (ready([1]), "stage1: it did not say"),
    ],
)
def test_without_the_word_of_each_host_nothing_is_removed(event: dict[str, object], said: str) -> None:
    """A host that is down may serve pages again in a minute."""
    store = Memory("shop/c.css")
    pruning = Prune(store, "shop/", ["web1", "stage1"], None)
    pruning.hear("web1", ready([]))
    pruning.hear("stage1", event)
    with pytest.raises(PackhorseError, match=said):
        pruning.run(lambda *_: None)
    assert store.keys == {"shop/c.css"}


def test_the_first_error_ends_the_rest() -> None:
    """A bucket that refuses one file refuses thousands, each after some tries."""
    tried: list[int] = []

    def fail(number: int) -> None:
        tried.append(number)
        raise PackhorseError("no", "hint")

    with pytest.raises(PackhorseError, match="no"):
        in_parallel(range(10_000), fail, lambda: None, threading.Event())
    assert len(tried) < 10_000


def test_a_stop_ends_what_has_not_begun() -> None:
    """Ctrl-C in a deploy."""
    stopped, done = threading.Event(), list[int]()
    stopped.set()
    with pytest.raises(PackhorseError, match="Stopped before all was done"):
        in_parallel([1, 2], done.append, lambda: None, stopped)
    assert done == []


def test_ctrl_c_ends_what_has_not_begun() -> None:
    """The main thread gets it, while others send thousands of files."""
    done: list[int] = []

    def step() -> None:
        raise KeyboardInterrupt

    def work(number: int) -> None:
        done.append(number)
        time.sleep(0.001)

    with pytest.raises(KeyboardInterrupt):
        in_parallel(range(100_000), work, step, threading.Event())
    assert len(done) < 100_000
