"""Read the files in an sdist of anybody, within limits on their number and on what it unpacks to."""

import gzip
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, cast

MOST_MEMBERS = 100_000
LARGEST = 1_000_000_000  # bytes that are unpacked: an archive may unpack without end
LARGEST_READ = 32 * 2**20  # bytes in memory at once: names of members have headers of any size


def members(path: Path) -> Iterator[tuple[str, IO[bytes]]]:
    """Path and content of each file, to be read before the next.

    Raises ValueError, and what tarfile and gzip raise for bytes that are no archive.
    """
    with (
        gzip.open(path) as stream,
        tarfile.open(fileobj=cast("IO[bytes]", _Forward(stream)), mode="r:") as archive,
    ):
        for number, member in enumerate(archive):
            if number >= MOST_MEMBERS:
                raise ValueError(f"the archive has more than {MOST_MEMBERS} members")
            if member.isreg() and (content := archive.extractfile(member)):
                yield member.name, content


class _Forward:
    """An unpacked stream, read from its begin on."""

    def __init__(self, stream: gzip.GzipFile) -> None:
        self._stream = stream
        self._position = 0

    def tell(self) -> int:
        return self._position

    def read(self, size: int) -> bytes:
        if not 0 <= size <= LARGEST_READ or self._position + size > LARGEST:
            raise ValueError("the archive, or a header in it, is too large")
        content = self._stream.read(size)
        self._position += len(content)
        return content

    def seek(self, position: int) -> int:
        while self._position < position and self.read(min(2**20, position - self._position)):
            pass
        if self._position != position:
            raise EOFError("the archive is cut off")
        return position
