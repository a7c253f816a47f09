"""The process that reads pages: what it says, and what becomes of it."""

import gzip
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace

import psutil
import pytest

from mirror.plugin import gzip_bytes
from mirror.plugin.simple import parse
from mirror.plugin.simple.content_types import JSON
from mirror.plugin.simple.parse import InvalidPageError, RawPage
from mirror.plugin.upstream import page_cache, parser_process
from mirror.plugin.upstream.page_cache import PageInfo
from mirror.plugin.upstream.parser_process import ParseRequest, ParserProcess
from tests.support.servers import wait_until

URL = "https://index.example.com/simple/demo/"
ABOUT = PageInfo(URL, 1_700_000_000, '"etag"', 7)
LINK = f'<a href="https://files.example.com/{{}}#sha256={"ab" * 32}">file</a>'
PARENT = """\
import psutil
from mirror.plugin.upstream.parser_process import ParserProcess
reader = ParserProcess()
print(psutil.Process().children()[0].pid, flush=True)
input()
"""


def answer(*filenames: str, index: str = "root/pypi", of_primary: bool = False) -> ParseRequest:
    """With links to these files."""
    links = "".join(LINK.format(name) for name in filenames)
    page = f"<title>demo</title>{links}".encode()
    return ParseRequest(index, "demo", RawPage("text/html", URL, page), ABOUT, of_primary)


@pytest.fixture
def reader() -> Iterator[ParserProcess]:
    """Processes with limits of some seconds, in which another can also be started."""
    reader = ParserProcess(longest=1, patience=8)
    yield reader
    reader.end()


@pytest.fixture
def patient_reader() -> Iterator[ParserProcess]:
    """Processes with the server's limits: a second of processor time is little beside a busy neighbour."""
    reader = ParserProcess()
    yield reader
    reader.end()


def _readers() -> list[psutil.Process]:
    children = psutil.Process().children()
    return [child for child in children if any("parser_process" in word for word in child.cmdline())]


def process() -> psutil.Process:
    """That of the only reader."""
    (child,) = wait_until("the reader", _readers)
    return child


def test_the_process_says_what_is_read_here(reader: ParserProcess) -> None:
    """The page as it is stored, and the entries that devpi could not find."""
    asked = answer("demo-1.0.zip", "demo1.0.zip")
    said = reader.read(asked)
    assert said == parser_process.read(asked)
    assert [file.filename for file in said.entries] == ["demo1.0.zip"]
    known = page_cache.decode("demo", said.content)
    assert known
    assert known.about == ABOUT
    assert [file.path[:16] for file in known.detail.files] == ["root/pypi/+f/aba"] * 2


def test_files_of_a_primary_stay_where_it_has_them(reader: ParserProcess) -> None:
    """And a replica writes no entries: those are the primary's."""
    said = reader.read(answer("root/pypi/+f/aba/demo1.0.zip", "root/pypi/+e/x/demo-1.0.zip", of_primary=True))
    known = page_cache.decode("demo", said.content)
    assert known
    paths = [file.path for file in known.detail.files]
    assert paths == ["root/pypi/+f/aba/demo1.0.zip", "root/pypi/+e/x/demo-1.0.zip"]
    assert said.entries == ()


def test_what_is_no_page_is_refused_and_the_next_one_is_read(reader: ParserProcess) -> None:
    """By the same process."""
    before = process()
    with pytest.raises(InvalidPageError, match="another project"):
        reader.read(answer("other-1.0.zip"))
    assert reader.read(answer("demo-1.0.zip")).content
    assert process() == before


def test_a_large_page_is_parsed_in_a_process_that_ends(patient_reader: ParserProcess) -> None:
    """Of fifty thousand files, packed. Its memory is given back, and small pages do not wait for it."""
    links = [f"demo-{number}.0.zip" for number in range(50_000)]
    large = answer(*links)
    packed = replace(large.body, content=gzip.compress(large.body.content), encoding="gzip")
    for page in (large, replace(large, body=packed)):
        assert patient_reader.read(page).content == parser_process.read(large).content
    assert patient_reader.read(replace(answer("other-1.0.zip"), project="other")).content
    assert len(_readers()) == 1


def test_the_process_of_a_usual_large_page_stays() -> None:
    """While another one starts, all pages of the upstream wait: an install meets some such pages."""
    reader = ParserProcess(quick=20)
    try:
        before = process()
        page = reader.read(answer(*(f"demo-{number}.0.zip" for number in range(25_000))))
        assert 5_000_000 < gzip_bytes.size(page.content) < 10_000_000
        assert reader.read(answer("demo-1.0.zip")).content
        assert process() == before
    finally:
        reader.end()


@pytest.mark.parametrize(
    ("content", "encoding", "reason"),
    [
        (gzip.compress(bytes(parse.LARGEST + 1)), "gzip", f"more than {parse.LARGEST} bytes"),
        (gzip.compress(gzip.compress(bytes(parse.LARGEST))), "gzip, gzip", "content encoding"),
        (gzip.compress(b"<title>demo</title>" * 1000)[:-10], "gzip", "cut off"),
        (b"<title>demo</title>", "gzip", "no gzip"),
        (b"<title>demo</title>", "br", "content encoding"),
        (b'{"meta":{},"name":"x","files":[],"versions":[' + b'"ab",' * 12_000_000, "", "memory"),
    ],
    ids=["bomb", "nested", "cut", "no gzip", "another encoding", "memory"],
)
def test_a_page_that_takes_too_much_memory_is_refused(
    patient_reader: ParserProcess, content: bytes, encoding: str, reason: str
) -> None:
    """Whatever was made so small that it takes that much; the next page is parsed."""
    with pytest.raises(InvalidPageError, match=reason):
        patient_reader.read(ParseRequest("root/pypi", "large", RawPage("", URL, content, encoding), ABOUT))
    assert patient_reader.read(answer("demo-1.0.zip")).content


def test_a_page_that_takes_too_much_time_is_refused(reader: ParserProcess) -> None:
    """The next page is parsed."""
    body = RawPage("", URL, b"<title>demo</title>" + b"<div>" * 2_000_000)
    with pytest.raises(InvalidPageError, match="takes more than"):
        reader.read(ParseRequest("root/pypi", "large", body, ABOUT))
    assert reader.read(answer("demo-1.0.zip")).content


def test_a_page_that_took_too_much_is_not_parsed_again_at_once(reader: ParserProcess) -> None:
    """Each time it is asked for, it would keep a processor busy."""
    body = RawPage("text/html", URL, b"<title>demo</title>" + b"<div>" * 2_000_000)
    hostile = ParseRequest("root/pypi", "demo", body, ABOUT)
    with pytest.raises(InvalidPageError, match="takes more than"):
        reader.read(hostile)
    with pytest.raises(InvalidPageError, match="tried again in"):
        reader.read(hostile)
    assert reader.read(replace(answer("other-1.0.zip"), project="other")).content


def test_pages_that_take_long_delay_no_others(reader: ParserProcess) -> None:
    """Neither small ones of the same upstream nor any of another."""
    hostile = RawPage("text/html", URL, b"<title>demo</title>" + b"<div>" * 2_000_000)
    names = [f"hostile{number}" for number in range(3)]
    ended: list[str] = []

    def parse_hostile(name: str) -> None:
        with suppress(InvalidPageError):
            reader.read(ParseRequest("root/pypi", name, hostile, ABOUT))
        ended.append(name)

    with ThreadPoolExecutor() as pool:
        for name in names:
            pool.submit(parse_hostile, name)
        for index in ("root/pypi", "company/mirror"):
            assert reader.read(answer("demo-1.0.zip", index=index)).content
        assert len(ended) < len(names)


@pytest.mark.parametrize("count", [1, 20_000])
def test_a_process_that_does_not_answer_is_replaced(reader: ParserProcess, count: int) -> None:
    """Also by a page that is more than the kernel holds meanwhile. Another process parses it."""
    process().suspend()
    assert reader.read(answer(*["demo-1.0.zip"] * count)).content
    assert reader.read(replace(answer("other-1.0.zip"), project="other")).content


def test_a_process_that_was_killed_is_replaced(reader: ParserProcess) -> None:
    """By the kernel for lack of memory, say."""
    child = process()
    child.kill()
    wait_until("its end", lambda: child.status() == psutil.STATUS_ZOMBIE)
    assert reader.read(answer("demo-1.0.zip")).content


def test_a_page_whose_process_was_killed_is_parsed_by_another_one(reader: ParserProcess) -> None:
    """It need not have been the page."""
    child = process()
    child.suspend()
    killing = threading.Timer(0.1, child.kill)
    killing.start()
    assert reader.read(answer("demo-1.0.zip")).content
    assert reader.read(replace(answer("other-1.0.zip"), project="other")).content


def test_the_process_ends_with_its_parent() -> None:
    """However that ends: nothing is left behind by a server that was killed."""
    with subprocess.Popen(
        [sys.executable, "-c", PARENT], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout
        child = psutil.Process(int(parent.stdout.readline()))
        parent.send_signal(signal.SIGKILL)
        assert psutil.wait_procs([child], timeout=10)[0] == [child]


@pytest.mark.parametrize(("of_primary", "withheld"), [(True, 2), (False, 0)])
def test_only_a_primary_says_how_many_files_policies_withhold(*, of_primary: bool, withheld: int) -> None:
    """A replica says the same; what an upstream says of its own policies is not about ours."""
    page = b'{"meta": {"api-version": "1.4", "_withheld": 2}, "name": "demo", "files": []}'
    asked = ParseRequest("root/pypi", "demo", RawPage(JSON, URL, page), ABOUT, of_primary)
    parsed = parser_process.read(asked)
    assert page_cache.decode_new("demo", parsed.content, parsed.summary).detail.withheld == withheld
