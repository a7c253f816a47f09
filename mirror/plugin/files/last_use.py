"""Last use of a stored file: the time at which somebody last read it, which the kernel keeps (st_atime).

nginx sends files without asking us, and the kernel notes that too, once a day (`relatime` of mount(8)). So
nothing is written for a download, and what reads a file for other reasons opens it by
`packhorse.files.open_unnoticed`.
"""

import contextlib
import os
import secrets
import time
from pathlib import Path

DAY = 86_400  # seconds


def of(found: os.stat_result) -> float:
    """Seconds since the epoch; a file that nobody has read counts as used when it was stored."""
    return max(found.st_atime, found.st_mtime)


def note(path: Path) -> None:
    """Note a use now, once a day: a file system that is mounted with noatime does not."""
    with contextlib.suppress(OSError):  # it was removed, or is not ours
        found = path.stat()
        now = time.time()
        if now - of(found) > DAY:
            os.utime(path, ns=(int(now * 1e9), found.st_mtime_ns))


def is_kept(folder: Path) -> bool:
    """Whether the file system of `folder` notes when a file is read. Tries it with a file there."""
    probe = folder / f".last-use-{secrets.token_hex(8)}"
    try:
        probe.write_bytes(b"x")
        os.utime(probe, (0, 0))
        probe.read_bytes()
        return probe.stat().st_atime > 0
    except OSError:  # no folder yet, or a full disk: nobody knows
        return True
    finally:
        probe.unlink(missing_ok=True)
