"""Read the tar archives of sdists of anybody, within limits on headers, members and what they unpack to."""

import gzip
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

LARGEST = 4 * 2**30  # bytes that are unpacked: an archive may unpack without end
MOST_MEMBERS = 100_000  # tarfile remembers each
LARGEST_HEADER = 2**20  # bytes of one header: tarfile reads it at once
LARGEST_HEADERS = 64 * 2**20  # bytes of memory: tarfile keeps long names, times, comments of all members
RECORD = 200  # bytes of memory that each record of a header takes, at least
LONGEST_CHAIN = 20  # headers of one member: tarfile calls itself for each
LARGEST_PYPROJECT = 1_000_000
_PAX = {tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE}
_HEADERS = {*_PAX, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK}


class LimitError(tarfile.ReadError):
    """An archive is beyond a limit; the text quotes nothing of it."""


class _Member(tarfile.TarInfo):
    """A member of an Archive: its methods are where tarfile lets classes interfere."""

    def _proc_member(self, archive: "Archive") -> tarfile.TarInfo:
        if self.type in _HEADERS:
            archive.chain += 1
            if not 0 <= self.size <= LARGEST_HEADER or archive.chain > LONGEST_CHAIN:
                raise LimitError("the archive has a header that is too large, or too many for one member")
            archive.keep(self.size)
        archive.keep(RECORD * len(archive.pax_headers))  # those for all members, of which each has a copy
        try:
            found: tarfile.TarInfo = super()._proc_member(archive)  # type: ignore[misc]  # typeshed lacks it
        except ValueError as error:
            raise tarfile.ReadError("a header that says no number, or is no text") from error
        archive.chain = 0
        if self.type in _PAX:
            archive.keep(RECORD * len(found.pax_headers))
        # The next header is where the sizes in headers lead: far behind the end, or back to a member before.
        if not found.offset_data <= archive.offset <= LARGEST:
            raise LimitError(f"the archive unpacks to more than {LARGEST >> 30} GiB, or leads back")
        return found

    def _refuse(self, *_: object) -> tarfile.TarInfo:
        raise LimitError("the archive has a sparse file, whose map may be of any size")

    _proc_sparse = _proc_gnusparse_00 = _proc_gnusparse_01 = _proc_gnusparse_10 = _refuse


class Archive(tarfile.TarFile):
    """A tar of anybody: what it makes tarfile keep has a bound, and it leads forward only."""

    tarinfo = _Member
    chain = 0
    kept = 0

    def keep(self, size: int) -> None:
        """Count so many bytes of memory. Raises LimitError."""
        self.kept += size
        if self.kept > LARGEST_HEADERS:
            raise LimitError(f"the archive has headers of more than {LARGEST_HEADERS >> 20} MiB")


def members(file: Path | IO[bytes]) -> Iterator[tuple[tarfile.TarInfo, IO[bytes]]]:
    """Each file and its content, to be read before the next.

    Raises LimitError, and what tarfile, gzip and zlib raise for bytes that are no archive.
    """
    with gzip.open(file) as stream, Archive.open(fileobj=stream, mode="r|") as archive:
        for number, member in enumerate(archive):
            if number >= MOST_MEMBERS:
                raise LimitError(f"the archive has more than {MOST_MEMBERS} members")
            if member.isreg() and (content := archive.extractfile(member)):
                yield member, content


def pyproject(file: Path | IO[bytes]) -> bytes:
    """Content of the pyproject.toml at the top, b"" for none. Raises as `members` does."""
    found = (content for member, content in members(file) if is_pyproject(member.name))
    return next(map(read_pyproject, found), b"")


def is_pyproject(name: str) -> bool:
    """Whether it is the pyproject.toml of the folder at the top."""
    return name.removeprefix("./").count("/") == 1 and name.endswith("/pyproject.toml")


def read_pyproject(content: IO[bytes]) -> bytes:
    """The whole of it. Raises LimitError for more than a megabyte."""
    text = content.read(LARGEST_PYPROJECT + 1)
    if len(text) > LARGEST_PYPROJECT:
        raise LimitError("its pyproject.toml has more than a megabyte")
    return text
