"""The text files of a bundle: the same listing gives the same bytes, and nothing else is read."""

import hashlib
import json
import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from mirror.offline.bundle import listing
from mirror.offline.bundle.listing import (
    ABOUT,
    PAGE,
    SUMS,
    File,
    Listing,
    NewerFormatError,
    WrongListingError,
)

DEMO = File(
    "demo-app",
    "demo_app-1.10-py3-none-any.whl",
    7,
    "a" * 64,
    "b" * 64,
    ">=3.9",
    "2024-01-02T03:04:05.678900Z",
    'broken <on> "Mondays"',
    provenance="e" * 64,
)
FILES = (
    DEMO,
    File("demo-app", "demo_app-1.9.tar.gz", 8, "c" * 64, yanked=True),
    File("own", "own-1.0+local.1-py3-none-any.whl", 9, "d" * 64, own=True),
)
ALL = Listing(FILES, {"demo-app": {"status": "archived", "reason": "it is & was"}})


def _parts(listed: Listing = ALL) -> tuple[bytes, dict[str, bytes]]:
    texts = listing.texts(listed)
    pages = {path.split("/")[1]: texts[path] for path in texts if path.count("/") == 2 and PAGE in path}
    return texts[ABOUT], pages


def test_what_is_written_is_read_again() -> None:
    """Nothing of a file is lost on the way."""
    found = listing.read(*_parts())
    assert set(found.files) == set(FILES)
    assert found.statuses == ALL.statuses
    assert listing.texts(found) == listing.texts(ALL)


def test_the_order_in_which_files_came_does_not_matter() -> None:
    """Two mirrors that were filled in another order make the same bundle."""
    shuffled = list(FILES)
    for seed in range(5):
        random.Random(seed).shuffle(shuffled)  # noqa: S311  # no secret
        assert listing.texts(Listing(tuple(shuffled), ALL.statuses)) == listing.texts(ALL)


def test_the_bytes_belong_to_the_format() -> None:
    """Other versions compare a bundle with what they would write: a change needs another FORMAT."""
    digest = hashlib.sha256(
        b"".join(content for _, content in sorted(listing.texts(ALL).items()))
    ).hexdigest()
    assert (listing.FORMAT, digest[:16]) == (2, "09d47646cb49050e")


def test_all_other_files_have_a_checksum() -> None:
    """For `sha256sum --check`, on any machine."""
    texts = listing.texts(ALL)
    lines = [line.split("  ") for line in texts.pop(SUMS).decode().splitlines()]
    assert [path for _, path in lines] == sorted([*texts, *(path for file in FILES for path in file.paths)])
    assert {path: digest for digest, path in lines}[f"files/{DEMO.filename}.metadata"] == DEMO.metadata


def test_versions_are_in_their_order() -> None:
    """1.10 comes after 1.9."""
    page = json.loads(_parts()[1]["demo-app"])
    assert page["versions"] == ["1.9", "1.10"]
    assert page["project-status"] == {"status": "archived", "reason": "it is & was"}


def test_html_says_what_json_says_and_escapes_it() -> None:
    """A reason to yank is a stranger's text."""
    page = listing.texts(ALL)["simple/demo-app/index.html"].decode()
    assert 'data-yanked="broken &lt;on&gt; &quot;Mondays&quot;"' in page
    assert f'href="../../files/{DEMO.filename}#sha256={DEMO.sha256}"' in page
    assert 'data-requires-python="&gt;=3.9"' in page
    assert page.count(f'core-metadata="sha256={DEMO.metadata}"') == 1
    assert f'data-provenance="../../provenance/{"e" * 64}.provenance"' in page
    assert 'content="it is &amp; was"' in page
    assert 'href="../../files/own-1.0%2Blocal.1-py3' in listing.texts(ALL)["simple/own/index.html"].decode()


CHANGES: dict[str, Callable[[dict[str, Any]], object]] = {
    "a path as name": lambda file: file.update(filename="../../etc/passwd"),
    "a path that ends in a wheel": lambda file: file.update(filename="../demo_app-1.10-py3-none-any.whl"),
    "a file of another project": lambda file: file.update(
        filename="other-1-py3-none-any.whl", url="../../files/other-1-py3-none-any.whl"
    ),
    "no wheel": lambda file: file.update(filename="demo_app-1.10.exe"),
    "a URL elsewhere": lambda file: file.update(url="http://169.254.169.254/latest"),
    "another file's URL": lambda file: file.update(url="../../files/demo_app-1.9.tar.gz"),
    "a script as URL": lambda file: file.update(url="javascript:alert(1)"),
    "no hash": lambda file: file.update(hashes={}),
    "a short hash": lambda file: file.update(hashes={"sha256": "ab"}),
    "a hash that is a path": lambda file: file.update(hashes={"sha256": "../" * 21 + "a"}),
    "another kind of hash": lambda file: file.update(hashes={"md5": "a" * 32}),
    "a negative size": lambda file: file.update(size=-1),
    "a size that is a text": lambda file: file.update(size="7"),
    "a size beyond all disks": lambda file: file.update(size=2**80),
    "a reason of two lines": lambda file: file.update(yanked="a\nb"),
    "a reason for a terminal": lambda file: file.update(yanked="\x1b[2J"),
    "a time that is none": lambda file: file.update({"upload-time": "yesterday"}),
    "an unknown key": lambda file: file.update(evil=1),
    "provenance elsewhere": lambda file: file.update(provenance="http://192.0.2.1/"),
    "provenance that is a path": lambda file: file.update(provenance="../../provenance/../x.provenance"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_ours_never_say_is_refused(change: str) -> None:
    """A bundle comes on a disk that others had in their hands."""
    about, pages = _parts()
    page = json.loads(pages["demo-app"])
    CHANGES[change](page["files"][1])
    with pytest.raises(WrongListingError):
        listing.read(about, {**pages, "demo-app": json.dumps(page).encode()})


@pytest.mark.parametrize(
    "content",
    [b"", b"[]", b"\xff", b'{"meta":{}}', b"[" * 100_000, b'{"name": "demo-app"}', b"<html></html>"],
)
def test_what_is_no_page_is_refused(content: bytes) -> None:
    """Damage on the way."""
    about, pages = _parts()
    with pytest.raises(WrongListingError):
        listing.read(about, {**pages, "demo-app": content})


@pytest.mark.parametrize("name", ["Demo.App", "demo_app", "..", "other"])
def test_a_page_in_a_folder_of_another_name_is_refused(name: str) -> None:
    """Folders are names that installers ask for."""
    about, pages = _parts()
    with pytest.raises(WrongListingError):
        listing.read(about, {"own": pages["own"], name: pages["demo-app"]})


def test_a_bundle_of_the_format_before_is_read_and_compared_with_its_own_bytes() -> None:
    """Whoever has made one outside carries it in after the mirror inside was upgraded."""
    files = (replace(DEMO, provenance=None), *FILES[1:])
    old = Listing(files, ALL.statuses, format=1)
    digest = hashlib.sha256(
        b"".join(content for _, content in sorted(listing.texts(old).items()))
    ).hexdigest()
    assert digest[:16] == "e4b05d28ee5eca0a"
    found = listing.read(*_parts(old))
    assert (found.format, set(found.files)) == (1, set(files))
    assert listing.texts(found) == listing.texts(old)


@pytest.mark.parametrize("number", [0, -1, 1])
def test_no_other_format_is_read(number: int) -> None:
    """The first one has no provenance."""
    with pytest.raises(WrongListingError, match=f"format is {number}"):
        listing.read(*_parts(replace(ALL, format=number)))


def test_a_later_format_is_told_apart_whatever_else_it_says() -> None:
    """The message has to say that the version is the reason."""
    _, pages = _parts()
    with pytest.raises(NewerFormatError, match="3"):
        listing.read(json.dumps({"format": 3, "new": {}}).encode(), pages)


def test_own_files_are_listed_ones() -> None:
    """Otherwise a bundle says nothing about what it names."""
    about, pages = _parts()
    with pytest.raises(WrongListingError, match="do not list the same"):
        listing.read(json.dumps({"format": 1, "own": ["x-1.tar.gz"]}).encode(), pages)
    with pytest.raises(WrongListingError, match="do not list the same"):
        listing.read(about, {"demo-app": pages["demo-app"]})


@pytest.mark.parametrize(
    "name",
    ["demo-1.0.txt", "demo.whl", "-1.0.tar.gz", "a/b-1.0.tar.gz", f"a-{'1' * 300}.tar.gz", "a-1.0.tar.gz\n"],
)
def test_only_wheels_and_sdists_are_in_bundles(name: str) -> None:
    """Installers take nothing else; what cannot be a file name is no name."""
    with pytest.raises(WrongListingError):
        listing.release(name)


def test_what_upstreams_say_is_made_harmless_first() -> None:
    """A bundle that we write must be one that we read."""
    said = listing.said(
        {
            "requires-python": ">=3\n\x00",
            "upload-time": "soon",
            "yanked": "\x1b[2Jbad\u2028\ud800",
            "size": -1,
        }
    )
    file = replace(FILES[2], **said)
    assert (file.requires_python, file.upload_time, file.yanked) == (">=3  ", None, " [2Jbad  ")
    status = listing.said_status({"project-status": {"status": "quarantined", "reason": 7, "x": "y"}})
    listed = Listing((file,), {"own": status})
    assert listing.read(*_parts(listed)) == listed
    assert listing.said({}) == {"requires_python": None, "upload_time": None, "yanked": False}
    assert listing.said({"yanked": ""})["yanked"] is True
