"""Downloads that are followed while they arrive, with a fetcher and a storage of the test's own."""

import gc
import hashlib
import threading
import weakref
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from mirror.plugin.files import downloads, known_files
from mirror.plugin.files.downloads import (
    CHUNK,
    HELD_BACK,
    Download,
    DownloadRequest,
    Downloads,
    DownloadSource,
)
from mirror.plugin.files.known_files import Expected
from mirror.plugin.upstream.client import GatewayError, Upstream
from tests.support.servers import wait_until

CONTENT = bytes(range(256)) * 1500  # some chunks


class _Entry:
    """As much of devpi's entry as a download looks at."""

    relpath = "root/pypi/+f/abc/def/demo-1.0.tar.gz"
    project = "demo"
    is_here = False

    def file_exists(self) -> bool:
        return self.is_here

    def __init__(self, content: bytes = CONTENT) -> None:
        self.hashes = {"sha256": hashlib.sha256(content).hexdigest(), "md5": hashlib.md5(content).hexdigest()}  # noqa: S324 (as pages state it)


class _Answer:
    def __init__(self, content: bytes, headers: Mapping[str, str], gate: threading.Event) -> None:
        self.headers = headers
        self._content = content
        self._gate = gate

    def iter_raw(self, size: int) -> Iterator[bytes]:
        for position in range(0, len(self._content), size):
            if position >= 2 * size:
                assert self._gate.wait(60)
            yield self._content[position : position + size]


class _Fetcher:
    """An upstream with one file; from the third chunk on it waits for `gate`."""

    def __init__(self, content: bytes = CONTENT, *, sized: bool = True) -> None:
        self.gate = threading.Event()
        self.asked = 0
        self._content = content
        self._headers = {"Content-Length": str(len(content))} if sized else {}

    @contextmanager
    def stream(self, url: str, *_: object, **_headers: object) -> Iterator[_Answer]:
        self.asked += 1
        if "down" in url:
            raise GatewayError(503, f"{url} does not answer")
        if "denying" in url:
            raise GatewayError(403, "demo-1.0.tar.gz is denied")
        yield _Answer(self._content, self._headers, self.gate)


INDEX = Upstream("https://example.com/simple/")


class _Kept(list[bytes]):
    """Stands in for devpi's storage."""

    def keep(self, download: Download, found: Mapping[str, str]) -> None:
        assert found["sha256"] == hashlib.sha256(download.path.read_bytes()).hexdigest()
        self.append(download.path.read_bytes())


class _Known:
    """Nothing is known of a file but what its entry says, and perhaps its size and an earlier hash."""

    def __init__(self, size: int | None = None, pinned: str | None = None) -> None:
        self.size, self.pinned = size, pinned
        self.reported: list[str] = []

    def expected(self, entry: Any) -> Expected:  # noqa: ANN401 (devpi is untyped)
        pinned = {"sha256": self.pinned} if self.pinned else {}
        return Expected({**entry.hashes, **pinned}, self.size, self.pinned)

    def report(self, _entry: object, _expected: object, found: str) -> None:
        self.reported.append(found)


class _FullDisk:
    def keep(self, *_: object) -> None:
        raise OSError(28, "No space left on device")


def _request(entry: Any = None) -> DownloadRequest:  # noqa: ANN401 (devpi is untyped)
    return DownloadRequest(
        entry or _Entry(), [DownloadSource("https://files.example.com/demo-1.0.tar.gz", INDEX)]
    )


def _downloads(fetcher: _Fetcher, keeper: Any, folder: Path, known: Any = None) -> Downloads:  # noqa: ANN401 (see above)
    return Downloads(fetcher, keeper, folder, known or _Known())  # type: ignore[arg-type]  # a fake


def _join(arriving: Downloads, request: DownloadRequest | None = None) -> Download:
    download = arriving.join(request or _request())
    assert download is not None, "the file is not here"
    return download


def test_all_who_join_follow_one_download_while_it_arrives(tmp_path: Path) -> None:
    """One request, however many ask, and bytes before the end."""
    fetcher, kept = _Fetcher(), _Kept()
    arriving = _downloads(fetcher, kept, tmp_path)
    download = _join(arriving)
    assert _join(arriving) is download
    begun = next(download.follow())
    assert CONTENT.startswith(begun)
    fetcher.gate.set()
    assert b"".join(download.follow()) == CONTENT
    assert b"".join(download.follow(100, 70_000)) == CONTENT[100:70_000]
    assert (fetcher.asked, list(kept)) == (1, [CONTENT])


@pytest.mark.parametrize(("urls", "asked"), [(["down", "up"], 2), (["up", "down"], 1)])
def test_another_source_is_asked_when_the_first_has_it_not(
    tmp_path: Path, urls: list[str], asked: int
) -> None:
    """A replica serves on while its primary is away."""
    fetcher, kept = _Fetcher(), _Kept()
    fetcher.gate.set()
    sources = [DownloadSource(f"https://{url}.example.com/demo-1.0.tar.gz", INDEX) for url in urls]
    _join(_downloads(fetcher, kept, tmp_path), DownloadRequest(_Entry(), sources)).complete()
    assert (fetcher.asked, list(kept)) == (asked, [CONTENT])


def test_what_a_primary_denies_is_asked_of_nobody_else(tmp_path: Path) -> None:
    """Its replica may know less of what policies decide by."""
    fetcher = _Fetcher()
    sources = [
        DownloadSource(f"https://{url}.example.com/demo-1.0.tar.gz", INDEX) for url in ("denying", "up")
    ]
    with pytest.raises(GatewayError, match="is denied") as raised:
        _join(_downloads(fetcher, _Kept(), tmp_path), DownloadRequest(_Entry(), sources)).complete()
    assert (raised.value.status, fetcher.asked) == (403, 1)


def test_without_a_source_that_answers_the_last_one_says_why(tmp_path: Path) -> None:
    """And not the one that was only tried first."""
    sources = [
        DownloadSource("https://down.example.com/first", INDEX),
        DownloadSource("https://down.example.com/last", INDEX),
    ]
    with pytest.raises(GatewayError, match="last does not answer"):
        _join(_downloads(_Fetcher(), _Kept(), tmp_path), DownloadRequest(_Entry(), sources)).complete()


def test_who_comes_when_the_download_has_just_ended_needs_none(tmp_path: Path) -> None:
    """Between the look for a file and the question for its download, all of it may come."""
    fetcher, entry = _Fetcher(), _Entry()
    arriving = _downloads(fetcher, _Kept(), tmp_path)
    fetcher.gate.set()
    _join(arriving, _request(entry)).complete()
    entry.is_here = True
    assert arriving.join(_request(entry)) is None
    assert fetcher.asked == 1


def test_the_last_bytes_are_shown_only_when_the_file_is_kept(tmp_path: Path) -> None:
    """Whoever has all of it may rely on the cache having it too."""
    fetcher = _Fetcher()
    download = _join(_downloads(fetcher, _Kept(), tmp_path))
    shown = download.wait_for(CHUNK // 2)
    assert shown <= len(CONTENT) - HELD_BACK
    fetcher.gate.set()
    download.complete()
    assert download.wait_for() == len(CONTENT)


def test_without_a_length_nothing_is_shown_before_the_end(tmp_path: Path) -> None:
    """A cut answer would look whole."""
    fetcher = _Fetcher(sized=False)
    download = _join(_downloads(fetcher, _Kept(), tmp_path))
    threading.Timer(0.1, fetcher.gate.set).start()
    assert download.wait_for() == download.length == len(CONTENT)


@pytest.mark.parametrize("wrong", [CONTENT[:-1], CONTENT[:-1] + b"?", b""])
def test_a_wrong_file_is_trouble_for_all_and_nothing_is_left(tmp_path: Path, wrong: bytes) -> None:
    """Neither in the storage nor in the folder; the next one who asks starts anew."""
    fetcher, kept = _Fetcher(wrong), _Kept()
    fetcher.gate.set()
    arriving = _downloads(fetcher, kept, tmp_path)
    download = _join(arriving)
    with pytest.raises(GatewayError) as caught:
        download.complete()
    assert (caught.value.status, list(kept)) == (502, [])
    assert _join(arriving) is not download


def test_a_client_that_repeats_its_request_never_gets_the_failure_before(tmp_path: Path) -> None:
    """A download that has failed cannot be joined any more, not even in the moment of its end."""
    arriving = _downloads(fetcher := _Fetcher(CONTENT[:-1]), _Kept(), tmp_path)
    download = _join(arriving)
    again: list[Download] = []
    download.add_done_callback(lambda _: again.append(_join(arriving)))
    fetcher.gate.set()
    with pytest.raises(GatewayError):
        download.complete()
    wait_until("another download has begun", lambda: again)
    assert again[0] is not download
    with pytest.raises(GatewayError):
        again[0].complete()


def test_a_failed_download_that_nobody_follows_is_closed_at_once(tmp_path: Path) -> None:
    """Its file has no name any more, and takes its place on the disk until it is closed."""
    arriving = _downloads(fetcher := _Fetcher(CONTENT[:-1]), _Kept(), tmp_path)
    gc.disable()
    try:
        download = _join(arriving)
        fetcher.gate.set()
        with pytest.raises(GatewayError):
            download.complete()
        ended = weakref.ref(download)
        del download
        wait_until("nobody holds it", lambda: ended() is None)
    finally:
        gc.enable()


def test_a_full_disk_is_trouble_that_may_pass(tmp_path: Path) -> None:
    """503: the administrator can do something about it."""
    fetcher = _Fetcher()
    fetcher.gate.set()
    with pytest.raises(GatewayError, match="No space left on device") as caught:
        _join(_downloads(fetcher, _FullDisk(), tmp_path)).complete()
    assert caught.value.status == 503


def test_leftovers_of_dead_processes_are_removed_and_live_downloads_are_not(tmp_path: Path) -> None:
    """Several processes may share the folder."""
    live = Download(_request(), tmp_path / "live")
    (tmp_path / "left").write_bytes(b"half")
    _downloads(_Fetcher(), _Kept(), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["live"]
    del live


def test_silence_for_too_long_is_trouble(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every wait has an end."""
    monkeypatch.setattr(downloads, "PATIENCE", 0.05)
    download = Download(_request(), tmp_path / "silent")
    with pytest.raises(GatewayError, match=r"nothing of .* has arrived"):
        download.wait_for()


@pytest.mark.parametrize(("size", "reason"), [(10, "more than the 10"), (10**9, "instead of the")])
def test_a_file_of_another_size_than_its_page_says_is_not_kept(
    tmp_path: Path, size: int, reason: str
) -> None:
    """A file without an end fills a disk before its hash is known to be wrong."""
    fetcher, kept, known = _Fetcher(sized=False), _Kept(), _Known(size)
    fetcher.gate.set()
    with pytest.raises(GatewayError, match=reason):
        _join(_downloads(fetcher, kept, tmp_path, known)).complete()
    assert (list(kept), known.reported) == ([], [])


def test_a_file_without_a_size_is_broken_off_at_the_largest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An upstream that never ends would fill the disk."""
    monkeypatch.setattr(known_files, "LARGEST", 10)
    fetcher, kept = _Fetcher(sized=False), _Kept()
    fetcher.gate.set()
    with pytest.raises(GatewayError, match="more than the 10"):
        _join(_downloads(fetcher, kept, tmp_path, _Known())).complete()
    assert list(kept) == []


def test_a_file_that_is_another_than_it_was_is_reported_and_not_kept(tmp_path: Path) -> None:
    """What it was is known by name, although its page states no hash, or the new one."""
    fetcher, kept, known = _Fetcher(), _Kept(), _Known(pinned="0" * 64)
    fetcher.gate.set()
    with pytest.raises(GatewayError, match=r"another sha256.*`mirror why demo`.*accept-changed"):
        _join(_downloads(fetcher, kept, tmp_path, known)).complete()
    assert (list(kept), known.reported) == ([], [hashlib.sha256(CONTENT).hexdigest()])
