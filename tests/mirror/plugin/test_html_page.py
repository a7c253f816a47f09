"""Links of every way of writing them, found once each, and nothing that only looks like one."""

import pytest

from mirror.plugin import html_page

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
    expected = {
        "href": "https://example.com/f/demo-1.0.zip#sha256=ab",
        "data-requires-python": ">=3.8",
        "data-yanked": "",
    }
    assert page.anchors == [expected]
    assert not page.is_cut_off


def test_a_base_element_counts_for_all_links() -> None:
    """PEP 503 pages are HTML5: relative addresses depend on it."""
    page = html_page.read('<base href="/files/"><a href="a.zip">a</a><a href=\'b.zip\'>b</a>', URL)
    assert [anchor["href"] for anchor in page.anchors] == [
        "https://example.com/files/a.zip",
        "https://example.com/files/b.zip",
    ]


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
    """PEP 792 metas, the repository version, and the heading that names the project."""
    text = (
        '<html><head><meta name="pypi:repository-version" content="1.4"><title>Links for demo</title>'
        f'<meta name="pypi:project-status" content="archived"></head><body>{USUAL}</body></html>'
    )
    page = html_page.read(text, URL)
    assert (page.has_version, page.status, page.heading.strip()) == (
        True,
        {"status": "archived"},
        "Links for demo",
    )
