"""Show zipfile a wheel whose directory lists nothing but what may be METADATA.

zipfile makes an object for each file of a directory, in microseconds that hold up all threads of the
server. Wheels have thousands of files, and a resolver asks for the METADATA of hundreds of wheels.
"""

import struct
import zipfile
from io import SEEK_CUR, SEEK_END, BytesIO, RawIOBase
from typing import IO, Any, cast

# APPNOTE.TXT 4.3.16, the end of the directory: magic, two numbers of disks, two counts, length and offset
# of the directory, length of the comment. 4.3.12, a file in it: the magic and the lengths of its last parts.
_END = struct.Struct("<4s4H2LH")
_FILE = struct.Struct("<4s24x3H12x")
_END_MAGIC, _FILE_MAGIC = b"PK\5\6", b"PK\1\2"


def shortened(file: IO[bytes]) -> IO[bytes]:
    """The archive `file` with a short directory; `file` itself if it ends as few do: ZIP64, a comment.

    Raises zipfile.BadZipFile, struct.error.
    """
    size = file.seek(0, SEEK_END)
    if size < _END.size:
        return file
    file.seek(size - _END.size)
    magic, disk, first_disk, here, count, length, offset, comment = _END.unpack(file.read(_END.size))
    usual = (_END_MAGIC, 0, 0, count, size - _END.size, 0)
    if (magic, disk, first_disk, here, offset + length, comment) != usual:
        return file
    file.seek(offset)
    listed = _that_may_be_metadata(file.read(length))
    directory = b"".join(listed)
    end = _END.pack(_END_MAGIC, 0, 0, len(listed), len(listed), len(directory), offset, 0)
    return cast("IO[bytes]", cast("Any", _Joined(file, offset, directory + end)))


def _that_may_be_metadata(directory: bytes) -> list[bytes]:
    """The files with this word anywhere in their names: it is zipfile that reads names."""
    found, begin = [], 0
    while begin < len(directory):
        magic, *lengths = _FILE.unpack_from(directory, begin)
        if magic != _FILE_MAGIC:
            raise zipfile.BadZipFile("the directory is damaged")
        end = begin + _FILE.size + sum(lengths)
        if directory.find(b"METADATA", begin, end) >= 0:
            found.append(directory[begin:end])
        begin = end
    return found


class _Joined(RawIOBase):
    """The first `length` bytes of a file, and `rest`."""

    def __init__(self, file: IO[bytes], length: int, rest: bytes) -> None:
        super().__init__()
        self._file, self._length, self._rest = file, length, BytesIO(rest)
        self._position = 0

    def seekable(self) -> bool:
        return True

    def readable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = 0, /) -> int:
        end = self._length + len(self._rest.getbuffer())
        self._position = {SEEK_CUR: self._position, SEEK_END: end}.get(whence, 0) + offset
        if self._position < 0:
            raise ValueError("a position before the beginning of the file")
        return self._position

    def read(self, count: int | None = -1, /) -> bytes:
        """Read up to the place where both meet at most; zipfile has no reason to read across it."""
        left = self._length - self._position
        if left > 0:
            self._file.seek(self._position)
            content = self._file.read(left if count is None or count < 0 else min(count, left))
        else:
            self._rest.seek(-left)
            content = self._rest.read(count)
        self._position += len(content)
        return content
