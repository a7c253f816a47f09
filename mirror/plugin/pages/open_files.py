"""Links to the files and metadata that nginx may serve: all, or those that policies allow.

    open/<user>/<index>/files     user and index as in the address of a file, then "+f/abc/0123456789abc/name"
    open/<user>/<index>/metadata  then "abc/0123456789abc", the part of a wheel's address that its hash makes

Without any policy both are links to whole folders, and nobody looks at single files. Otherwise each file gets
a link when it was asked for and allowed; what makes an answer about a project untrue takes its links away.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from devpi_server.log import threadlog

from mirror.plugin.pages.store import PageKey, PageStore


@dataclass(frozen=True)
class ServedFile:
    """A file or its metadata, asked for on the index of `key`; devpi keeps it at "user/name/+f/…"."""

    key: PageKey
    held_at: str
    is_metadata: bool

    @property
    def folder(self) -> str:
        return f"{self.key.index}/{'metadata' if self.is_metadata else 'files'}"

    @property
    def name(self) -> str:
        """The rest of its address below `folder`."""
        parts = self.held_at.split("/")
        return "/".join(parts[3:5] if self.is_metadata else parts[2:])


class OpenFiles:
    """The links of one server folder."""

    def __init__(self, store: PageStore, files: Path, metadata: Path) -> None:
        self._store = store
        self._files = files
        self._metadata = metadata

    def has(self, served: ServedFile) -> bool:
        """Whether nginx may serve it already."""
        return self._store.is_linked(f"{served.folder}/{served.name}")

    def open(
        self, served: ServedFile, is_true: Callable[[], bool], *, is_restricted: bool, protected: bool
    ) -> None:
        """Let nginx serve it, or all that is like it if policies allow that; `protected`: to some."""
        link = partial(self._store.link, protected=protected, is_true=is_true)
        key = served.key
        if is_restricted:
            of_index = self._metadata / "/".join(served.held_at.split("/")[:2])
            held = of_index / served.name if served.is_metadata else self._files / served.held_at
            self._link(link, key, f"{served.folder}/{served.name}", held, key.project)
        else:
            every = self._metadata if served.is_metadata else self._files
            self._link(link, key, served.folder, every / key.index, None)

    def _link(
        self, link: Callable[..., None], key: PageKey, address: str, held: Path, project: str | None
    ) -> None:
        if key.path is None or self._store.is_linked(address) or not held.exists():
            return
        try:
            link(address, held.absolute(), project)
        except OSError as error:  # a full disk: devpi-server goes on to serve the file
            threadlog.error("nginx cannot serve %s: %s", address, error)
