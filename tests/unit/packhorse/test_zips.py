"""What is read of a zip archive takes as much memory as is asked for."""

import io
import zipfile

import pytest

from packhorse import zips


def _member(kind: int) -> tuple[zipfile.ZipFile, zipfile.ZipInfo]:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", kind) as archive:
        archive.writestr("a", b"x" * 1000)
    found = zipfile.ZipFile(buffer)
    return found, found.getinfo("a")


@pytest.mark.parametrize("kind", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_member_is_read_in_parts(kind: int) -> None:
    """As build tools write them."""
    with zips.open_member(*_member(kind)) as content:
        assert content.read(10) == b"x" * 10


@pytest.mark.parametrize("kind", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_what_zipfile_unpacks_without_a_limit_is_refused(kind: int) -> None:
    """A member of 300 bytes took 778 MB, however little was asked for of it."""
    with pytest.raises(zipfile.BadZipFile, match="compressed by another method"):
        zips.open_member(*_member(kind))
