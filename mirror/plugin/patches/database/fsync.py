"""Flush a file to the disk before devpi's database says that the file is there.

Stock devpi leaves that to the kernel: after a power cut within half a minute, an upload that was
acknowledged is an empty file.
"""

import os
from pathlib import Path
from typing import Any

from devpi_server.filestore_fs import FSFactory
from devpi_server.keyfs_types import FilePathInfo

_STOCK = FSFactory.from_content


def apply() -> None:
    """Patch devpi to fsync files before it commits."""
    FSFactory.from_content = staticmethod(_from_content)  # type: ignore[method-assign]


def _from_content(basedir: Path, file_path_info: FilePathInfo, content_or_file: Any) -> Any:
    dirty: Any = _STOCK(basedir, file_path_info, content_or_file)
    if not hasattr(content_or_file, "devpi_srcpath"):  # a link to what downloads.py has flushed
        with dirty.open("rb") as file:
            os.fsync(file.fileno())
    return dirty
