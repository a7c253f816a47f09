"""Prefetch: each pin of a lock becomes cached files or a problem in words."""

import hashlib
import json
import threading
from pathlib import Path

import httpx
import pytest

from mirror.lockfiles import environments
from mirror.lockfiles.lock import Elsewhere, Lock, Pin
from mirror.offline import prefetch, report, resolve
from mirror.offline.prefetch import Found, Prefetch, Received, Result
from mirror.offline.resolve import Place, Unresolved
from mirror.offline.storage import StoredFiles
from mirror.state import Folder

INDEX = "http://127.0.0.1:3141/company/dev/+simple/"
CONTENT = b"a wheel"
SHA256 = hashlib.sha256(CONTENT).hexdigest()
FILE = {
    "filename": "demo-1.0-py3-none-any.whl",
    "url": "../../+f/demo-1.0-py3-none-any.whl",
    "hashes": {"sha256": SHA256},
    "size": len(CONTENT),
}
PAGE = httpx.Response(200, content=json.dumps({"files": [FILE]}))
PIN = Pin("demo", "1.0", environments=environments.wanted())
NAME = "demo-1.0-py3-none-any.whl"
NEW = Result(PIN, NAME, len(CONTENT), new=True)


def fetch(
    *responses: httpx.Response, pin: Pin = PIN, folder: Path = Path("/none")
) -> tuple[Result, list[str]]:
    """What came of a pin when the mirror gives these responses in turn, and the URLs it was asked."""
    asked: list[str] = []
    rest = iter(responses)

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(str(request.url))
        response = next(rest)
        return httpx.Response(response.status_code, headers=response.headers, content=response.content)

    with httpx.Client(transport=httpx.MockTransport(answer)) as client:
        events = list(Prefetch(INDEX, StoredFiles(Folder(folder), []), client).run([pin]))
    (result,) = (event for event in events if isinstance(event, Result))
    return result, asked


def unavailable(reason: str) -> httpx.Response:
    """A 503 as the plugin sends it; clients may ask again at once."""
    return httpx.Response(503, headers={"Retry-After": "0"}, text=f"503 Service Unavailable\n\n{reason}\n")


def test_the_page_is_asked_first_and_then_the_file() -> None:
    """Its URL is relative to the page."""
    result, asked = fetch(PAGE, httpx.Response(200, content=CONTENT))
    assert result == NEW
    assert asked == [f"{INDEX}demo/", f"http://127.0.0.1:3141/company/dev/+f/{NAME}"]


def test_a_mirror_that_waits_for_its_upstream_is_asked_again() -> None:
    """503 with Retry-After means just that."""
    result, _ = fetch(unavailable("busy"), PAGE, unavailable("busy"), httpx.Response(200, content=CONTENT))
    assert result == NEW


def test_a_mirror_that_stays_unavailable_is_given_up_with_its_reason() -> None:
    """The other files of the lock still want to come."""
    result, asked = fetch(*[unavailable("the upstream does not answer")] * prefetch.TRIES)
    assert result.problem == "503 the upstream does not answer"
    assert len(asked) == prefetch.TRIES


def test_an_offline_mirror_is_not_asked_again() -> None:
    """Nothing will change."""
    _, asked = fetch(unavailable("offline: demo is not in the cache, and nothing is fetched"))
    assert len(asked) == 1


def test_a_file_with_other_content_is_a_problem() -> None:
    """The page says which hash it has."""
    result, _ = fetch(PAGE, httpx.Response(200, content=b"something else"))
    assert result.problem.startswith("its sha256 is ")
    assert result.problem.endswith(f" instead of {SHA256}")


@pytest.mark.parametrize("others", [("0" * 64, "f" * 64), ()])
def test_a_lock_may_have_hashes_of_other_files_of_the_version_too(others: tuple[str, ...]) -> None:
    """`uv pip compile --generate-hashes` writes those of every wheel and of the sdist."""
    hashes = frozenset(("sha256", digest) for digest in (SHA256, *others))
    pin = Pin("demo", "1.0", hashes=hashes, environments=PIN.environments)
    assert fetch(PAGE, httpx.Response(200, content=CONTENT), pin=pin)[0].problem == ""


def test_a_version_that_the_index_lacks_is_a_problem() -> None:
    """The lock is wrong, or was made with another index."""
    result, _ = fetch(httpx.Response(200, content=json.dumps({"files": []})))
    assert result.problem == "the index has no such version"


@pytest.mark.parametrize("name", ["demo-0.9-py3-none-any.whl", "demo-1.0-cp26-cp26m-win32.whl"])
def test_what_a_policy_may_withhold_leads_to_the_command_that_says_why(name: str) -> None:
    """An index that lacks a version and a policy that denies it look the same."""
    listed = {**FILE, "filename": name}
    page = {"meta": {"_withheld": 2}, "files": [listed]}
    result, _ = fetch(httpx.Response(200, content=json.dumps(page)))
    assert result.problem.startswith("the index has no ")
    assert result.problem.endswith("; policies withhold files of demo: see `mirror why demo==1.0`")


def test_a_pin_that_fails_is_looked_for_once() -> None:
    """What uv resolves has the pins of the lock among them."""
    pin = Pin("demo", "2.0", hashes=frozenset({("sha256", SHA256)}), environments=PIN.environments)
    with httpx.Client(transport=httpx.MockTransport(lambda _: PAGE)) as client:
        work = Prefetch(
            INDEX, StoredFiles(Folder(Path("/none")), []), client, where="this mirror, which is offline,"
        )
        first, second = list(work.run([pin])), list(work.run([pin]))
    (result,) = first
    assert isinstance(result, Result)
    assert result.problem == "this mirror, which is offline, has no such version"
    assert second == []


def test_a_pin_that_cannot_be_had_is_not_in_the_way_of_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """uv resolves all together or nothing, and would tell the same failure in its words."""
    gone = Pin("demo", "2.0", environments=PIN.environments)
    asked: list[tuple[Pin, ...]] = []

    def pins(found: Lock, *_: object) -> tuple[tuple[Pin, ...], list[Unresolved]]:
        asked.append(found.pins)
        return (found.pins, [Unresolved("demo==2.0", "no such version")] if gone in found.pins else [])

    monkeypatch.setattr(resolve, "pins", pins)
    answers = {"simple": PAGE.content, "+f": CONTENT}

    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, content=answers["simple" if "simple" in str(request.url) else "+f"])

    with httpx.Client(transport=httpx.MockTransport(answer)) as client:
        work = Prefetch(INDEX, StoredFiles(Folder(Path("/none")), []), client)
        events = list(prefetch.fill(Lock(("x",), pins=(gone, PIN)), PIN.environments, Place(INDEX), work))
    results = [event for event in events if isinstance(event, Result | Unresolved)]
    assert report.failures(results) == ["demo==2.0: the index has no such version"]
    assert NEW in results
    assert asked == [(gone, PIN), (PIN,)]


def test_uv_resolves_when_the_pages_are_here_while_files_still_come(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both at once would ask for each page twice; one after the other would leave the line idle."""
    resolving = threading.Event()
    order: list[str] = []

    def pins(found: Lock, *_: object) -> tuple[tuple[Pin, ...], list[Unresolved]]:
        order.append("uv")
        resolving.set()
        return found.pins, []

    def answer(request: httpx.Request) -> httpx.Response:
        if "simple" in str(request.url):
            order.append("page")
            return httpx.Response(200, content=PAGE.content)
        assert resolving.wait(10)
        order.append("file")
        return httpx.Response(200, content=CONTENT)

    monkeypatch.setattr(resolve, "pins", pins)
    with httpx.Client(transport=httpx.MockTransport(answer)) as client:
        work = Prefetch(INDEX, StoredFiles(Folder(Path("/none")), []), client)
        events = list(prefetch.fill(Lock(("x",), pins=(PIN,)), PIN.environments, Place(INDEX), work))
    assert NEW in events
    assert order == ["page", "uv", "file"]


def test_a_connection_that_breaks_is_a_problem() -> None:
    """The mirror may be stopped meanwhile."""

    def answer(_: httpx.Request) -> httpx.Response:
        raise httpx.ReadError("")

    with httpx.Client(transport=httpx.MockTransport(answer)) as client:
        (result,) = Prefetch(INDEX, StoredFiles(Folder(Path("/none")), []), client).run([PIN])
    assert result == Result(PIN, problem="ReadError")


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    """Where the mirror stores the file."""
    path = Folder(tmp_path).files / "company/dev/+f/abc/def" / NAME
    path.parent.mkdir(parents=True)
    path.write_bytes(CONTENT)
    return path


HERE = {**FILE, "url": f"../../+f/abc/def/{NAME}"}


@pytest.mark.usefixtures("stored")
def test_a_file_that_is_here_is_not_asked_for(tmp_path: Path) -> None:
    """Started again after an interruption, it goes on."""
    page = httpx.Response(200, content=json.dumps({"files": [HERE]}))
    result, asked = fetch(page, folder=tmp_path)
    assert result == Result(PIN, NAME, len(CONTENT))
    assert asked == [f"{INDEX}demo/"]


@pytest.mark.parametrize("content", [CONTENT[:3], b"", b"another"])
def test_a_file_that_is_here_is_read_to_see_that_it_is_whole(
    tmp_path: Path, stored: Path, content: bytes
) -> None:
    """A full disk or a power cut may have left less."""
    stored.write_bytes(content)
    page = httpx.Response(200, content=json.dumps({"files": [HERE]}))
    result, _ = fetch(page, folder=tmp_path)
    assert result.problem.startswith("the file that is here is broken: its sha256 is ")


def test_bytes_are_reported_as_they_come_and_two_pins_of_a_file_fetch_it_once() -> None:
    """The progress bar needs them; a lock has a project once more for each of its extras."""
    answers = {"simple": PAGE.content, "+f": CONTENT}

    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, content=answers["simple" if "simple" in str(request.url) else "+f"])

    with httpx.Client(transport=httpx.MockTransport(answer)) as client:
        events = list(Prefetch(INDEX, StoredFiles(Folder(Path("/none")), []), client).run([PIN, PIN]))
    assert events == [Found(len(CONTENT)), Received(len(CONTENT)), NEW]


def test_the_report_counts_what_came_and_names_what_did_not() -> None:
    """All problems at once: who fills a mirror for a flight has one chance."""
    good, old = Result(PIN, NAME, 1_500_000, new=True), Result(PIN, "old.whl", 500_000)
    bad = Result(Pin("other", "2"), problem="gone")
    assert report.as_text([good, old, bad]) == (
        "2 files with 2.0 MB are in the cache: 1 new with 1.5 MB, 1 already there, 1 failed"
    )
    open_one = Unresolved("x>=1 for 3.12", "nothing fits")
    lines = ["other==2: gone", "x>=1 for 3.12: nothing fits"]
    assert report.failures([open_one, good, bad]) == report.failures([bad, open_one, bad, good]) == lines
    assert report.missing([bad, good, bad]) == "1 of 2 files are not in the cache"
    failed = report.as_json([open_one], [])["failed"]
    assert (failed[0]["wanted"], failed[0]["reason"]) == ("x>=1 for 3.12", "nothing fits")
    assert report.as_json([good, old, bad], [Elsewhere("local", "git x")]) == {
        "files": 2,
        "bytes": 2_000_000,
        "new": {"files": 1, "bytes": 1_500_000},
        "already_there": 1,
        "failed": [{"project": "other", "version": "2", "file": None, "reason": "gone"}],
        "left_out": [{"project": "local", "source": "git x"}],
    }


def test_policies_that_withhold_what_uv_looked_for_are_named() -> None:
    """uv sees pages without their files, and says that there are no versions."""
    pages = {"evil-app": {"meta": {"_withheld": 3}, "files": []}, "demo": {"meta": {}, "files": []}}

    def answer(request: httpx.Request) -> httpx.Response:
        page = pages.get(str(request.url).rstrip("/").rpartition("/")[2])
        return httpx.Response(200, json=page) if page else httpx.Response(404)

    reason = "Because there are no versions of Evil.App and demo==1 depends on gone>=2, nothing fits."
    with httpx.Client(transport=httpx.MockTransport(answer)) as client:
        work = Prefetch(INDEX, StoredFiles(Folder(Path("/none")), []), client)
        found = work.explained(Unresolved("demo for here", reason))
    note = "policies withhold files of evil-app: see `mirror why evil-app`"
    assert found == Unresolved("demo for here", f"{reason}; {note}")


def test_what_fails_for_one_reason_is_said_once() -> None:
    """An upstream that is off fails for all; the hint is about it then, not about the lock."""
    off = [
        Result(Pin(f"p{n}", "1"), problem=f"503 no answer for /x/p{n}/: off", status=503) for n in range(9)
    ]
    gone = Result(PIN, problem="the index has no such version")
    assert report.failures([*off, gone]) == [
        "demo==1.0: the index has no such version",
        "p0==1, p1==1, p2==1, p3==1, p4==1 and 4 more: 503 no answer: off",
    ]
    assert report.is_out_of_reach([*off, Unresolved("x", "no answer")])
    assert not report.is_out_of_reach([*off, gone])
    assert not report.is_out_of_reach([Unresolved("x", "no such version")])
