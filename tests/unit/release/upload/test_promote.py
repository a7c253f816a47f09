"""The promises of release.upload.promote, where a real index would not misbehave on demand."""

import hashlib
import json
from collections.abc import Mapping

import pytest

from packhorse.errors import PackhorseError
from release import index
from release.credentials import Credentials
from release.deploy import requests
from release.index import Response
from release.upload import promote

SERVER = "https://pypi.example.com"
DEV, PROD = f"{SERVER}/company/dev", f"{SERVER}/company/prod"
WHEEL = "app-1.0-py3-none-any.whl"


class Devpi:
    """Two indexes; `pushes` copies files from the first to the second, in whatever way the test wants."""

    def __init__(self, dev: Mapping[str, bytes], prod: Mapping[str, bytes] | None = None) -> None:
        self.files: dict[str, dict[str, bytes]] = {DEV: dict(dev), PROD: dict(prod or {})}
        self.served: dict[str, bytes] = {}
        self.answer = Response(DEV, 200)
        self.copies = True
        self.lost: set[str] = set()  # URLs of files that are listed and not there
        self.posted: list[tuple[str, Mapping[str, str], object]] = []
        self.read: list[str] = []  # URLs of files

    def get(self, url: str, accept: str) -> Response:
        where = next(name for name in self.files if url.startswith((f"{name}/", f"{name}?")))
        if "/+f/" in url:
            name = url.rpartition("/")[2]
            self.read.append(url)
            if url in self.lost:
                return Response(url, 404)
            return Response(url, 200, body=self.served.get(name, self.files[where][name]))
        if "+simple" in url:
            entries = [
                {"filename": name, "url": f"{where}/+f/{name}", "hashes": {"sha256": digest(content)}}
                for name, content in self.files[where].items()
            ]
            return Response(url, 200, "OK", index.JSON, json.dumps({"files": entries}).encode())
        config: dict[str, object] = {"type": "stage", "bases": []}
        found = {"1.0": {}} if "ignore_bases" in url else config
        assert accept == "application/json"
        return Response(url, 200, body=json.dumps({"result": found}).encode())

    def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Response:
        self.posted.append((url, headers, json.loads(body)))
        if self.copies:
            self.files[PROD] |= self.files[DEV]
            self.lost.clear()
        return self.answer

    def promote(self) -> promote.Promoted:
        def login() -> Credentials:
            return Credentials("ann", "s3cret")

        way = promote.Way(DEV, PROD, login, self.get, self.post)
        return promote.promote(requests.parse("app==1.0"), way)


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def test_the_push_is_of_the_version_and_the_password_is_in_a_header_alone() -> None:
    """A URL or a body would be in logs."""
    devpi = Devpi({WHEEL: b"1"})
    assert [file.new for file in devpi.promote().files] == [True]
    ((url, headers, body),) = devpi.posted
    assert (url, body) == (
        f"{DEV}/",
        {"name": "app", "version": "1.0", "targetindex": "company/prod"},
    )
    assert headers["Authorization"] == "Basic YW5uOnMzY3JldA=="


def test_who_lost_a_race_for_the_same_bytes_has_promoted_too() -> None:
    """devpi answers 409 to the second of two pushes to an index that is not volatile."""
    devpi = Devpi({WHEEL: b"1"})
    devpi.answer = Response(DEV, 409)
    assert devpi.promote().version == "1.0"


def test_a_file_that_is_only_listed_is_not_there() -> None:
    """`mirror check --repair` puts a damaged one aside; its page lists it until it comes again."""
    devpi = Devpi({WHEEL: b"1"}, {WHEEL: b"1"})
    assert [file.new for file in devpi.promote().files] == [False]
    other = "app-1.0-py2-none-any.whl"  # no push from the source brings it
    devpi.files[PROD][other] = b"2"
    devpi.lost |= {f"{PROD}/+f/{WHEEL}", f"{PROD}/+f/{other}"}
    devpi.read.clear()
    assert [file.new for file in devpi.promote().files] == [True]
    assert f"{PROD}/+f/{other}" not in devpi.read
    assert len(devpi.posted) == 1
    devpi.lost.add(f"{PROD}/+f/{WHEEL}")
    devpi.copies = False
    with pytest.raises(PackhorseError, match="answered 404"):
        devpi.promote()


def test_an_answer_is_not_believed_without_the_files() -> None:
    """A proxy may answer 200 to everything."""
    devpi = Devpi({WHEEL: b"1"})
    devpi.copies = False
    with pytest.raises(PackhorseError, match=f"lacks {WHEEL} after the push"):
        devpi.promote()


def test_a_file_that_was_replaced_during_the_push_is_noticed() -> None:
    """company/dev is volatile: what arrived is not what was looked at."""
    devpi = Devpi({WHEEL: b"1"})
    push = devpi.post

    def post(url: str, headers: Mapping[str, str], body: bytes) -> Response:
        devpi.files[DEV][WHEEL] = b"2"
        return push(url, headers, body)

    devpi.post = post  # type: ignore[method-assign]
    with pytest.raises(PackhorseError, match="with other content"):
        devpi.promote()


OTHER = "app-1.0-py2-none-any.whl"


def test_a_file_that_came_after_the_check_is_not_pushed() -> None:
    """devpi pushes all files of the version, and nobody has looked at that one."""
    devpi = Devpi({WHEEL: b"1"})
    get = devpi.get

    def read(url: str, accept: str) -> Response:
        answer = get(url, accept)
        if "/+f/" in url:
            devpi.files[DEV][OTHER] = b"2"
        return answer

    devpi.get = read  # type: ignore[method-assign]
    with pytest.raises(PackhorseError, match=f"{OTHER} came to {DEV} meanwhile"):
        devpi.promote()
    assert not devpi.posted


def test_a_file_that_came_during_the_push_is_noticed() -> None:
    """Then it is on the target, and somebody has to know; what was there before is no news."""
    devpi = Devpi({WHEEL: b"1"}, {"app-1.0.tar.gz": b"before"})
    push = devpi.post

    def post(url: str, headers: Mapping[str, str], body: bytes) -> Response:
        devpi.files[DEV][OTHER] = b"2"
        return push(url, headers, body)

    devpi.post = post  # type: ignore[method-assign]
    with pytest.raises(PackhorseError, match=f"{OTHER} came to {PROD} meanwhile"):
        devpi.promote()


def test_a_file_that_is_not_what_its_page_lists_is_not_pushed() -> None:
    """A disk may have changed a bit."""
    devpi = Devpi({WHEEL: b"1"})
    devpi.served[WHEEL] = b"broken"
    with pytest.raises(PackhorseError, match="not with the file that the index lists"):
        devpi.promote()
    assert not devpi.posted


def test_a_push_without_an_answer_may_have_been_done() -> None:
    """The connection broke: only another look tells, and that is what the next run does first."""
    devpi = Devpi({WHEEL: b"1"})

    def post(url: str, headers: Mapping[str, str], body: bytes) -> Response:  # noqa: ARG001
        raise ConnectionResetError(104, "Connection reset by peer")

    devpi.post = post  # type: ignore[method-assign]
    with pytest.raises(PackhorseError, match="Connection reset by peer") as caught:
        devpi.promote()
    assert "run the command again" in caught.value.hint


def test_a_version_that_is_there_needs_no_password_and_not_even_the_source() -> None:
    """After the promotion, somebody has cleared company/dev."""
    assert [file.new for file in Devpi({}, {WHEEL: b"1"}).promote().files] == [False]
