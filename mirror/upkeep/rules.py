"""Rules for `mirror prune`: from the command line, else from mirror.toml; releases of locks are kept."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from packaging.utils import canonicalize_version

from mirror.config import Prune
from mirror.lockfiles import environments, reader
from mirror.upkeep.prune import Rules
from packhorse import quantities
from packhorse.errors import PackhorseError

T = TypeVar("T")
PYTHONS = tuple(f"3.{minor}" for minor in range(8, 16))


@dataclass(frozen=True)
class Given:
    """Rules as they are written: --keep-last, --unused-for and --max-size, or [prune] of mirror.toml."""

    keep_last: int | None
    unused_for: str | None
    max_size: str | None

    def or_else(self, configured: Prune) -> "Given":
        """These, or the limits of `configured` when there are none; its keep_last holds in any case.

        Raises PackhorseError where nothing says what may go: keep_last of mirror.toml says what stays.
        """
        nothing = Given(None, None, None)
        asked = Given(None, configured.unused_for, configured.max_size) if self == nothing else self
        if asked in {nothing, Given(0, None, None)}:  # 0 alone would let all go
            raise PackhorseError(
                "No rule says what may go.",
                "Give --unused-for, --max-size or --keep-last,"
                " or set unused_for or max_size below [prune] in mirror.toml.",
            )
        return replace(asked, keep_last=configured.keep_last if self.keep_last is None else self.keep_last)


def of(given: Given, locks: Sequence[Path], folder: Path) -> Rules:
    """The rules that are meant; a share of the disk is one of that of `folder`. Raises PackhorseError."""
    age, most = given.unused_for, given.max_size
    return Rules(
        given.keep_last or 0,
        None if age is None else time.time() - _parsed("--unused-for", lambda: quantities.seconds(age)),
        None if most is None else _parsed("--max-size", lambda: quantities.size(most, folder)),
        _releases(locks),
    )


def _releases(locks: Sequence[Path]) -> frozenset[tuple[str, str]]:
    """The versions that `locks` pin for any Python on any platform."""
    anywhere = environments.wanted(PYTHONS, environments.PLATFORMS) if locks else ()
    pins = reader.read_all(map(str, locks), anywhere).only_pins()
    return frozenset((pin.project, canonicalize_version(pin.version)) for pin in pins)


def _parsed(option: str, parse: Callable[[], T]) -> T:
    try:
        return parse()
    except ValueError as error:
        raise PackhorseError(f"{option}: {error}", "Correct it and run the command again.") from error
