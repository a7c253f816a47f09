"""The process that reads pages: what it says, and what becomes of it."""

import signal
import subprocess
import sys
import threading
from collections.abc import Iterator

import psutil
import pytest

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
    """A process that reads no page for longer than some seconds, in which another can also be started."""
    reader = ParserProcess(longest=4)
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


@pytest.mark.parametrize("count", [1, 20_000])
def test_a_page_that_takes_too_long_is_given_up(reader: ParserProcess, count: int) -> None:
    """Whoever made it so does not keep others waiting, nor does one that the kernel cannot hold meanwhile."""
    process().suspend()
    with pytest.raises(InvalidPageError, match="takes more than"):
        reader.read(answer(*["demo-1.0.zip"] * count))
    assert reader.read(answer("demo-1.0.zip")).content


def test_a_process_that_was_killed_is_replaced(reader: ParserProcess) -> None:
    """By the kernel for lack of memory, say."""
    child = process()
    child.kill()
    wait_until("its end", lambda: child.status() == psutil.STATUS_ZOMBIE)
    assert reader.read(answer("demo-1.0.zip")).content


def test_a_page_that_kills_the_process_is_refused(reader: ParserProcess) -> None:
    """Once: whether it is read again is for the client to say."""
    child = process()
    child.suspend()
    killing = threading.Timer(0.1, child.kill)
    killing.start()
    with pytest.raises(InvalidPageError, match="cannot be read"):
        reader.read(answer("demo-1.0.zip"))
    assert reader.read(answer("demo-1.0.zip")).content


def test_the_process_ends_with_its_parent() -> None:
    """However that ends: nothing is left behind by a server that was killed."""
    with subprocess.Popen(
        [sys.executable, "-c", PARENT], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout
        child = psutil.Process(int(parent.stdout.readline()))
        parent.send_signal(signal.SIGKILL)
        assert psutil.wait_procs([child], timeout=10)[0] == [child]
