"""devpi's listeners wait for the end of a burst of commits, and not for ever."""

from types import SimpleNamespace

import pytest

from mirror.plugin import listeners


class _Notifier:
    """A commit during each of the first `commits` pauses."""

    def __init__(self, commits: int) -> None:
        self.pauses = 0
        self.told_after: list[int] = []
        self.keyfs = SimpleNamespace(get_current_serial=lambda: min(self.pauses, commits), notifier=self)
        self.thread = SimpleNamespace(sleep=self._sleep)

    def _sleep(self, _: float) -> None:
        self.pauses += 1

    def tick(self) -> None:
        self.told_after.append(self.pauses)


@pytest.mark.parametrize(("commits", "longest", "pauses"), [(0, 9.0, 1), (3, 9.0, 4), (3, 0.0, 0)])
def test_listeners_are_told_when_no_more_commits_come(commits: int, longest: float, pauses: int) -> None:
    """Or when they have waited for long enough."""
    notifier = _Notifier(commits)
    listeners.be_patient(notifier.keyfs, quiet=0, longest=longest)
    notifier.tick()
    assert notifier.told_after == [pauses]
