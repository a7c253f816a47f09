"""Links of the usual form give the rows that reading them one by one gives; any other form is left alone."""

import pytest

from mirror.plugin.simple import file_paths, html_page, html_rows, parse
from mirror.plugin.simple.detail import ProjectDetail

URL = "https://index.example.com/simple/demo/"


def link(name: str, attributes: str = "") -> str:
    """As nearly all indexes write it."""
    sha256 = f"{abs(hash(name)):064x}"
    return f'<a href="https://files.example.com/a~b/{name}#sha256={sha256}"{attributes}>{name}</a><br/>\n'


USUAL = "".join(
    [
        link("demo-1.0.tar.gz", ' data-requires-python="&gt;=3.8,&lt;4" data-yanked=""'),
        link("demo-1.0-py3-none-any.whl"),
        link("Demo-1.1-py3-none-any.whl", ' data-upload-time="2024-01-02T03:04:05.678900Z"'),
        link("demo-1.2+local.1-py3-none-any.whl", f' data-core-metadata="sha256={"ab" * 32}"'),
        link("demo-1.3.zip", ' data-yanked="has a &quot;bug&quot; \\ &amp; more" data-size="12"'),
        link("demo-1.0.win32-py2.7.exe", ' rel="internal" data-provenance="https://x.example.com/p"'),
    ]
)


def whole(links: str, head: str = "<title>Links for demo</title>") -> str:
    return f"<!DOCTYPE html><html><head>{head}</head><body>{links}</body></html>"


def read(text: str) -> ProjectDetail:
    said = parse.parse_page("demo", parse.RawPage("text/html", URL, text.encode()))
    return file_paths.placed("root/pypi", said)


def test_the_shortcut_is_taken_and_cannot_be_seen() -> None:
    """A page with one link in apostrophes is read the long way: the same rows must come out."""
    assert html_rows.split(whole(USUAL)) is not None
    other = whole(USUAL + "<a href='../'>up</a>")
    assert html_rows.split(other) is None
    assert read(whole(USUAL)).files == read(other).files
    assert read(whole(USUAL)).versions == read(other).versions


@pytest.mark.parametrize(
    "text",
    [
        whole(USUAL + link("demo-2.0.zip").replace("https://", "/")),
        whole(USUAL + link("demo-2.0.zip").replace("demo-", "demo%2D")),
        whole(USUAL + link("demo-2.0.zip").replace("https://", "https://user:secret@")),
        whole(USUAL + link("demo-2.0.zip").replace("demo-2.0", 'demo-2.0\\"')),
        whole(USUAL + link("demo-2.0.zip").replace("#sha256=", "#md5=")),
        whole(USUAL + link("demo-2.0.zip").replace("<a ", "<A ")),
        whole(USUAL + link("demo-2.0.zip").replace("<a href", "<a rel='x' href")),
        whole(USUAL + link("demo-2.0.zip", ' data-upload-time="yesterday"')),
        whole(USUAL + link("demo-1.0.tar.gz")),
        whole(USUAL, '<base href="/files/">'),
        whole(f"<!-- {USUAL} -->"),
        whole(f"<!--{USUAL}-->{USUAL}"),
        whole(f"<script>{USUAL}</script>"),
        whole(f"<STYLE>{USUAL}</STYLE>"),
    ],
)
def test_what_is_written_otherwise_is_left_to_the_parser(text: str) -> None:
    """It knows HTML; the shortcut knows one form of a link."""
    assert html_rows.split(text) is None


def test_links_in_a_comment_are_none() -> None:
    """Neither way."""
    with pytest.raises(parse.InvalidPageError):
        read(whole(f"<!-- {USUAL} -->", ""))


def test_a_page_of_usual_links_that_is_cut_off_is_refused() -> None:
    """Without a length, nothing but the page itself tells."""
    text = whole(USUAL)
    for length in range(len(text)):
        with pytest.raises(parse.InvalidPageError):
            read(text[:length])


def test_attributes_are_read_by_the_same_rules() -> None:
    """One place knows what they mean."""
    (said,) = {found.said for found in html_page.read(link("demo-1.3.zip", ' data-size="7"'), URL).links}
    assert said.size == 7
    found = html_rows.split(link("demo-1.3.zip", ' data-size="7"'))
    assert found is not None
    assert [file.size for file in found[1]] == [7]
