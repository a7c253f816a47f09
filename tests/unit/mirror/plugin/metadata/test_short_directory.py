"""Archives that zipfile reads with a short directory."""

import io
import zipfile

import pytest

from mirror.plugin.metadata import short_directory
from tests.support.dists import archive

METADATA = "demo-1.0.dist-info/METADATA"
MEMBERS = {"demo/a.py": b"a" * 10_000, METADATA: b"Name: demo\n" * 1000, "demo/b.py": b"b"}


def test_only_what_may_be_metadata_is_listed_and_its_content_is_the_same() -> None:
    """Thousands of other files would each take zipfile as long as the answer itself."""
    short = short_directory.shortened(io.BytesIO(archive(MEMBERS)))
    with zipfile.ZipFile(short) as read:
        assert read.namelist() == [METADATA]
        assert read.read(METADATA) == MEMBERS[METADATA]


def test_no_name_that_zipfile_would_read_as_metadata_is_left_out() -> None:
    """zipfile cuts names at a NUL: a second METADATA makes a wheel unusable, however its name goes on."""
    other = "evil-1.dist-info/METADATA"
    content = archive({**MEMBERS, f"{other}#.txt": b""}).replace(f"{other}#".encode(), f"{other}\0".encode())
    with zipfile.ZipFile(short_directory.shortened(io.BytesIO(content))) as read:
        assert read.namelist() == [METADATA, other]


def test_an_archive_with_a_comment_is_left_to_zipfile() -> None:
    """Its end has to be looked for."""
    buffer = io.BytesIO(archive(MEMBERS))
    with zipfile.ZipFile(buffer, "a") as file:
        file.comment = b"made by hand"
    assert short_directory.shortened(buffer) is buffer


def test_a_directory_that_is_not_one_is_refused() -> None:
    """Lengths from garbage would lead anywhere."""
    content = archive(MEMBERS)
    at = content.rindex(b"PK\1\2")
    damaged = content[:at] + b"QK" + content[at + 2 :]
    with pytest.raises(zipfile.BadZipFile, match="damaged"):
        short_directory.shortened(io.BytesIO(damaged))
