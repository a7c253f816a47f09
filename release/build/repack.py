"""Repack a wheel or sdist reproducibly, with Procfile, lock and manifest inside."""

import base64
import csv
import gzip
import hashlib
import io
import tarfile
import time
import zipfile
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path, PurePosixPath
from typing import IO

from packhorse import sdists
from packhorse.errors import PackhorseError

_SIGNATURES = ("RECORD.jws", "RECORD.p7s")  # not listed in RECORD (binary distribution format)


def wheel(
    source: Path, target: Path, stamped: Mapping[str, bytes], epoch: int, programs: Collection[str] = ()
) -> None:
    """Write the wheel `source` to `target` with the files `stamped` (name -> content) in its dist-info.

    `programs` are those of them that can be executed.
    Entries are sorted, dist-info last; times, modes and compression are fixed; RECORD is made anew.
    """
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        info = dist_info(old)
        record = f"{info}/RECORD"
        added = {f"{info}/{name}": content for name, content in stamped.items()}
        members = {entry.filename: entry for entry in old.infolist() if not entry.is_dir()}
        rows = []
        for name in sorted(
            {*members, *added} - {record}, key=lambda name: (name.startswith(f"{info}/"), name)
        ):
            executable = name.partition("/")[2] in programs if name in added else _is_program(members[name])
            content = io.BytesIO(added[name]) if name in added else old.open(members[name])
            with content, new.open(_zip_entry(name, epoch, executable=executable), "w") as out:
                row = (name, *_copy(content, out))
            if PurePosixPath(name).name not in _SIGNATURES:
                rows.append(row)
        new.writestr(_zip_entry(record, epoch, executable=False), _record([*rows, (record, "", "")]))


def _is_program(entry: zipfile.ZipInfo) -> bool:
    return bool(entry.external_attr >> 16 & 0o100)


def dist_info(archive: zipfile.ZipFile) -> str:
    """The name of the wheel's one `*.dist-info` folder."""
    roots = {name.partition("/")[0] for name in archive.namelist()}
    return _only(
        (root for root in roots if root.endswith(".dist-info")), f"{archive.filename}: dist-info folder"
    )


def _zip_entry(name: str, epoch: int, *, executable: bool) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, time.gmtime(max(epoch, 315532800))[:6])  # zip knows no time before 1980
    entry.create_system = 3  # Unix: where the mode counts
    entry.external_attr = (0o100755 if executable else 0o100644) << 16
    entry.compress_type = zipfile.ZIP_DEFLATED
    return entry


def _record(rows: Iterable[tuple[str, str, str]]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode()


def _copy(content: IO[bytes], out: IO[bytes]) -> tuple[str, str]:
    """Copy all of it; returns hash and size as RECORD has them (urlsafe base64 without padding)."""
    digest, size = hashlib.sha256(), 0
    while piece := content.read(2**20):
        digest.update(piece)
        size += out.write(piece)
    return "sha256=" + base64.urlsafe_b64encode(digest.digest()).rstrip(b"=").decode(), str(size)


def sdist(
    source: Path, target: Path, stamped: Mapping[str, bytes], epoch: int, programs: Collection[str] = ()
) -> None:
    """Write the sdist `source` to `target` with the files `stamped` (name -> content) at its root.

    `programs` are those of them that can be executed.
    Entries are sorted; times, modes, owners and compression are fixed.
    """
    with (
        sdists.Archive.open(source, "r:gz") as old,
        target.open("wb") as file,
        gzip.GzipFile("", "wb", fileobj=file, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as new,
    ):
        members = {entry.name: entry for entry in old.getmembers()}
        root = sdist_root(old)
        added = {f"{root}/{name}": content for name, content in stamped.items()}
        for name in sorted({*members, *added}):
            if name in added:
                entry = tarfile.TarInfo(name)
                entry.size = len(added[name])
                entry.mode = 0o755 if name.partition("/")[2] in programs else 0o644
                content: IO[bytes] | None = io.BytesIO(added[name])
            else:
                entry, content = members[name], _content(old, members[name])
            new.addfile(_tar_entry(entry, epoch), content)


def sdist_root(archive: tarfile.TarFile) -> str:
    """The name of the one folder in an sdist."""
    return _only({name.partition("/")[0] for name in archive.getnames()}, f"{archive.name!s}: root folder")


def _only(found: Iterable[str], what: str) -> str:
    names = sorted(found)
    if len(names) != 1:
        raise PackhorseError(
            f"{what}: one is expected, there are {len(names)} ({', '.join(names)}).",
            "The project's build backend made a broken artifact: look at its settings.",
        )
    return names[0]


def _content(archive: tarfile.TarFile, entry: tarfile.TarInfo) -> IO[bytes] | None:
    if entry.islnk():  # a second name of the same file: becomes a file of its own
        original = archive.getmember(entry.linkname)
        entry.type, entry.linkname, entry.size = tarfile.REGTYPE, "", original.size
        return archive.extractfile(original)
    return archive.extractfile(entry) if entry.isreg() else None


def _tar_entry(entry: tarfile.TarInfo, epoch: int) -> tarfile.TarInfo:
    entry.mode = 0o755 if entry.isdir() or entry.mode & 0o100 else 0o644
    entry.mtime, entry.pax_headers = epoch, {}
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = ""
    return entry
