"""devpi's listeners wait for the end of a burst of commits, and not for ever."""

import threading
from types import SimpleNamespace

import pluggy
import pytest
from devpi_server import hookspecs
from devpi_server.config import hookimpl
from devpi_server.model import EventSubscribers

from mirror.plugin.patches.database import notifier


class _Plugin:
    @hookimpl
    def devpiserver_on_upload(self, stage: object) -> None:
        """As devpi-web has it."""


class _Notifier:
    """A commit during each of the first `commits` pauses."""

    def __init__(self, commits: int) -> None:
        self.pauses = 0
        self.told_after: list[int] = []
        self.handled = -1
        self.cv_new_event_serial = threading.Condition()
        self._on_key_change = {"USER": [EventSubscribers(None).on_userchange]}
        self.keyfs = SimpleNamespace(get_current_serial=lambda: min(self.pauses, commits), notifier=self)
        self.plugins = pluggy.PluginManager("devpiserver")
        self.plugins.add_hookspecs(hookspecs)
        self.xom = SimpleNamespace(keyfs=self.keyfs, config=SimpleNamespace(hook=self.plugins.hook))
        self.thread = SimpleNamespace(sleep=self._sleep)

    def _sleep(self, _: float) -> None:
        self.pauses += 1

    def write_event_serial(self, serial: int) -> None:
        self.handled = serial

    def tick(self) -> None:
        self.told_after.append(self.pauses)


@pytest.mark.parametrize(("commits", "longest", "pauses"), [(0, 9.0, 1), (3, 9.0, 4), (3, 0.0, 0)])
def test_listeners_are_told_when_no_more_commits_come(commits: int, longest: float, pauses: int) -> None:
    """Or when they have waited for long enough."""
    thread = _Notifier(commits)
    thread.plugins.register(_Plugin())
    for _ in range(2):  # harmless when applied twice
        notifier.apply(thread.xom, quiet=0, longest=longest)
    thread.tick()
    assert (thread.told_after, thread.handled) == ([pauses], -1)


def test_with_no_listener_nothing_is_told() -> None:
    """Reading each commit again to find nobody costs more than the commit."""
    thread = _Notifier(3)
    notifier.apply(thread.xom, quiet=0)
    thread.tick()
    assert thread.handled == 3


def test_a_listener_that_comes_after_ours_is_told() -> None:
    """Plugins are set up one after the other."""
    thread = _Notifier(3)
    notifier.apply(thread.xom, quiet=0)
    thread.plugins.register(_Plugin())
    thread.tick()
    assert (thread.told_after, thread.handled) == ([4], -1)


def test_who_listens_to_keys_is_a_listener_too() -> None:
    """As a replica does, and as plugins may."""
    thread = _Notifier(0)
    assert not notifier.has_listeners(thread.xom)
    thread._on_key_change["PROJSIMPLELINKS"] = [lambda event: event]
    assert notifier.has_listeners(thread.xom)
