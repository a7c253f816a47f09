"""Links of every way of writing them, found once each, and nothing that only looks like one."""

import pytest

from mirror.plugin.simple import html_page
from mirror.plugin.simple.file_rows import FileObject

URL = "https://example.com/simple/demo/"
USUAL = (
    '<a href="../../f/demo-1.0.zip#sha256=ab" data-requires-python="&gt;=3.8" data-yanked="">'
    "demo-1.0.zip</a><br/>\n"
)


@pytest.mark.parametrize(
    "link",
    [
        USUAL,
        USUAL.replace('"', "'"),
        USUAL.upper().replace("../../F/DEMO-1.0.ZIP#SHA256=AB", "../../f/demo-1.0.zip#sha256=ab"),
        USUAL.replace("&gt;", ">"),
        USUAL.replace('data-yanked=""', "data-yanked"),
        USUAL.replace('" ', '"\n\t'),
        USUAL.replace("demo-1.0.zip</a>", "<b>demo</b>-1.0.zip</a>"),
        USUAL.replace("../../f", "https://example.com/f"),
        f"<!-- a comment -->{USUAL}",
        f"<!-- {USUAL} -->{USUAL}",
        f"<script>'{USUAL}'</script>{USUAL}",
    ],
)
def test_a_link_is_the_same_however_it_is_written(link: str) -> None:
    """The usual form takes a shortcut, which must not be seen."""
    page = html_page.read(f"<!DOCTYPE html><html><body><h1>Links for demo</h1>{link}</body></html>", URL)
    (found,) = page.links
    assert (found.url, found.hashes) == ("https://example.com/f/demo-1.0.zip", {"sha256": "ab"})
    assert (found.requires_python, found.yanked) == (">=3.8", True)
    assert not page.is_cut_off


def test_a_base_element_counts_for_all_links() -> None:
    """PEP 503 pages are HTML5: relative addresses depend on it."""
    page = html_page.read('<base href="/files/"><a href="a.zip">a</a><a href=\'b.zip\'>b</a>', URL)
    assert [link.url for link in page.links] == [
        "https://example.com/files/a.zip",
        "https://example.com/files/b.zip",
    ]


@pytest.mark.parametrize("quote", ['"', "'"])
def test_a_size_and_a_time_are_read_where_an_index_states_them(quote: str) -> None:
    """As uv reads them: what `--exclude-newer` finds at the index, it must find here."""
    attributes = 'data-size="12" data-upload-time="2024-01-02T03:04:05.5Z"'.replace('"', quote)
    for order in (attributes, " ".join(reversed(attributes.split()))):
        (link,) = html_page.read(f"<a href={quote}a.zip{quote} {order}>a.zip</a>", URL).links
        assert (link.size, link.upload_time) == (12, "2024-01-02T03:04:05.5Z")


@pytest.mark.parametrize("time", ["yesterday", "2024-01-02", '2024-01-02T03:04:05Z",', ""])
def test_what_is_no_time_is_not_passed_on(time: str) -> None:
    """A client would refuse the whole page."""
    (link,) = html_page.read(f"<a href='a.zip' data-upload-time='{time}' data-size='-1'>a</a>", URL).links
    assert (link.size, link.upload_time) == (None, None)


def test_a_page_that_ends_anywhere_too_early_is_cut_off() -> None:
    """Servers that state no length leave only this to see it."""
    whole = f"<!DOCTYPE html><html><body>{USUAL * 3}</body></html>"
    cut = [
        length for length in range(len("<!DOCTYPE html><html>"), len(whole)) if not _is_cut(whole[:length])
    ]
    assert cut == []
    assert not _is_cut(whole)


def _is_cut(text: str) -> bool:
    return html_page.read(text, URL).is_cut_off


def test_what_a_page_says_of_itself_is_found_between_its_links() -> None:
    """PEP 708 and PEP 792 metas, the repository version, and the heading that names the project."""
    tracks = [f"https://{host}.example.com/simple/demo/" for host in ("one", "two")]
    text = (
        '<html><head><meta name="pypi:repository-version" content="1.4"><title>Links for demo</title>'
        f'<meta name="pypi:project-status" content="archived"></head><body>{USUAL}'
        + "".join(f'<meta name="pypi:tracks" content="{url}">' for url in tracks)
        + '<meta name="description" content="x"></body></html>'
    )
    page = html_page.read(text, URL)
    assert page.metas == {"repository-version": ["1.4"], "project-status": ["archived"], "tracks": tracks}
    assert (page.status, page.heading.strip()) == ({"status": "archived"}, "Links for demo")


def test_all_that_a_link_says_is_read_whether_it_is_written_as_usual_or_not() -> None:
    """One place knows what attributes mean; two find them."""
    attributes = (
        ' data-requires-python="&gt;=3.8" data-yanked="has a &quot;bug&quot;" data-dist-info-metadata="true"'
        ' data-core-metadata="sha256=cd" data-provenance="https://x.example.com/p" rel="internal"'
    )
    usual = f'<a href="/a%20b/x-1.0.zip#md5=ab&amp;egg=x"{attributes}>x</a>'
    page = html_page.read(usual + usual.replace("<a ", "<A "), URL)
    expected = FileObject(
        "x-1.0.zip",
        "https://example.com/a%20b/x-1.0.zip",
        {"md5": "ab"},
        None,
        ">=3.8",
        None,
        'has a "bug"',
        {"sha256": "cd"},
        None,
        "https://x.example.com/p",
    )
    assert page.links == [expected, expected]


def test_only_what_is_a_hash_in_an_address_is_one() -> None:
    """Fragments have other uses too."""
    for fragment in ("#top", "#egg=x", "#sha256=", "#sha256=../..", ""):
        for quote in ('"', "'"):
            (link,) = html_page.read(f"<a href={quote}x-1.0.zip{fragment}{quote}>x</a>", URL).links
            assert (link.url, link.hashes) == (f"{URL}x-1.0.zip", {})
