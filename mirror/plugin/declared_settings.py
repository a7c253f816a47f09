"""Settings of mirror.toml that `mirror init` declares to the server: one JSON under one key of its database.

Each kind is in the database, so replicated, and in every backup and export; only root may see and change it.
"""

import json
from collections.abc import Callable
from functools import lru_cache
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class DeclaredSettings(Generic[T]):
    """One kind of these settings, with what they mean."""

    def __init__(self, name: str, parse: Callable[[Any], T], field: str = "settings") -> None:
        """`parse` may raise ValueError; `field` has the JSON in the value of the key."""
        self.name = name
        self.key = f"PACKHORSE_{name.upper()}"  # of keyfs
        self.path = f"+{name}"  # of that key, and of the view
        self.exported_as = f"packhorse_{name}"  # key of dataindex.json
        self._field = field
        self._parsed = lru_cache(maxsize=8)(lambda text: parse(json.loads(text)))

    def add_key(self, keyfs: Any) -> None:
        """Declare the key."""
        keyfs.add_key(self.key, self.path, dict)

    def settings(self, keyfs: Any) -> Any:
        """The settings as mirror.toml has them; {} before the first `mirror init`. Needs a transaction."""
        return json.loads(self._text(keyfs))

    def read(self, keyfs: Any) -> T:
        """The settings in force, as `parse` makes them. Needs a transaction."""
        return self._parsed(self._text(keyfs))

    def declare(self, keyfs: Any, settings: Any) -> None:
        """Put settings in force. Needs a write transaction; raises ValueError as `parse` does."""
        # One string: devpi copies and wraps every container that it stores.
        text = json.dumps(settings, sort_keys=True)
        self._parsed(text)
        keyfs.get_key(self.key).set({self._field: text})

    def _text(self, keyfs: Any) -> str:
        return str(keyfs.get_key(self.key).get().get(self._field, "{}"))
