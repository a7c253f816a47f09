"""Drop rendered pages before devpi commits a change to what they were made from."""

from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from typing import Any
from weakref import WeakKeyDictionary

from devpi_server import keyfs

from mirror.plugin.pages import dependencies
from mirror.plugin.pages.store import PageStore

_stores: WeakKeyDictionary[keyfs.KeyFS, PageStore] = WeakKeyDictionary()


class Transaction(keyfs.Transaction):
    """devpi's transaction, whose commit takes away the pages that it makes untrue."""

    def commit(self) -> int:
        store = _stores.get(self.keyfs)
        if store is None or not self.write or self.doomed:
            return super().commit()
        with _changing(store, self.dirty):
            return super().commit()


def apply(fs: keyfs.KeyFS, store: PageStore) -> None:
    """From now on no commit in `fs` is answered while a page in `store` shows the state before it."""
    _stores[fs] = store
    keyfs.Transaction = Transaction  # type: ignore[misc]  # KeyFS and Transaction.restart use this name

    def import_and_drop(serial: int, changes: dict[Any, Any]) -> None:
        """Apply the changes of a primary to this replica."""
        keys = [fs.get_key_instance(name, path) for path, (name, _, _) in changes.items()]
        with _changing(store, keys):
            keyfs.KeyFS.import_changes(fs, serial, changes)

    fs.import_changes = import_and_drop  # type: ignore[method-assign]


def _changing(store: PageStore, keys: Iterable[Any]) -> AbstractContextManager[None]:
    projects = dependencies.projects_of(keys)
    return nullcontext() if projects == set() else store.changing(projects)
