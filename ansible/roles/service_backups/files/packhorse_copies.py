#!/usr/bin/python3 -I
"""Keep copies of other hosts' backups: sshd runs `packhorse-copies receive ORIGIN` for keys that do no more.

ORIGIN is APPLICATION_SERVICE@HOST, whose databases alone its key can add. Nothing that arrives replaces or
removes a copy. After a new one, those that are older than the days are removed, as far as enough newer ones
stay: a host that was taken over cannot push old ones out before.

    packhorse-copies receive ORIGIN KEEP DAYS      a backup on stdin
    packhorse-copies list [DATABASE]               as JSON, for root
    packhorse-copies send ORIGIN DATABASE NAME     to stdout, for root

Below /var/backups/packhorse-copies there are ORIGIN/DATABASE/NAME.dump and NAME.json. Earlier versions had
HOST for ORIGIN: `receive` takes such a folder over when the first new copy of the database arrives.
"""

import contextlib
import fcntl
import hashlib
import json
import os
import pwd
import re
import sys
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

ROOT = Path("/var/backups/packhorse-copies")
USER = "packhorse-copies"
CHUNK = 2**20
LARGEST_HEADER = 2**20
FREE_PART = 10
"""One of so many parts of the disk stays free, whatever arrives."""
HOST_PART = 2
"""One of so many parts of the disk is the most that copies of one host take, of bytes and of files."""
MOST_COPIES = 10_000
"""Copies of one origin, all of which a list names."""
FIELDS = ("name", "database", "kind", "version", "size", "sha256", "why", "rows", "facts")
_HOST = r"[A-Za-z0-9_:][A-Za-z0-9_.:-]{0,252}"
_ORIGIN = re.compile(rf"([a-z0-9-]{{1,60}})_([a-z0-9-]{{1,60}})@({_HOST})")
_ANY_ORIGIN = re.compile(rf"{_ORIGIN.pattern}|{_HOST}")
_DATABASE = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
_NAME = re.compile(r"[0-9]{8}T[0-9]{6}Z(-[0-9]{1,3})?")
_WORD = re.compile(r"[A-Za-z0-9_.+:@/-]{0,300}")
LARGEST_NUMBER = 2**63 - 1
CLOCKS_APART = 300
"""Seconds that the clock of another host may be ahead."""


class CopyError(Exception):
    """Error in an upload: its text says what is wrong."""


def header(line: bytes) -> dict[str, Any]:
    """The header of a backup, in the form that `release` reads without complaint. Raises CopyError."""
    with contextlib.suppress(ValueError, RecursionError, KeyError, TypeError, AttributeError):
        found = json.loads(line)
        datetime.strptime(found["name"][:16], "%Y%m%dT%H%M%S%z")
        if (
            _NAME.fullmatch(found["name"])
            and _DATABASE.fullmatch(found["database"])
            and re.fullmatch(r"[0-9a-f]{64}", found["sha256"])
            and all(_WORD.fullmatch(found.get(key, "")) for key in ("kind", "version", "why"))
            and all(isinstance(text, str) for text in found.get("facts", {}).values())
            and all(
                type(number) is int and number >= 0 for number in (found["size"], *found["rows"].values())
            )
            and max(found["size"], sum(found["rows"].values())) <= LARGEST_NUMBER
        ):
            return {key: found[key] for key in FIELDS if key in found}
    raise CopyError("that is no backup")


def receive(origin: str, keep: int, days: int) -> None:
    """Add the backup on stdin to those of `origin`. Raises CopyError."""
    found = header(sys.stdin.buffer.readline(LARGEST_HEADER))
    if not _is_of(origin, found["database"]):
        raise CopyError(f"{found['database']} is no database of {origin}")
    if found["name"][:16] > time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(time.time() + CLOCKS_APART)):
        raise CopyError(f"{found['name']} lies in the future: look at the clocks of both hosts")
    folder, host = ROOT / origin / found["database"], origin.partition("@")[2]
    with _locked(ROOT / f".lock-{host}"):  # its share is counted for all its origins together
        former = ROOT / host / found["database"]  # the layout of earlier versions
        if former.is_dir() and not folder.exists():
            folder.parent.mkdir(exist_ok=True)
            former.rename(folder)
        for left in (ROOT / origin).glob("*/.new-*"):
            left.unlink()
        final = folder / f"{found['name']}.dump"
        if final.with_suffix(".json").exists():
            known = json.loads(final.with_suffix(".json").read_bytes())
            if known["sha256"] != found["sha256"]:
                raise CopyError(f"there is another copy named {found['name']}, which stays")
        else:
            final.unlink(missing_ok=True)  # half of one that was killed: without .json
            _require_share(origin, found["size"])
            _require_free(found["size"])
            folder.mkdir(parents=True, exist_ok=True)
            try:
                _store(found, folder, final)
            except CopyError:
                with contextlib.suppress(OSError):  # it has other copies
                    folder.rmdir()
                raise
        _prune(folder, keep, days)


def _is_of(origin: str, database: str) -> bool:
    """Whether APP_TARGET_SERVICE is one of APP_SERVICE@HOST."""
    names = database.split("_")
    return len(names) == 3 and f"{names[0]}_{names[2]}" == origin.partition("@")[0]


def _require_share(origin: str, size: int) -> None:
    """Raise CopyError where copies of one host would be too many, or leave others too little of the disk."""
    space, sizes, own = os.statvfs(ROOT), [], f"*@{origin.partition('@')[2]}"
    for path in (*ROOT.glob(f"{own}/*"), *ROOT.glob(f"{own}/*/*")):  # folders count, too
        with contextlib.suppress(FileNotFoundError):  # pruned meanwhile
            sizes.append(path.stat().st_blocks * 512)
    if sum(1 for _ in ROOT.glob(f"{origin}/*/*.json")) >= MOST_COPIES:
        raise CopyError(f"{origin} has {MOST_COPIES} copies here, and may have no more")
    if (sum(sizes) + size) * HOST_PART > space.f_blocks * space.f_frsize:
        raise CopyError(f"copies of this host would take more than 1/{HOST_PART} of the disk")
    if len(sizes) * HOST_PART > space.f_files > 0:
        raise CopyError(f"copies of this host take more than 1/{HOST_PART} of the files of this disk")


def _require_free(size: int) -> None:
    """Raise CopyError where `size` more bytes and a file leave less than a tenth of the disk free."""
    space = os.statvfs(ROOT)
    if size > (space.f_bavail - space.f_blocks / FREE_PART) * space.f_frsize:
        raise CopyError(f"{size} bytes leave less than 1/{FREE_PART} of the disk free")
    if space.f_files and space.f_favail * FREE_PART < space.f_files:
        raise CopyError(f"less than 1/{FREE_PART} of the files of the disk are free")


def _store(found: dict[str, Any], folder: Path, final: Path) -> None:
    scratch = folder / f".new-{os.getpid()}"
    note = scratch.with_suffix(".json")
    digest, left = hashlib.sha256(), found["size"]
    try:
        with os.fdopen(os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            while left and (data := sys.stdin.buffer.read(min(CHUNK, left))):
                _require_free(len(data))  # others write, too
                file.write(data)
                digest.update(data)
                left -= len(data)
            if left or digest.hexdigest() != found["sha256"]:
                raise CopyError("it did not arrive whole")
            file.flush()
            os.fsync(file.fileno())
        with os.fdopen(os.open(note, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file_of_note:
            json.dump(found, file_of_note)
            file_of_note.flush()
            os.fsync(file_of_note.fileno())
        scratch.rename(final)
        note.rename(final.with_suffix(".json"))
    except OSError as error:
        raise CopyError(f"it could not be written: {error.strerror}") from error
    finally:
        scratch.unlink(missing_ok=True)
        note.unlink(missing_ok=True)


def _prune(folder: Path, keep: int, days: int) -> None:
    for path in sorted(folder.glob("*.json"))[:-keep]:
        if path.stat().st_mtime < time.time() - days * 86400:
            path.unlink()
            path.with_suffix(".dump").unlink(missing_ok=True)


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def listed(database: str) -> list[dict[str, Any]]:
    """All copies of `database` ("*": of all) that are sound, in fixed keys; `origin`: who brought them."""
    found = []
    for path in sorted(ROOT.glob(f"*/{database}/*.json")):
        with contextlib.suppress(CopyError, OSError):
            one = header(path.read_bytes()[:LARGEST_HEADER])
            shown = {key: one[key] for key in ("name", "database", "size", "sha256")}
            shown |= {key: one.get(key, "") for key in ("kind", "version", "why")}
            rows = {"rows": sum(one["rows"].values()), "tables": len(one["rows"])}
            found.append({**shown, **rows, "origin": path.parts[-3]})
    return found


def send(origin: str, database: str, name: str) -> None:
    """Write a copy to stdout, its header first."""
    path = ROOT / origin / database / f"{name}.json"
    sys.stdout.buffer.write(json.dumps(json.loads(path.read_bytes())).encode() + b"\n")
    with path.with_suffix(".dump").open("rb") as file:
        while data := file.read(CHUNK):
            sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()


def main(arguments: list[str]) -> int:
    """Run a command, never as root: who wrote the files may have put links among them."""
    os.umask(0o077)
    if os.geteuid() == 0:
        entry = pwd.getpwnam(USER)
        os.setgroups([])
        os.setgid(entry.pw_gid)
        os.setuid(entry.pw_uid)
    try:
        match arguments:
            case ["receive", origin, keep, days] if _ORIGIN.fullmatch(origin):
                receive(origin, max(1, int(keep)), int(days))
                print("kept")  # noqa: T201
            case ["list"]:
                print(json.dumps({"copies": listed("*")}))  # noqa: T201
            case ["list", database] if _DATABASE.fullmatch(database):
                print(json.dumps({"copies": listed(database)}))  # noqa: T201
            case ["send", origin, database, name] if (
                _ANY_ORIGIN.fullmatch(origin) and _DATABASE.fullmatch(database) and _NAME.fullmatch(name)
            ):
                send(origin, database, name)
            case ["receive", *_]:  # in lines of authorized_keys of earlier versions, for all databases
                print("an old key: run release provision where you deploy", file=sys.stderr)  # noqa: T201
                return 1
            case _:
                print(__doc__, file=sys.stderr)  # noqa: T201
                return 2
    except (CopyError, OSError) as error:
        print(f"packhorse-copies: {error}", file=sys.stderr)  # noqa: T201
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
