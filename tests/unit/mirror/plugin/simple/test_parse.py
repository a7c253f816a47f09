"""What is accepted as an upstream's page, and what is read from it."""

import json
from functools import partial
from typing import Any
from urllib.parse import quote

import pytest

from mirror.plugin.simple import content_types, file_paths, parse
from mirror.plugin.simple.content_types import JSON
from mirror.plugin.simple.detail import ProjectDetail
from mirror.plugin.simple.file_rows import ProjectFile

URL = "https://user:secret@index.example.com/simple/demo/"
PATHS_OF = partial(file_paths.paths_of, "root/pypi")
ENTRY = {
    "filename": "demo-1.0.zip",
    "url": "../../files/demo-1.0.zip",
    "hashes": {"sha256": "0000"},
}
DEEP = "[" * 100_000 + "]" * 100_000
HTML = """<!DOCTYPE html><html><head><title>Links for demo</title></head><body>
<a href="../">up</a>
<a href="/files/demo-1.0%2Blocal-py3-none-any.whl#sha256=0000&amp;egg=x">demo-1.0+local-py3-none-any.whl</a>
<a href="/files/Demo-2.0.tar.gz#md5=1111" data-yanked data-requires-python="&gt;=3.9">Demo-2.0.tar.gz</a>
</body></html>
"""


def read(content: str, kind: str = "text/html; charset=utf-8") -> ProjectDetail:
    """`content` as the answer for the project "demo"."""
    return parse.parse_page("demo", parse.RawPage(kind, URL, content.encode()), PATHS_OF)


def page(**changes: object) -> str:
    """A JSON page with one file, changed."""
    return json.dumps({"meta": {"api-version": "1.1"}, "name": "Demo", "files": [ENTRY], **changes})


def test_html_of_an_old_index_is_read_with_all_that_it_says() -> None:
    """Many company indexes and mirrors answer HTML only."""
    wheel, sdist = read(HTML).files
    assert wheel.path == "root/pypi/+f/000/0/demo-1.0+local-py3-none-any.whl"
    assert wheel.filename == "demo-1.0+local-py3-none-any.whl"
    assert wheel.url == "https://index.example.com/files/demo-1.0%2Blocal-py3-none-any.whl"
    assert wheel.hashes == {"sha256": "0000"}
    assert sdist == ProjectFile(
        filename="Demo-2.0.tar.gz",
        path="root/pypi/+f/111/1/Demo-2.0.tar.gz",
        url="https://index.example.com/files/Demo-2.0.tar.gz",
        hashes={"md5": "1111"},
        requires_python=">=3.9",
        yanked=True,
    )
    assert read(HTML).versions == ("1.0+local", "2.0")


def test_a_base_element_is_where_links_start() -> None:
    """PEP 503 pages are HTML, and HTML has that."""
    based = HTML.replace("<title>", '<base href="https://cdn.example.com/x/"><title>').replace("/files/", "")
    assert read(based).files[1].url == "https://cdn.example.com/x/Demo-2.0.tar.gz"


def test_credentials_of_the_page_are_not_part_of_the_facts() -> None:
    """Facts are shown to clients, stored and replicated."""
    assert "secret" not in str(read(page(), JSON))


def test_versions_are_the_upstreams_own_words_when_it_says_them() -> None:
    """PEP 700 lists versions without files too; older pages tell by their file names."""
    assert read(page(versions=["0.1", "1.0"]), JSON).versions == ("0.1", "1.0")
    assert read(page(), JSON).versions == ("1.0",)


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (page(files=[]), JSON),
        (page(files=[]), ""),
        ("<html><head><title>Links for demo</title></head><body></body></html>", "text/html"),
        ("<h1>root/pypi: links for Demo</h1><a href='https://example.com/'>home</a>", ""),
        ("<title>Index of /simple/demo/</title><a href='../'>../</a>", "text/html"),
        ('<meta name="pypi:repository-version" content="1.0">', "text/html"),
        ("<!DOCTYPE html><html><body></body></html>", content_types.HTML),
    ],
)
def test_a_project_without_files_is_a_page_that_says_whose_it_is(content: str, kind: str) -> None:
    """An upstream lists names whose files were all deleted; many company indexes are file servers."""
    assert read(content, kind).files == ()


@pytest.mark.parametrize(("content", "kind"), [(page(), JSON), (HTML, "text/html")])
def test_a_page_without_a_content_type_is_read_as_what_it_is(content: str, kind: str) -> None:
    """Plain file servers send none; by the same rules it is no other project's, and whole."""
    assert read(content, "") == read(content, kind)


def test_claims_about_other_indexes_are_kept() -> None:
    """PEP 708, in JSON; what stands in an address beside it is not for clients."""
    here, there = ("https://user:secret@one.example.com/simple/demo/", "../../elsewhere/demo/")
    project = read(
        page(meta={"api-version": "1.4", "tracks": [here]}, **{"alternate-locations": [here, there]}),
        JSON,
    )
    one = "https://one.example.com/simple/demo/"
    assert project.tracks == (one,)
    assert project.alternate_locations == (one, "https://index.example.com/elsewhere/demo/")


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        pytest.param(page(), "application/json", id="a type that PEP 691 does not know"),
        pytest.param(HTML, "text/plain", id="text"),
        pytest.param("", "", id="nothing, of no type"),
        pytest.param('[{"name": "demo"}]', "", id="other JSON of no type"),
        pytest.param(page(**{"alternate-locations": "https://x/"}), JSON, id="a text instead of a list"),
        pytest.param(page(meta={"api-version": "1.2", "tracks": ["ftp://x/"]}), JSON, id="an odd address"),
        pytest.param("{", JSON, id="no JSON"),
        pytest.param("[]", JSON, id="no object"),
        pytest.param(page(more=0)[:-2] + DEEP + "}", JSON, id="a member too deep to be read"),
        pytest.param("null", JSON, id="null"),
        pytest.param("{}", JSON, id="an empty object"),
        pytest.param(page(meta={"api-version": "2.0"}), JSON, id="a version that we do not know"),
        pytest.param(page(name="other"), JSON, id="another project"),
        pytest.param(page(name=None), JSON, id="no name"),
        pytest.param(page(files=[{"filename": "demo-1.0.zip"}]), JSON, id="a file without a URL"),
        pytest.param(page(files=[{**ENTRY, "size": "12"}]), JSON, id="a size that is no number"),
        pytest.param(page(files=[{**ENTRY, "hashes": None}]), JSON, id="no hashes"),
        pytest.param(page(files=[{**ENTRY, "hashes": {"md5": 1}}]), JSON, id="a hash that is no text"),
        pytest.param(page(files=[{**ENTRY, "yanked": 1}]), JSON, id="yanked that is neither"),
        pytest.param(
            page(files=[{**ENTRY, "url": "ftp://x/demo-1.0.zip"}]), JSON, id="a URL we do not fetch"
        ),
        pytest.param("<html><body><h1>Please log in</h1></body></html>", "text/html", id="a captive portal"),
        pytest.param("<title>demo</title>", "text/html", id="a word that a captive portal may use too"),
        pytest.param(
            '<meta name="pypi:repository-version" content="1.0"><a href="other/">other</a>',
            "text/html",
            id="the list of all projects",
        ),
        pytest.param("<title>Links for other</title>", content_types.HTML + "x", id="an odd kind of HTML"),
        pytest.param("<title>Index of /simple/other/</title>", "text/html", id="another folder"),
        pytest.param("<html><body></body></html>", "text/html", id="a blank page"),
        pytest.param("", "text/html", id="nothing"),
        pytest.param(HTML.replace("emo-", "emo_x-"), "text/html", id="another project's files"),
        pytest.param(
            '<html><body><a href="other-1.0.zip">x</a></body></html>', "text/html", id="other files"
        ),
    ],
)
def test_what_is_not_the_page_is_refused(content: str, kind: str) -> None:
    """Each of these would otherwise be shown as a list of files, most of them as an empty one."""
    with pytest.raises(parse.InvalidPageError):
        read(content, kind)


@pytest.mark.parametrize(("content", "kind"), [(page(), JSON), (HTML.strip(), "text/html")])
def test_a_page_that_is_cut_off_anywhere_is_refused(content: str, kind: str) -> None:
    """Without a Content-Length nothing else tells that a body is not whole: half a list is a lie."""
    for length in range(len(content)):
        with pytest.raises(parse.InvalidPageError):
            read(content[:length], kind)


def test_bytes_that_are_no_text_are_refused() -> None:
    """Compressed twice, or plain garbage."""
    with pytest.raises(parse.InvalidPageError):
        parse.parse_page("demo", parse.RawPage("text/html", URL, b"\xff\xfe\x00"), PATHS_OF)


EMPTY_LIST = json.dumps({"meta": {"api-version": "1.0"}, "projects": []})


@pytest.mark.parametrize(
    ("content", "kind", "empty"),
    [
        (EMPTY_LIST, JSON, True),
        (EMPTY_LIST, "", True),
        (
            "<!DOCTYPE html><html><head><title>Simple index</title></head><body></body></html>",
            "text/html",
            True,
        ),
        ('<meta name="pypi:repository-version" content="1.0">', "text/html", True),
        ("<html><body></body></html>", content_types.HTML, True),
        ('<title>Simple index</title><a href="demo/">demo</a>', "text/html", False),
        ("<title>Simple index</title><html>", "text/html", False),
        ("<h1>Please log in</h1>", "text/html", False),
        ("", "", False),
        ("{}", JSON, False),
        (EMPTY_LIST[:-1] + f', "more": {DEEP}}}', JSON, False),
        (page(), JSON, False),
        (EMPTY_LIST, "text/plain", False),
    ],
)
def test_a_list_of_no_projects_must_be_one(content: str, kind: str, empty: bool) -> None:  # noqa: FBT001 (a test's parameter)
    """A new company index has none; whatever else has no links is no such list."""
    assert parse.lists_no_project(parse.RawPage(kind, URL, content.encode())) is empty


WHEEL = "demo-1.0-py3-none-any.whl"


def file(**more: object) -> dict[str, Any]:
    """A wheel as the public index describes it."""
    usual = {
        "core-metadata": {"sha256": "cd" * 32},
        "data-dist-info-metadata": {"sha256": "cd" * 32},
        "filename": WHEEL,
        "hashes": {"sha256": "ab" * 32},
        "provenance": None,
        "requires-python": ">=3.8",
        "size": 12345,
        "upload-time": "2024-01-02T03:04:05.678900Z",
        "url": f"https://files.example.com/packages/a~b/{WHEEL}",
        "yanked": False,
    }
    return usual | more


READ = ProjectFile(
    WHEEL,
    f"root/pypi/+f/aba/{'ba' * 6}b/{WHEEL}",
    f"https://files.example.com/packages/a~b/{WHEEL}",
    {"sha256": "ab" * 32},
    ">=3.8",
    size=12345,
    upload_time="2024-01-02T03:04:05.678900Z",
    core_metadata={"sha256": "cd" * 32},
    offered=True,
)


@pytest.mark.parametrize(
    ("more", "changed"),
    [
        ({}, {}),
        ({"requires-python": None}, {"requires_python": None}),
        ({"requires-python": '>=3.8 "or" \\ ö'}, {"requires_python": '>=3.8 "or" \\ ö'}),
        ({"size": 0, "upload-time": None}, {"size": 0, "upload_time": None}),
        ({"size": None, "upload-time": ""}, {"size": None, "upload_time": ""}),
        ({"yanked": True}, {"yanked": True}),
        ({"yanked": ""}, {"yanked": True}),
        ({"yanked": None}, {}),
        ({"yanked": 'a "bug" <b>&</b>\n\u2028'}, {"yanked": 'a "bug" <b>&</b>\n\u2028'}),
        ({"core-metadata": True}, {"core_metadata": True}),
        ({"core-metadata": False, "dist-info-metadata": {"md5": "0000"}}, {"core_metadata": {"md5": "0000"}}),
        ({"core-metadata": {}, "dist-info-metadata": None}, {"core_metadata": True, "offered": False}),
        ({"provenance": "https://x.example.com/a?b=c&d"}, {"provenance": "https://x.example.com/a?b=c&d"}),
        ({"gpg-sig": True}, {}),
        (
            {"hashes": {"md5": "0000", "sha256": "AB" * 32}},
            {"hashes": {"md5": "0000", "sha256": "ab" * 32}},
        ),
        (
            {"hashes": {"md5": "0000"}, "core-metadata": None},
            {
                "hashes": {"md5": "0000"},
                "path": f"root/pypi/+f/000/0/{WHEEL}",
                "core_metadata": False,
                "offered": False,
            },
        ),
        ({"url": f"../../x/{WHEEL}#sha256=0000"}, {"url": f"https://index.example.com/x/{WHEEL}"}),
        ({"url": f"https://user:secret@files.example.com/packages/a~b/{WHEEL}"}, {}),
        (
            {"filename": "dömo 1.0.whl", "url": "https://files.example.com/d%C3%B6mo%201.0.whl"},
            {
                "filename": "dömo 1.0.whl",
                "path": f"root/pypi/+f/aba/{'ba' * 6}b/dömo 1.0.whl",
                "url": "https://files.example.com/d%C3%B6mo%201.0.whl",
            },
        ),
    ],
)
def test_every_member_of_a_file_is_read_as_it_is_meant(
    more: dict[str, object], changed: dict[str, Any]
) -> None:
    """PEP 691 and its followers; a wheel of which the upstream says nothing has metadata all the same."""
    (found,) = read(page(files=[file(**more)]), content_types.JSON).files
    assert found == READ._replace(**changed)


def test_of_two_files_of_one_name_the_last_one_counts() -> None:
    """As for installers, which would find one of them."""
    (found,) = read(page(files=[file(size=1), file()]), content_types.JSON).files
    assert found == READ


@pytest.mark.parametrize(
    "more",
    [
        *({"filename": 1}, {"url": None}, {"hashes": None}, {"hashes": {"sha256": 1}}, {"yanked": 1}),
        *({"yanked": ["x"]}, {"requires-python": 1}, {"provenance": 1}, {"upload-time": 1}, {"size": 1.5}),
        *({"size": True}, {"size": "12"}, {"core-metadata": {"sha256": None}}),
    ],
)
def test_what_is_no_file_is_no_page(more: dict[str, object]) -> None:
    """A list that is partial is never served as whole."""
    with pytest.raises(parse.InvalidPageError):
        read(page(files=[file(), file(**more)]), content_types.JSON)


@pytest.mark.parametrize("listed", [None, 1, "files", ["file"], [None], {}])
def test_a_list_that_is_none_is_no_page(listed: object) -> None:
    """Nor may it end the process that reads it."""
    with pytest.raises(parse.InvalidPageError):
        read(page(files=listed), content_types.JSON)


@pytest.mark.parametrize(
    "name", ["", ".", "..", "../x.zip", "a/b.zip", "a\\b.zip", "a\0.zip", "a\n.zip", "x" * 256]
)
def test_a_file_that_nobody_could_ask_for_is_left_out_and_the_others_are_shown(name: str) -> None:
    """One link without a name took all files of a project from those who install."""
    url = f"https://files.example.com/{quote(name, '')}"
    files = [file(filename=name, url=url), file()]
    assert [each.filename for each in read(page(files=files), JSON).files] == [WHEEL]
    link = f'<a href="https://files.example.com/#sha256={"ab" * 32}">nothing</a>'
    text = f"<html><body>{link}<a href='/x/demo-1.0.zip'>demo-1.0.zip</a></body></html>"
    assert [each.filename for each in read(text, "text/html").files] == ["demo-1.0.zip"]


@pytest.mark.parametrize(
    "url",
    [
        *("demo-66.0-py3-none-any.whl", f"{WHEEL}/", f"{WHEEL}/demo-66.0.zip", f"x?/{WHEEL}", f"x#/{WHEEL}"),
        *(f"demo-66.0.zip%2F..%3F{WHEEL}", "", WHEEL.replace("-", "%252D"), WHEEL.upper()),
    ],
)
def test_a_file_whose_url_ends_with_another_name_is_left_out(url: str) -> None:
    """Policies read the file name, pip the end of the URL: one row must not name two versions."""
    for base in ("https://files.example.com/", "../../"):
        files = [file(filename="demo-2.0.zip", url="/demo-2.0.zip"), file(url=base + url)]
        assert [each.filename for each in read(page(files=files), JSON).files] == ["demo-2.0.zip"]


@pytest.mark.parametrize(
    "url", ["x/{}", "/x/{}", "{}", "//files.example.com/{}", "https://u:p@files.example.com/{}"]
)
@pytest.mark.parametrize("more", ["", "?token=a/b", "#sha256=00", "?a=/b#c/d"])
def test_a_file_whose_url_ends_with_its_name_is_listed_however_it_is_written(url: str, more: str) -> None:
    """Relative, quoted, with what object stores and PEP 503 add."""
    for kind, name in ((JSON, "demo-1.0+cu1.zip"), ("text/html", "demo-1.0+cu1.zip")):
        address = url.format(quote(name)) + more
        content = f"<html><body><a href='{address}'>{name}</a></body></html>"
        if kind == JSON:
            content = page(files=[file(filename=name, url=address)])
        assert [each.filename for each in read(content, kind).files] == [name]


def test_a_name_that_pip_would_read_as_another_is_left_out() -> None:
    """It takes the end of an address out of its quoting twice."""
    name = "demo-1.0%2F..%2Fdemo-66.0.tar.gz"
    for kind in (JSON, "text/html"):
        content = f"<html><body><a href='{quote(name)}'>x</a><a href='demo-1.0.zip'>x</a></body></html>"
        if kind == JSON:
            files = [file(filename=name, url=quote(name)), file(filename="demo-1.0.zip", url="demo-1.0.zip")]
            content = page(files=files)
        assert [each.filename for each in read(content, kind).files] == ["demo-1.0.zip"]


@pytest.mark.parametrize("size", [-1, 10**30, 2**63, 2**50])
def test_a_size_that_no_file_has_is_as_good_as_none(size: int) -> None:
    """Clients could not count it."""
    (found,) = read(page(files=[file(size=size)]), JSON).files
    assert found == READ._replace(size=None)


@pytest.mark.parametrize(
    "hashes",
    [
        {"crc32": "ab" * 4},
        {"shake_128": "ab" * 16},
        {"sha256": "ab"},
        {"sha256": "../" + "a" * 61},
        {"md5": ""},
    ],
)
def test_a_hash_that_is_none_is_as_good_as_none(hashes: dict[str, str]) -> None:
    """It became part of a path, or the name of an algorithm: both were a 500."""
    (found,) = read(page(files=[file(hashes=hashes)]), JSON).files
    assert (found.hashes, found.path.split("/")[2]) == ({}, "+e")
