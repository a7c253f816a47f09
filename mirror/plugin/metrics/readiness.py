"""Decide whether the server may serve: database, disk, replica, policies."""

import os
import secrets
import shutil
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

REMEMBERED = 1.0  # seconds: who asks often shall not write often
LEAST_FREE = 64_000_000  # bytes; an upload or a download may need more
SILENCE = 300.0  # seconds, as devpi's own status has it: a replica that heard nothing for longer is behind
LAG = 100  # changes that a replica may lack while it hears of its primary

Check = Callable[[], str | None]


class Readiness:
    """Runs checks that return what is wrong, None when nothing is. Thread-safe."""

    def __init__(self, checks: Mapping[str, Check], clock: Callable[[], float] = time.monotonic) -> None:
        self._checks = dict(checks)
        self._clock = clock
        self._lock = threading.Lock()
        self._until = float("-inf")
        self._problems: dict[str, str] = {}

    def problems(self) -> Mapping[str, str]:
        """Problems by the name of their check; none when the server may serve."""
        with self._lock:
            if self._clock() >= self._until:
                found = {name: _run(check) for name, check in self._checks.items()}
                self._problems = {name: text for name, text in found.items() if text}
                self._until = self._clock() + REMEMBERED
            return self._problems


def _run(check: Check) -> str | None:
    try:
        return check()
    except Exception as error:  # noqa: BLE001 (a check that fails is a reason not to serve)
        return f"cannot be checked: {type(error).__name__}"


def of_process(xom: Any, folder: Path) -> dict[str, Check]:
    """The checks of one devpi-server process."""
    checks: dict[str, Check] = {"database": lambda: _database(xom), "disk": lambda: _disk(folder)}
    if xom.is_replica():
        checks["replica"] = lambda: _replica(xom, time.time())
    return checks


def _database(xom: Any) -> str | None:
    with xom.keyfs.get_connection() as connection:
        _ = connection.last_changelog_serial
    path = Path(xom.config.server_path, ".sqlite")
    if path.exists() and not os.access(path, os.W_OK):
        return "the database cannot be written"
    return None


def _disk(folder: Path) -> str | None:
    if shutil.disk_usage(folder).free < LEAST_FREE:
        return f"less than {LEAST_FREE // 1_000_000} MB are free"
    probe = folder / f"+ready-{secrets.token_hex(8)}"
    try:
        try:
            probe.write_bytes(b"1")
        finally:
            probe.unlink(missing_ok=True)
    except OSError as error:
        return f"it cannot be written: {error.strerror}"
    return None


def _replica(xom: Any, now: float) -> str | None:
    thread = xom.replica_thread
    primary, heard = thread.get_primary_serial(), thread.update_from_primary_at
    if primary is None or heard is None:
        return "it has not heard of its primary yet"
    lag = primary - xom.keyfs.get_current_serial()
    if lag > LAG:
        return f"it lacks {lag} changes of its primary"
    if now - heard > SILENCE:
        return f"it has not heard of its primary for {now - heard:.0f} s"
    return None
