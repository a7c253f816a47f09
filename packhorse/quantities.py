"""Sizes and times as people write them: 50G, 80% of a disk, 90d."""

import re
import shutil
import string
from pathlib import Path

_UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
_SIZE = re.compile(r"([0-9]{1,15}(?:\.[0-9]{1,6})?) ?([KMGT]?)(i?)B?", re.IGNORECASE)
_PERCENT = re.compile(r"([1-9][0-9]?|100)%")
_SECONDS = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86_400, "w": 7 * 86_400}
_TIME = re.compile(r"([1-9][0-9]{0,5})(s|m|min|h|d|w)")


def size(text: str, folder: Path) -> int:
    """Bytes of "50G" (10^9 each), "50GiB" (2^30 each), "80%" of the disk of `folder`, "512B", "0".

    Raises ValueError, also for a number alone: who writes 100 may mean gigabytes.
    """
    if percent := _PERCENT.fullmatch(text):
        return shutil.disk_usage(folder).total * int(percent[1]) // 100
    found = _SIZE.fullmatch(text)
    if found and text[-1] not in string.ascii_letters and float(found[1]):
        raise ValueError(
            f'"{text}" has no unit, such as "{found[1]}G", "{found[1]}M" or "{found[1]}B" (bytes)'
        )
    if found is None or (found[3] and not found[2]):
        raise ValueError(f'"{text}" is no size, such as "50G", "500M" or "80%" (of the disk)')
    unit = _UNITS[found[2].upper()]
    binary = 1024 ** list(_UNITS).index(found[2].upper())
    return int(float(found[1]) * (binary if found[3] else unit))


def seconds(text: str) -> int:
    """Seconds of "90d", "12h", "4w", "30m" or "30min", "90s". Raises ValueError."""
    found = _TIME.fullmatch(text)
    if found is None:
        raise ValueError(f'"{text}" is no time, such as "90d", "12h", "4w" or "30min"')
    return int(found[1]) * _SECONDS[found[2]]


def shown(count: float) -> str:
    """Bytes for people: "1.2 GB"."""
    for unit in ("B", "kB", "MB", "GB"):
        if abs(count) < 1000:
            return f"{count:.0f} B" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"
