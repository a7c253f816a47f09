"""Bring backups to the developer, and to a host: its own, copies of another host, files."""

import hashlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, Any

from packhorse import files
from packhorse.errors import PackhorseError
from release.services import answers, reach
from release.services.databases import Place

SUFFIXES = {"postgresql": "dump", "mariadb": "sql", "redis": "rdb"}
LARGEST_HEADER = 2**20


def copies(host: reach.Host, place: Place) -> tuple[list[answers.Backup], list[PackhorseError]]:
    """The copies that `host` keeps of a database, oldest first, and why some are left out."""
    found = answers.read(answers.Copies, host.converse([reach.COPIES, "list", place.name]), host.name)
    known, failures = [], []
    for each in found.copies:
        try:
            known.append(answers.read(answers.Backup, each, host.name))
        except PackhorseError as error:
            name = f"{each.get('name')!r:.60} of {each.get('origin')!r:.60}"
            failures.append(PackhorseError(f"A copy is left out, {name}: {error.message}", error.hint))
    own = [each for each in known if each.database == place.name]
    return sorted(own, key=lambda each: (each.name[:16], len(each.name), each.name)), failures


def choose(
    known: Sequence[answers.Backup], place: Place, wanted: str | None, sender: str | None
) -> answers.Backup:
    """The copy `wanted` of those that hold a database (None: the newest) which its own host brought.

    One that another host brought has to be named, or its host, `sender`: whoever took that over may have made
    it. Raises PackhorseError when there is none such.
    """
    fitting = [each for each in known if wanted in (None, each.name) and sender in (None, each.sender)]
    # Earlier versions had the host alone for an origin.
    own = [each for each in fitting if each.origin in (place.origin, place.host)]
    senders = list(dict.fromkeys(each.sender for each in fitting))
    if own:
        return own[-1]
    if (wanted or sender) and len(senders) == 1:
        return fitting[-1]
    restore = f"release services restore {place.service} {place.target}"
    name = f" {wanted}" if wanted else ""
    if senders:
        raise PackhorseError(
            f"{place.host} has no backup{name} of {place.name}, nor brought a copy; "
            f"others have: {', '.join(senders)}.",
            f"Say whose copy you want, if you trust that host: {restore}{name} --from {senders[-1]}",
        )
    raise PackhorseError(
        f"There is no backup{name} of {place.name}{f' from {sender}' if sender else ''}.",
        f"There are: release services backups {place.service} {place.target}",
    )


def fetch(host: reach.Host, place: Place, name: str | None, folder: Path) -> Path:
    """Bring the backup `name` (None: the newest) into `folder`: a file of its server's form, and its header.

    Raises PackhorseError when it does not arrive whole.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=folder, prefix=".packhorse-") as scratch:
        line = json.dumps({"name": place.name, "backup": name}).encode() + b"\n"
        host.fetch([reach.BACKUP, "export"], line, scratch.file)
        scratch.seek(0)
        header = scratch.readline(LARGEST_HEADER)
        found = _header(header, host.name)
        path = folder / f"{place.name}-{found['name']}.{SUFFIXES[place.kind]}"
        _keep(scratch.file, path, found["sha256"], host.name)
    files.write_whole(Path(f"{path}.json"), header, mode=0o600)
    return path


def _keep(source: IO[bytes], path: Path, sha256: str, host: str) -> None:
    """Copy the rest of `source` to `path`, if it has this hash."""
    part, digest = path.with_name(f".{path.name}.part"), hashlib.sha256()
    try:
        with os.fdopen(
            os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600), "wb"
        ) as to:
            while data := source.read(2**20):
                digest.update(data)
                to.write(data)
            to.flush()
            os.fsync(to.fileno())
        if digest.hexdigest() != sha256:
            raise PackhorseError(f"The backup did not arrive whole from {host}.", "Run the command again.")
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _header(line: bytes, host: str) -> dict[str, Any]:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        found = None
    shown = {"rows": 0, "tables": 0, "name": "", **(found if isinstance(found, dict) else {})}
    rows = shown["rows"] if isinstance(shown["rows"], dict) else {}
    answers.read(answers.Backup, {**shown, "rows": 0, "tables": len(rows)}, host)
    return dict(shown)


def bring_file(host: reach.Host, place: Place, path: Path, show: Callable[[str], None]) -> str:
    """Bring the file at `path` to the host as a backup, and return its name there.

    A file that `fetch` has written, or a dump of another server: whose rows nobody has counted.
    """
    try:
        with path.open("rb") as file:
            header = _described(place, path, file)
            line = json.dumps({"name": place.name}).encode() + b"\n" + json.dumps(header).encode() + b"\n"

            def feed(stdin: IO[bytes]) -> None:
                with stdin:
                    stdin.write(line)
                    shutil.copyfileobj(file, stdin, 2**20)

            return _imported(host, feed, show)
    except OSError as error:
        raise PackhorseError(
            f"{path} cannot be read: {error.strerror}.", "Name a file of a backup."
        ) from error


def bring_copy(
    host: reach.Host, place: Place, source: reach.Host, copy: answers.Backup, show: Callable[[str], None]
) -> str:
    """Bring a copy that the host `source` keeps to `host` as a backup, and return its name there."""
    show(f"Bringing {copy.name} from {source.name}, a copy of {copy.sender}")

    def feed(stdin: IO[bytes]) -> None:
        with stdin:
            stdin.write(json.dumps({"name": place.name}).encode() + b"\n")
            source.fetch([reach.COPIES, "send", copy.origin, copy.database, copy.name], b"", stdin)

    return _imported(host, feed, show)


def _imported(host: reach.Host, feed: Callable[[IO[bytes]], None], show: Callable[[str], None]) -> str:
    found = answers.read(answers.Made, host.converse([reach.BACKUP, "import"], feed, show), host.name)
    if found.backup is None:
        raise PackhorseError(f"{host.name} does not say what it has kept.", "Run the command again.")
    return found.backup.name


def _described(place: Place, path: Path, file: IO[bytes]) -> dict[str, Any]:
    """The header of the backup in a file."""
    beside = Path(f"{path}.json")
    if beside.exists():
        return _header(beside.read_bytes()[:LARGEST_HEADER], str(beside))
    start = file.read(5)
    if place.kind == "postgresql" and start != b"PGDMP":
        raise PackhorseError(
            f"{path} is no dump in pg_dump's own format.",
            f"Make it with pg_dump -Fc; what is SQL goes into: release services shell {place.service} "
            f"{place.target} < {path.name}",
        )
    digest, size = hashlib.sha256(start), len(start)
    while data := file.read(2**20):
        digest.update(data)
        size += len(data)
    file.seek(0)
    name = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    return {
        "name": name,
        "database": place.name,
        "kind": place.kind,
        "version": "",
        "size": size,
        "sha256": digest.hexdigest(),
        "why": "foreign",
        "rows": {},
        "facts": {},
    }
