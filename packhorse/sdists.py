"""Read the tar archives of sdists of anybody, within limits on headers, members and what they unpack to."""

import gzip
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

LARGEST = 4 * 2**30  # bytes that are unpacked: an archive may unpack without end
MOST_MEMBERS = 100_000  # tarfile remembers each
LARGEST_HEADERS = 16 * 2**20  # bytes of all members: long names, times, comments, which tarfile keeps
# Members that describe others: the one that follows, or all that follow.
_OF_NEXT = {tarfile.XHDTYPE, tarfile.SOLARIS_XHDTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK}
_OF_ALL = tarfile.XGLTYPE
_NEGATIVE = "the archive has a member of a negative size"


class LimitError(tarfile.ReadError):
    """An archive is beyond a limit; the text quotes nothing of it."""


class _Member(tarfile.TarInfo):
    """A member of an Archive: its methods are where tarfile lets classes interfere."""

    def _proc_member(self, archive: "Archive") -> tarfile.TarInfo:
        if self.size < 0:
            raise LimitError(_NEGATIVE)
        if self.type == _OF_ALL:
            archive.bytes_for_all += self.size
        archive.header_bytes += self.size if self.type in _OF_NEXT else archive.bytes_for_all
        if archive.header_bytes > LARGEST_HEADERS:
            raise LimitError(f"the archive has headers of more than {LARGEST_HEADERS >> 20} MiB")
        found: tarfile.TarInfo = super()._proc_member(archive)  # type: ignore[misc]  # typeshed lacks it
        if found.size < 0:
            raise LimitError(_NEGATIVE)
        return found

    def _refuse(self, *_: object) -> tarfile.TarInfo:
        raise LimitError("the archive has a sparse file, whose map may be of any size")

    _proc_sparse = _proc_gnusparse_00 = _proc_gnusparse_01 = _proc_gnusparse_10 = _refuse


class Archive(tarfile.TarFile):
    """A tar whose headers have a bound, all together; each member keeps those that are for all."""

    tarinfo = _Member
    header_bytes = 0
    bytes_for_all = 0


def members(path: Path) -> Iterator[tuple[tarfile.TarInfo, IO[bytes]]]:
    """Each file and its content, to be read before the next.

    Raises LimitError, and what tarfile, gzip and zlib raise for bytes that are no archive.
    """
    unpacked = 0
    with gzip.open(path) as stream, Archive.open(fileobj=stream, mode="r|") as archive:
        for number, member in enumerate(archive):
            unpacked += member.size
            if number >= MOST_MEMBERS:
                raise LimitError(f"the archive has more than {MOST_MEMBERS} members")
            if unpacked > LARGEST:
                raise LimitError(f"the archive unpacks to more than {LARGEST >> 30} GiB")
            if member.isreg() and (content := archive.extractfile(member)):
                yield member, content
