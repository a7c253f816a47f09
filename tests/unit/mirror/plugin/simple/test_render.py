"""Facts in, pages out; and read again by readers that others wrote."""

import json
from functools import partial
from html.parser import HTMLParser

from pypi_simple import ProjectPage

from mirror.plugin.simple import content_types, file_paths, parse, render
from mirror.plugin.simple.detail import ProjectDetail, with_files
from mirror.plugin.simple.file_rows import ProjectFile

WHEEL = ProjectFile(
    filename="demo-1.0-py3-none-any.whl",
    path="root/pypi/+f/abc/0123456789abc/demo-1.0-py3-none-any.whl",
    hashes={"md5": "ffff", "sha256": "abc0123456789abc"},
    requires_python=">=3.8, <4",
    yanked='has a "bug" & more',
    size=12,
    upload_time="2024-01-02T03:04:05.678900Z",
    core_metadata={"sha256": "0000"},
    provenance="https://example.com/provenance",
)
SDIST = ProjectFile("demo-1.0+x.zip", "company/dev/+f/a/b y/demo-1.0+x.zip", hashes={"md5": "0000"}, size=3)
HERE, THERE = (f"https://{host}.example.com/simple/demo/" for host in ("here", "there"))
STATUS = {"status": "archived", "reason": "old <age>"}
DEMO = ProjectDetail("demo", (WHEEL, SDIST), ("1.0", "1.0+x"), STATUS, (HERE, THERE), (THERE,))
BASE = "https://mirror.example.com/company/dev/+simple/demo/"


def read_by_us(kind: str, page: bytes) -> ProjectDetail:
    """As another packhorse mirror reads our page."""
    paths_of = partial(file_paths.paths_of, "root/pypi")
    return parse.parse_page("demo", parse.RawPage(kind, BASE, page), paths_of)


def test_the_json_page_says_everything() -> None:
    """PEP 691, 700, 708, 714, 740, 792."""
    page = json.loads(render.as_json(DEMO))
    assert page["meta"] == {"api-version": "1.4", "tracks": [HERE, THERE]}
    assert page["alternate-locations"] == [THERE]
    assert page["name"] == "demo"
    assert page["versions"] == ["1.0", "1.0+x"]
    assert page["project-status"] == {"status": "archived", "reason": "old <age>"}
    assert page["files"] == [
        {
            "filename": "demo-1.0-py3-none-any.whl",
            "url": "../../../../root/pypi/+f/abc/0123456789abc/demo-1.0-py3-none-any.whl",
            "hashes": {"md5": "ffff", "sha256": "abc0123456789abc"},
            "requires-python": ">=3.8, <4",
            "size": 12,
            "upload-time": "2024-01-02T03:04:05.678900Z",
            "provenance": "https://example.com/provenance",
            "yanked": 'has a "bug" & more',
            "core-metadata": {"sha256": "0000"},
        },
        {
            "filename": "demo-1.0+x.zip",
            "url": "../../../../company/dev/+f/a/b%20y/demo-1.0+x.zip",
            "hashes": {"md5": "0000"},
            "size": 3,
            "yanked": False,
        },
    ]


def test_the_api_version_promises_only_what_every_file_has() -> None:
    """PEP 700 makes `size` mandatory from 1.1 on: a client that trusts the version would stumble."""
    unsized = with_files(DEMO, (WHEEL, SDIST._replace(size=None)))
    page = json.loads(render.as_json(unsized))
    assert page["meta"]["api-version"] == "1.0"
    assert "size" not in page["files"][1]


def test_what_the_json_page_says_is_read_again_as_it_was() -> None:
    """A mirror of a mirror loses nothing."""
    read = read_by_us(content_types.JSON, render.as_json(DEMO))
    assert with_files(read, DEMO.files) == DEMO
    assert [file._replace(url="", path="", offered=False) for file in read.files] == [
        f._replace(path="") for f in DEMO.files
    ]
    assert read.files[0].url == f"https://mirror.example.com/{WHEEL.path}"


def test_what_the_html_page_says_is_read_again_as_far_as_html_goes() -> None:
    """One hash, no size, no time (PEP 503, 592, 658, 708, 740, 792); every text survives its quoting."""
    read = read_by_us("text/html; charset=utf-8", render.as_html(DEMO, "company/dev"))
    wheel = read.files[0]
    assert wheel.hashes == {"sha256": "abc0123456789abc"}
    assert (wheel.requires_python, wheel.yanked) == (WHEEL.requires_python, WHEEL.yanked)
    assert (wheel.core_metadata, wheel.provenance) == (WHEEL.core_metadata, WHEEL.provenance)
    assert (read.status, read.tracks, read.alternate_locations) == (STATUS, (HERE, THERE), (THERE,))


def test_the_html_page_states_its_version_and_both_names_of_metadata() -> None:
    """PEP 629; PEP 714 keeps the first name for older clients in HTML."""
    page = render.as_html(DEMO, "company/dev").decode()
    assert '<meta name="pypi:repository-version" content="1.4">' in page
    assert 'data-core-metadata="sha256=0000" data-dist-info-metadata="sha256=0000"' in page


def test_the_html_page_is_well_formed() -> None:
    """Every element that is opened is closed, so that a cut page shows."""
    opened: list[str] = []

    class Checker(HTMLParser):
        def handle_starttag(self, tag: str, attrs: object) -> None:  # noqa: ARG002
            if tag not in {"meta", "br"}:
                opened.append(tag)

        def handle_endtag(self, tag: str) -> None:
            assert opened.pop() == tag

    Checker().feed(render.as_html(DEMO, "company/dev").decode())
    assert opened == []


def test_a_reader_by_others_finds_the_same_in_both_forms() -> None:
    """pypi-simple validates more than installers do."""
    from_json = ProjectPage.from_json_data(json.loads(render.as_json(DEMO)), base_url=BASE)
    from_html = ProjectPage.from_html("demo", render.as_html(DEMO, "company/dev"), base_url=BASE)
    for page in (from_json, from_html):
        wheel, sdist = page.packages
        assert page.repository_version == "1.4"
        assert (page.tracks, page.alternate_locations) == ([HERE, THERE], [THERE])
        assert wheel.filename == WHEEL.filename
        assert wheel.url.partition("#")[0] == f"https://mirror.example.com/{WHEEL.path}"
        assert wheel.digests["sha256"] == "abc0123456789abc"
        assert wheel.requires_python == ">=3.8, <4"
        assert (wheel.is_yanked, wheel.yanked_reason) == (True, 'has a "bug" & more')
        assert (wheel.has_metadata, wheel.metadata_digests) == (True, {"sha256": "0000"})
        assert wheel.provenance_url == "https://example.com/provenance"
        assert sdist.is_yanked is False
    assert from_json.versions == ["1.0", "1.0+x"]
    assert (from_json.packages[0].size, str(from_json.packages[0].upload_time)) == (
        12,
        "2024-01-02 03:04:05.678900+00:00",
    )


def test_a_page_without_claims_makes_none() -> None:
    """An empty list would say that a project owner set one (PEP 708)."""
    plain = ProjectDetail("demo", (SDIST,))
    assert b"tracks" not in render.as_json(plain) + render.as_html(plain, "company/dev")
    assert b"alternate" not in render.as_json(plain) + render.as_html(plain, "company/dev")
