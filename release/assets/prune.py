"""Remove from the bucket what this project has pushed, and no release needs that a host still has."""

import threading
from collections.abc import Callable, Collection, Mapping
from typing import Any

from packhorse.errors import PackhorseError
from release.assets.bucket import Store
from release.assets.push import in_parallel


class Prune:
    """Removes objects below `prefix` while all `hosts` hold their locks, so that no deploy counts on them.

    `hear` gets their events: each names the files of its releases. Of what they do not need, the `agreed`
    names alone are removed; None: all. What others have put below the prefix is `foreign`, and stays.
    """

    def __init__(
        self, store: Store, prefix: str, hosts: Collection[str], agreed: frozenset[str] | None
    ) -> None:
        self.store, self.prefix, self.hosts, self.agreed = store, prefix, hosts, agreed
        self.unneeded: list[str] = []
        self.foreign: list[str] = []
        self.removed: list[str] = []
        self.there = 0
        self._names: dict[str, list[str]] = {}
        self._errors: dict[str, str] = {}
        self._stopped = threading.Event()

    def hear(self, host: str, event: Mapping[str, Any]) -> None:
        """Take an event of a host."""
        if event["event"] == "error":
            self._errors[host] = str(event["message"])
        if event["event"] == "gate" and event["name"] == "start":
            names = event.get("names")
            if isinstance(names, list) and all(isinstance(name, str) for name in names):
                self._names[host] = names

    def stop(self) -> None:
        """Let `run` end soon."""
        self._stopped.set()

    def run(self, say: Callable[[str, str], None]) -> None:
        """Find what is not needed, and remove it. Raises PackhorseError unless all hosts have been heard."""
        self.require_all()
        needed = {f"{self.prefix}{name}" for names in self._names.values() for name in names}
        stored = self.store.stored(self.prefix, self._stopped)
        unneeded = sorted(stored.keys() - needed)
        own: dict[str, bool] = {}
        in_parallel(
            *(unneeded, lambda key: own.update({key: self.store.is_own(key)}), lambda: None, self._stopped)
        )
        self.there = len(stored)
        self.foreign = [key for key in unneeded if not own[key]]
        self.unneeded = [key for key in unneeded if own[key]]
        self.removed = [key for key in self.unneeded if self.agreed is None or key in self.agreed]
        if self.removed:
            say("assets", f"Removing {len(self.removed)} of {len(stored)} objects")
            in_parallel(self.removed, self.store.delete, lambda: None, self._stopped)

    def require_all(self) -> None:
        """Raise PackhorseError unless all hosts have said what they need."""
        for host in self.hosts:
            if host not in self._names:
                reason = self._errors.get(host, "it did not say which files its releases need.")
                raise PackhorseError(
                    f"{host}: {reason}",
                    "Nothing was removed: what a host may need stays. A host that is gone for good leaves "
                    "release.toml.",
                )
