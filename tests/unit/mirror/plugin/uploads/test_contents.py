"""Uploads that are not what they say are refused; what build tools make and made is taken."""

import base64
import csv
import hashlib
import io
import lzma
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable

import pytest

from mirror.plugin.metadata import wheel as wheel_metadata
from mirror.plugin.uploads import archives, contents
from mirror.plugin.uploads.archives import InvalidUploadError
from mirror.plugin.uploads.contents import Release
from packhorse import sdists
from tests.support.dists import Dist, broken_wheel, sdist, wheel

INFO = "demo-1.0.dist-info"
GOOD = wheel("demo", "1.0")
DEMO = Release("demo", "1.0")


def _check(content: bytes, filename: str = GOOD.filename, stated: Release = DEMO) -> None:
    contents.check(filename, io.BytesIO(content), stated)


def _members() -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(GOOD.content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def _zip(members: dict[str, bytes], edit: Callable[[zipfile.ZipInfo], None] = lambda _: None) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            info = zipfile.ZipInfo(name)
            info.compress_type = zipfile.ZIP_DEFLATED
            edit(info)
            archive.writestr(info, content)
    return buffer.getvalue()


def _with(**changes: bytes | None) -> bytes:
    """The good wheel with other files in its .dist-info folder; None: without one."""
    members = _members()
    for name, content in changes.items():
        members.pop(f"{INFO}/{name}")
        if content is not None:
            members[f"{INFO}/{name}"] = content
            if name != "RECORD":
                members[f"{INFO}/RECORD"] = _record(members)
    return _zip(members)


def _record(members: dict[str, bytes], kind: str = "sha256") -> bytes:
    lines = []
    for name, content in members.items():
        digest = base64.urlsafe_b64encode(hashlib.new(kind, content).digest()).rstrip(b"=").decode()
        lines.append(f"{name},,\n" if name.endswith("RECORD") else f"{name},{kind}={digest},{len(content)}\n")
    return "".join(lines).encode()


def _tar(members: dict[str, bytes], *more: tarfile.TarInfo, mode: str = "w:gz") -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as archive:  # type: ignore[call-overload]
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
        for info in more:
            archive.addfile(info)
    return buffer.getvalue()


def _link(name: str, target: str, kind: bytes = tarfile.SYMTYPE) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def _id(value: object) -> str | None:
    """A name for a case: the same in all processes, and without the bytes of the file."""
    return "file" if isinstance(value, bytes) else None


PKG_INFO = b"Metadata-Version: 2.1\nName: demo\nVersion: 1.0\n"
SDIST = {"demo-1.0/PKG-INFO": PKG_INFO, "demo-1.0/setup.py": b""}


@pytest.mark.parametrize(
    ("filename", "stated"),
    [
        (GOOD.filename, Release("Demo", "1.0.0")),
        ("demo-1.0-1-py3-none-any.whl", DEMO),
        ("demo-1.0-py3-none-any.whl", Release("demo", "v1.0")),
    ],
)
def test_names_and_versions_are_compared_as_pep_503_and_pep_440_write_them(
    filename: str, stated: Release
) -> None:
    """Tools write them in several ways."""
    _check(GOOD.content, filename, stated)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"x" * 100, "no zip archive"),
        (broken_wheel("demo", "1.0", "garbage").content, "no zip archive"),
        (broken_wheel("demo", "1.0", "cut").content, "no zip archive"),
        (broken_wheel("demo", "1.0", "bomb").content, "a bomb"),
        (broken_wheel("demo", "1.0", "two-metadata").content, "2 .dist-info folders"),
        (broken_wheel("demo", "1.0", "no-metadata").content, "0 .dist-info folders"),
        (_with(RECORD=None), "no demo-1.0.dist-info/RECORD"),
        (_with(WHEEL=None), "no demo-1.0.dist-info/WHEEL"),
        (_with(METADATA=b"Name: other\nVersion: 1.0\n"), "METADATA is of other 1.0, the form says demo 1.0"),
        (_with(METADATA=b"Name: demo\nVersion: 2.0\n"), "METADATA is of demo 2.0"),
        (_with(METADATA=b"Name: demo\n"), "METADATA is of demo"),
        (_with(WHEEL=b"Wheel-Version: 1.0\nTag: cp311-cp311-win_amd64\n"), "tags"),
        (_with(WHEEL=b"Wheel-Version: 9.0\nTag: py3-none-any\n"), "Wheel-Version"),
        (_with(RECORD=b"\xff"), "cannot be read"),
        (_with(RECORD=_record({**_members(), "gone.py": b""})), "not there: gone.py"),
        (_with(RECORD=_record({f"{INFO}/METADATA": b""})), "does not list"),
        (_with(RECORD=_record(_members(), "md5")), "no sha256"),
        (_with(RECORD=_record({**_members(), "demo/__init__.py": b"evil"})), "another hash or size"),
        (_with(RECORD=_record(_members()) * 2), "twice"),
        (_zip({**_members(), "evil.py": b""}), "does not list evil.py"),
        (_zip({**_members(), "../evil.py": b""}), "forbidden path"),
        (_zip({**_members(), "/etc/evil": b""}), "forbidden path: /etc/evil"),
        (_zip({**_members(), "a\\..\\b": b""}), "forbidden path"),
        (_zip({**_members(), "C:evil": b""}), "forbidden path"),
        (GOOD.content + b"behind", "more than a zip"),
        (b"before" + GOOD.content, "more than a zip"),
    ],
    ids=_id,
)
def test_a_wheel_that_is_not_what_it_says_is_refused(content: bytes, reason: str) -> None:
    """Each installer would find out, or worse, not all of them alike."""
    with pytest.raises(InvalidUploadError) as caught:
        _check(content)
    assert reason in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("filename", "reason"),
    [
        ("demo-2.0-py3-none-any.whl", "the file name is of demo 2.0, the form says demo 1.0"),
        ("other-1.0-py3-none-any.whl", "the file name is of other 1.0"),
        ("demo-1.0-cp311-cp311-win_amd64.whl", "tags"),
        ("demo-1.0.whl", "not that of a wheel"),
        ("demo-1.0-py2-py3-none-any-x.whl", "not that of a wheel"),
    ],
)
def test_a_wheel_under_another_name_is_refused(filename: str, reason: str) -> None:
    """The name is what installers choose by."""
    with pytest.raises(InvalidUploadError) as caught:
        _check(GOOD.content, filename)
    assert reason in str(caught.value)


def test_a_repaired_wheel_may_have_more_tags_in_its_name_than_in_wheel_or_fewer() -> None:
    """As auditwheel and delocate leave them."""
    several = "demo-1.0-py2.py3-none-any.whl"
    _check(GOOD.content, several)
    _check(_with(WHEEL=b"Wheel-Version: 1.0\nTag: py3-none-any\nTag: py2-none-any\n"))


def test_links_encryption_and_members_of_one_name_are_refused() -> None:
    """A link in a wheel is a file with a path for its content, to those who know nothing of links."""

    def link(info: zipfile.ZipInfo) -> None:
        info.external_attr = (stat.S_IFLNK | 0o777) << 16

    with pytest.raises(InvalidUploadError, match="link"):
        _check(_zip(_members(), link))
    encrypted = bytearray(GOOD.content)
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        encrypted[encrypted.index(signature) + offset] |= 1
    with pytest.raises(InvalidUploadError, match="encrypted"):
        _check(bytes(encrypted))
    buffer = io.BytesIO(GOOD.content)
    with pytest.warns(UserWarning, match="Duplicate name"), zipfile.ZipFile(buffer, "a") as archive:
        archive.writestr("demo/__init__.py", b"evil")
    with pytest.raises(InvalidUploadError, match="two members"):
        _check(buffer.getvalue())


def test_a_member_that_only_readers_from_the_beginning_see_is_refused() -> None:
    """uv reads a wheel while it arrives, pip by the directory at its end."""
    hidden = zipfile.ZipInfo("evil.py")
    at = GOOD.content.index(b"PK\x01\x02")
    hidden.CRC = hidden.compress_size = 0
    inserted = hidden.FileHeader()
    end = bytearray(GOOD.content[GOOD.content.rindex(b"PK\x05\x06") :])
    struct.pack_into("<L", end, 16, at + len(inserted))
    directory = GOOD.content[at : GOOD.content.rindex(b"PK\x05\x06")]
    with pytest.raises(InvalidUploadError, match="between its members"):
        _check(GOOD.content[:at] + inserted + directory + bytes(end))


def test_an_archive_with_too_many_members_is_refused_before_all_are_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """900,000 empty members fit into 100 MB."""
    monkeypatch.setattr(archives, "MOST_MEMBERS", 3)
    for content, filename in (
        (GOOD.content, GOOD.filename),
        (_tar(SDIST | {"a": b"", "b": b""}), "demo-1.0.tgz"),
    ):
        with pytest.raises(InvalidUploadError, match="more than 3 members"):
            _check(content, filename)
    monkeypatch.setattr(archives, "LARGEST_DIRECTORY", 10)
    with pytest.raises(InvalidUploadError, match="too many members"):
        _check(GOOD.content)


@pytest.mark.parametrize(
    ("filename", "content"),
    [
        ("demo-1.0.tar.gz", sdist("demo", "1.0").content),
        ("demo-1.0.tgz", _tar(SDIST)),
        ("demo-1.0.tar.bz2", _tar(SDIST, mode="w:bz2")),
        ("demo-1.0.tar", _tar(SDIST, mode="w:")),
        ("demo-1.0.zip", _zip(SDIST)),
        ("demo-1.0.tar.gz", _tar(SDIST, _link("demo-1.0/README", "setup.py"))),
        ("demo-1.0.tar.gz", _tar(SDIST, _link("demo-1.0/docs/README", "../setup.py"))),
        ("demo-1.0.tar.gz", _tar(SDIST, _link("demo-1.0/copy", "demo-1.0/setup.py", tarfile.LNKTYPE))),
        ("demo-1.0.tar.gz", _tar({f"./{name}": content for name, content in SDIST.items()})),
        ("demo-1.0-py3.11.egg", _zip({"EGG-INFO/PKG-INFO": PKG_INFO})),
        ("demo-1.0-py2.7-linux-x86_64.egg", _zip({"EGG-INFO/PKG-INFO": PKG_INFO})),
        ("demo-1.0.win32.exe", b"MZ..."),
        ("demo-1.0-1.noarch.rpm", b"\xed\xab\xee\xdb..."),
    ],
    ids=_id,
)
def test_every_kind_of_distribution_that_devpi_takes_is_taken(filename: str, content: bytes) -> None:
    """Companies keep what they made ten years ago."""
    _check(content, filename)


def test_an_sdist_is_checked_without_the_filters_of_later_tarfiles(monkeypatch: pytest.MonkeyPatch) -> None:
    """Debian 12 has Python 3.11.2, which has none: every upload of an sdist was a 500 there."""
    monkeypatch.delattr(tarfile, "data_filter", raising=False)
    monkeypatch.delattr(tarfile, "FilterError", raising=False)
    _check(_tar(SDIST), "demo-1.0.tar.gz")


def test_an_sdist_with_hyphens_in_name_or_version_is_taken() -> None:
    """From before PEP 625."""
    folder = {"My-Demo-1.0-rc1/PKG-INFO": b"Name: My-Demo\nVersion: 1.0-rc1\n"}
    _check(_tar(folder), "My-Demo-1.0-rc1.tar.gz", Release("my.demo", "1.0rc1"))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"x" * 100, "cannot be read"),
        (sdist("demo", "1.0").content[:-30], "cannot be read"),
        (sdist("other", "1.0").content, "PKG-INFO is of other 1.0"),
        (_tar({"demo-1.0/setup.py": b""}), "0 PKG-INFO"),
        (_tar(SDIST | {"other-1.0/PKG-INFO": PKG_INFO}), "2 PKG-INFO"),
        (_tar(SDIST | {"../evil": b""}), "forbidden path"),
        (_tar(SDIST | {"/etc/evil": b""}), "forbidden path"),
        (_tar(SDIST, _link("demo-1.0/evil", "../../etc/passwd")), "leads out"),
        (_tar(SDIST, _link("demo-1.0/evil", "/etc/passwd")), "leads out"),
        (_tar(SDIST, _link("demo-1.0/evil", "../../etc/passwd", tarfile.LNKTYPE)), "leads out"),
        (_tar(SDIST, _link("demo-1.0/evil", "", tarfile.CHRTYPE)), "leads out"),
        (_tar(SDIST, _link("demo-1.0/evil", "../..")), "leads out"),
        (_tar(SDIST, _link("demo-1.0/evil", "C:/evil")), "leads out"),
        (_tar(SDIST, _link("demo-1.0/evil", "..", tarfile.LNKTYPE)), "leads out"),
        (_tar(SDIST | {"demo-1.0/bomb": bytes(70_000_000)}), "a bomb"),
    ],
    ids=_id,
)
def test_an_sdist_that_is_not_what_it_says_is_refused(content: bytes, reason: str) -> None:
    """Its build runs on the machine of whoever installs it."""
    with pytest.raises(InvalidUploadError) as caught:
        _check(content, "demo-1.0.tar.gz")
    assert reason in str(caught.value)


def test_a_header_of_gigabytes_is_not_read() -> None:
    """The size of an extended header is the archive's word, and tarfile reads it at once."""
    header = tarfile.TarInfo("././@PaxHeader")
    header.type, header.size = tarfile.XHDTYPE, 2**33
    content = _tar({})[:0] + tarfile.TarInfo.tobuf(header, tarfile.GNU_FORMAT) + bytes(10_000)
    with pytest.raises(InvalidUploadError, match="a header that is too large"):
        _check(content, "demo-1.0.tar")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"<html>", "no zip archive"),
        (_zip({"../../index.html": b""}), "forbidden path"),
        (_zip({"index.html": b"0" * 100_000_000}), "a bomb"),
    ],
    ids=["no archive", "path", "bomb"],
)
def test_documentation_that_does_not_unpack_into_its_folder_is_refused(content: bytes, reason: str) -> None:
    """devpi-web unpacks it."""
    with pytest.raises(InvalidUploadError, match=reason):
        contents.check_documentation(io.BytesIO(content))


def test_documentation_is_read_again_after_the_check() -> None:
    """By devpi, which stores it."""
    file = io.BytesIO(_zip({"index.html": b"0" * 1000}))
    contents.check_documentation(file)
    assert file.tell() == 0


def test_the_file_is_at_its_beginning_afterwards() -> None:
    """devpi stores what it reads from there."""
    for dist in (GOOD, sdist("demo", "1.0")):
        file = io.BytesIO(dist.content)
        contents.check(dist.filename, file, DEMO)
        assert file.tell() == 0


def test_what_is_quoted_of_an_upload_is_no_markup() -> None:
    """The text becomes part of a page of HTML, which pyramid does not escape."""
    evil = Dist("demo-1.0.tar.gz", _tar({"../<script>&": b""}), b"")
    with pytest.raises(InvalidUploadError) as caught:
        _check(evil.content, evil.filename)
    assert not {"<", "&", "\r"} & set(str(caught.value))


def _edited(field: slice, value: bytes) -> bytes:
    """The good wheel with another value in the header before its first member."""
    return GOOD.content[: field.start] + value + GOOD.content[field.stop :]


def _second_name(info: zipfile.ZipInfo) -> None:
    info.extra = struct.pack("<HHBI", 0x7075, 5 + 3, 1, 0) + b"x.y"


@pytest.mark.parametrize(
    "content",
    [
        _edited(slice(8, 10), b"\x01\x00"),  # method
        _edited(slice(18, 22), b"\x01\x00\x00\x00"),  # packed size
        _edited(slice(22, 26), b"\x01\x00\x00\x00"),  # size
        _edited(slice(30, 31), b"x"),  # name
        _zip(_members(), _second_name),
        _zip({**_members(), "./demo.py": b""}),
        _zip({**_members(), "a//demo.py": b""}),
    ],
)
def test_a_zip_that_readers_see_in_two_ways_is_refused(content: bytes) -> None:
    """By the directory, by the headers before members, by a second name, by paths that mean the same."""
    with pytest.raises(InvalidUploadError, match=r"two things|two names|not plain"):
        archives.open_zip(io.BytesIO(content))


def _symlink(name: str, target: str) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = tarfile.SYMTYPE, target
    return info


@pytest.mark.parametrize(
    "more",
    [
        [tarfile.TarInfo("demo-1.0/./PKG-INFO")],
        [_symlink("demo-1.0/l", "."), tarfile.TarInfo("demo-1.0/l/PKG-INFO")],
        [_symlink("demo-1.0/a/x", ".."), _symlink("demo-1.0/y", "a/x/..")],
        [
            _symlink("demo-1.0/a/l", ".."),
            _link("demo-1.0/h", "demo-1.0/a/l/../../etc/passwd", tarfile.LNKTYPE),
        ],
    ],
)
def test_an_sdist_whose_members_replace_each_other_is_refused(more: list[tarfile.TarInfo]) -> None:
    """What was checked would not be what is unpacked."""
    content = _tar({"demo-1.0/PKG-INFO": b"Metadata-Version: 2.1\nName: demo\nVersion: 1.0\n"}, *more)
    with pytest.raises(InvalidUploadError, match=r"two members|below a link"):
        list(archives.tar_members(io.BytesIO(content), ".tar.gz"))


DEEP = "a/" * (archives.DEEPEST + 1)
LONG = "a/" + "b" * archives.LONGEST_PATH


@pytest.mark.parametrize(
    ("content", "filename", "reason"),
    [
        (_tar(SDIST | {f"{DEEP}x": b""}), "demo-1.0.tar.gz", "more than 100 folders"),
        (_tar(SDIST | {LONG: b""}), "demo-1.0.tar.gz", "more than 4096 bytes"),
        (_tar(SDIST | {"\N{SNOWMAN}" * 1400: b""}), "demo-1.0.tar.gz", "more than 4096 bytes"),
        (_tar(SDIST, _symlink("demo-1.0/l", f"{DEEP}x")), "demo-1.0.tar.gz", "more than 100 folders"),
        (_tar(SDIST, _symlink("demo-1.0/l", "./" * 3000)), "demo-1.0.tar.gz", "more than 4096 bytes"),
        (_tar(SDIST, _link("demo-1.0/l", f"{DEEP}x", tarfile.LNKTYPE)), "demo-1.0.tgz", "100 folders"),
        (_zip(SDIST | {f"{DEEP}x": b""}), "demo-1.0.zip", "more than 100 folders"),
        (_zip(SDIST | {LONG: b""}), "demo-1.0.zip", "more than 4096 bytes"),
    ],
    ids=_id,
)
def test_a_path_that_is_deeper_or_longer_than_those_of_packages_is_refused(
    content: bytes, filename: str, reason: str
) -> None:
    """One of 80,000 bytes, in an archive of 300, took the server a minute and 4 GB."""
    with pytest.raises(InvalidUploadError, match=reason):
        _check(content, filename)


def test_an_sdist_may_be_as_deep_as_it_may_be_in_its_links_and_paths() -> None:
    """With the longest names that tar has an extended header for."""
    folder = "demo-1.0/" + "a/" * (archives.DEEPEST - 1)
    _check(_tar(SDIST | {folder + "b" * 3000: b""}, _symlink(f"{folder}l", "../x")), "demo-1.0.tar.gz")


def _pax(member: str, **headers: str) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz", format=tarfile.PAX_FORMAT) as archive:
        for name, content in SDIST.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
        info = tarfile.TarInfo(member)
        info.pax_headers = headers
        archive.addfile(info)
    return buffer.getvalue()


def test_headers_of_a_tar_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """tarfile keeps all that they say of each member."""
    usual = _pax("demo-1.0/x", mtime="1234567890.123")
    _check(usual, "demo-1.0.tar.gz")
    monkeypatch.setattr(sdists, "LARGEST_HEADERS", 10)
    with pytest.raises(InvalidUploadError, match="headers of more than"):
        _check(usual, "demo-1.0.tar.gz")


def test_a_sparse_file_is_refused() -> None:
    """tarfile reads the map of each from what may be packed to nothing, and keeps it."""
    sparse = {"GNU.sparse.map": "0,0", "GNU.sparse.size": "10"}
    with pytest.raises(InvalidUploadError, match="a sparse file"):
        _check(_pax("demo-1.0/x", **sparse), "demo-1.0.tar.gz")


def _about(*tags: str) -> bytes:
    return "".join(["Wheel-Version: 1.0\n", *(f"Tag: {tag}\n" for tag in tags)]).encode()


@pytest.mark.parametrize(
    ("about", "reason"),
    [
        (_about("-".join([".".join(f"a{number}" for number in range(13))] * 3)), "more than 2000 tags"),
        (_about(*["py3-none-any"] * 2001), "more than 2000 tags"),
        (_about("py3-none-any") + b"X: " + b"x" * 65_536, "WHEEL is too large"),
        (_about("py3"), "cannot be read"),
    ],
    ids=["product", "lines", "size", "no tag"],
)
def test_the_tags_in_wheel_are_bounded(about: bytes, reason: str) -> None:
    """One line of a hundred values three times means a million tags: 9 s and 560 MB."""
    with pytest.raises(InvalidUploadError, match=reason):
        _check(_with(WHEEL=about))


HEAD = b"Name: demo\nVersion: 1.0\n"


@pytest.mark.parametrize(
    ("metadata", "reason"),
    [
        (HEAD + b"\n" + b"x" * wheel_metadata.LARGEST, "METADATA is too large"),
        (HEAD + b"A:\n" * 20_001, "more than 20000 lines"),
        (HEAD + b"A:\r" * 20_001, "more than 20000 lines"),
        (HEAD + b"A:\r\n" * 20_001, "more than 20000 lines"),
        (HEAD + b"".join(b"A%d:\n" % number for number in range(100)), "more than 100 fields"),
    ],
    ids=["size", "lines", "carriage returns", "both", "names"],
)
def test_the_headers_of_metadata_are_bounded(metadata: bytes, reason: str) -> None:
    """A file of 15 kB with five million of them took 71 s."""
    with pytest.raises(InvalidUploadError, match=reason):
        _check(_with(METADATA=metadata))


@pytest.mark.parametrize(
    ("filename", "content"),
    [
        ("demo-1.0.zip", _zip({"demo-1.0/PKG-INFO": PKG_INFO + b" " * wheel_metadata.LARGEST})),
        ("demo-1.0.tar.gz", _tar({"demo-1.0/PKG-INFO": PKG_INFO + b" " * wheel_metadata.LARGEST})),
        ("demo-1.0-py3.11.egg", _zip({"EGG-INFO/PKG-INFO": PKG_INFO + b" " * wheel_metadata.LARGEST})),
    ],
    ids=_id,
)
def test_a_large_pkg_info_is_refused(filename: str, content: bytes) -> None:
    """It may be as large as METADATA."""
    with pytest.raises(InvalidUploadError, match="too large"):
        _check(content, filename)


def test_a_long_description_is_taken_in_the_headers_and_behind_them() -> None:
    """With a changelog in it, as setuptools wrote it for ten years, and as all write it now."""
    lines = b"".join(b"        %d\n" % number for number in range(10_000))
    _check(_with(METADATA=HEAD + b"Description: x\n" + lines))
    parts = b"Content-Type: multipart/mixed; boundary=x\n\n" + b"--x\nName: evil\n\n" * 30_000
    _check(_with(METADATA=HEAD + parts))


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (b"\n" * 20, "more lines"),
        (b"a,,\n" * 20, "not there: a"),
        (b'"' + b"a" * 200_000 + b'",,\n', "line that is too long"),
        (b'"' + (b"a" * 15_000 + b"\n") * 10 + b'",,\n', "cannot be read"),
        (b"x" * (archives.LARGEST_RECORD + 1), "RECORD is too large"),
    ],
    ids=["empty lines", "lines", "field", "lines of a field", "size"],
)
def test_record_is_read_no_further_than_a_wheel_has_members(
    record: bytes, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Eight million lines took 9 s and 1.2 GB; a field of 200,000 characters was a 500."""
    monkeypatch.setattr(archives, "MOST_MEMBERS", 10)
    with pytest.raises(InvalidUploadError, match=reason):
        _check(_with(RECORD=record))


@pytest.mark.parametrize("method", [zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2])
def test_a_zip_of_another_method_than_deflate_is_refused(method: int) -> None:
    """zipfile unpacks them without a limit: 40 bytes become 45 MB, whatever the directory says."""

    def packed(info: zipfile.ZipInfo) -> None:
        info.compress_type = method

    with pytest.raises(InvalidUploadError, match="another method than deflate"):
        _check(_zip(_members(), packed))


@pytest.mark.parametrize("filename", ["demo-1.0.tar.bz2", "demo-1.0.tar.gz", "demo-1.0.tar", "demo-1.0.zip"])
def test_a_broken_archive_of_each_kind_is_refused_in_words(filename: str) -> None:
    """Each decompressor raises something of its own."""
    for content in (b"BZh9" + b"x" * 2000, b"\x1f\x8b" + b"x" * 2000, b"PK" + b"x" * 2000):
        with pytest.raises(InvalidUploadError, match=r"cannot be read|no zip archive"):
            _check(content, filename)


@pytest.mark.parametrize("error", [lzma.LZMAError, struct.error, csv.Error, OSError, zlib.error])
def test_what_readers_raise_for_no_archive_becomes_words(
    error: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was a 500; an error of the disk has a number, and stays one."""

    def fail(_: object) -> None:
        raise error("garbage")

    monkeypatch.setattr(archives, "open_zip", fail)
    with pytest.raises(InvalidUploadError, match="cannot be read"):
        _check(GOOD.content)
