"""mirror.prefetch: each pin of a lock becomes a cached file or a problem in words."""

import hashlib
import json

import httpx
import pytest

from mirror import prefetch
from mirror.lockfile import Pin
from mirror.prefetch import Result
from packhorse.errors import PackhorseError

INDEX = "http://127.0.0.1:3141/company/dev/+simple/"
CONTENT = b"a wheel"
SHA256 = hashlib.sha256(CONTENT).hexdigest()
FILE = {
    "filename": "demo-1.0-py3-none-any.whl",
    "url": "../../+f/demo-1.0-py3-none-any.whl",
    "hashes": {"sha256": SHA256},
}
PAGE = httpx.Response(200, content=json.dumps({"files": [FILE]}))
PIN = Pin("demo", "1.0")


def fetch(*responses: httpx.Response, pin: Pin = PIN) -> tuple[Result, list[str]]:
    """What came of a pin when the mirror gives these responses in turn, and the URLs it was asked."""
    asked: list[str] = []
    rest = iter(responses)

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(str(request.url))
        response = next(rest)
        return httpx.Response(response.status_code, headers=response.headers, content=response.content)

    with httpx.Client(transport=httpx.MockTransport(answer)) as client:
        return prefetch._fetch(pin, INDEX, client), asked


def unavailable(reason: str) -> httpx.Response:
    """A 503 as the plugin sends it; clients may ask again at once."""
    return httpx.Response(503, headers={"Retry-After": "0"}, text=f"503 Service Unavailable\n\n{reason}\n")


def test_the_page_is_asked_first_and_then_the_file() -> None:
    """Its URL is relative to the page."""
    result, asked = fetch(PAGE, httpx.Response(200, content=CONTENT))
    assert result == Result(PIN, len(CONTENT))
    assert asked == [f"{INDEX}demo/", "http://127.0.0.1:3141/company/dev/+f/demo-1.0-py3-none-any.whl"]


def test_a_mirror_that_waits_for_its_upstream_is_asked_again() -> None:
    """503 with Retry-After means just that."""
    result, _ = fetch(unavailable("busy"), PAGE, unavailable("busy"), httpx.Response(200, content=CONTENT))
    assert result == Result(PIN, len(CONTENT))


def test_a_mirror_that_stays_unavailable_is_given_up_with_its_reason() -> None:
    """The other files of the lock still want to come."""
    result, asked = fetch(*[unavailable("the upstream does not answer")] * prefetch.TRIES)
    assert result.problem == f"{INDEX}demo/: 503 the upstream does not answer"
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
    pin = Pin("demo", "1.0", hashes=frozenset(("sha256", digest) for digest in (SHA256, *others)))
    assert fetch(PAGE, httpx.Response(200, content=CONTENT), pin=pin)[0].problem == ""


def test_a_version_that_the_index_lacks_is_a_problem() -> None:
    """The lock is wrong, or was made with another index."""
    result, _ = fetch(httpx.Response(200, content=json.dumps({"files": []})))
    assert result.problem == "the index has no such version"


def test_a_connection_that_breaks_is_a_problem() -> None:
    """The mirror may be stopped meanwhile."""

    def answer(_: httpx.Request) -> httpx.Response:
        raise httpx.ReadError("")

    with httpx.Client(transport=httpx.MockTransport(answer)) as client:
        assert prefetch._fetch(PIN, INDEX, client).problem == "ReadError"


def test_the_summary_counts_what_came_and_names_what_did_not() -> None:
    """All problems at once: who fills a mirror for a flight has one chance."""
    good, bad = Result(PIN, 1_500_000), Result(Pin("other", "2"), problem="gone")
    assert prefetch.summary([good, good]) == "2 files with 3.0 MB are in the cache"
    with pytest.raises(PackhorseError, match="1 of 2 files are not in the cache") as caught:
        prefetch.summary([good, bad])
    assert caught.value.detail == "other==2: gone"
