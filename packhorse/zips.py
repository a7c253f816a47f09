"""Open members of zip archives that strangers have made: only by methods that unpack as much as is read."""

import zipfile
from typing import IO

# zipfile unpacks by the others (BZIP2, LZMA) without a limit: 40 bytes to 45 MB. No build tool uses them.
METHODS = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})


def open_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> IO[bytes]:
    """`member`, to be read in parts. Raises BadZipFile for another method, and what zipfile raises."""
    if member.compress_type not in METHODS:
        raise zipfile.BadZipFile(f"{member.filename!r} is compressed by another method than deflate")
    return archive.open(member)
