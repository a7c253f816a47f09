"""mirror.serving.running: commands that need a mirror say which step is missing."""

import os
from pathlib import Path

import httpx
import pytest

from mirror import state
from mirror.serving import running, server
from mirror.serving.running import Running
from mirror.state import Folder, Serving
from packhorse.errors import PackhorseError


@pytest.mark.parametrize(("exists", "hint"), [(False, "mirror init"), (True, "mirror serve --background")])
def test_the_step_that_is_missing_is_named(tmp_path: Path, hint: str, *, exists: bool) -> None:
    """`mirror serve` before `mirror init` would only be refused again."""
    if exists:
        Folder(tmp_path).server.mkdir(parents=True)
    with pytest.raises(PackhorseError) as caught:
        running.find(Folder(tmp_path))
    assert hint in (caught.value.hint or "")


def test_only_the_mirror_gets_the_password() -> None:
    """Pages are made of what an upstream sent: an address on them may lead anywhere."""
    sent: dict[str, str | None] = {}

    def answer(request: httpx.Request) -> httpx.Response:
        sent[str(request.url)] = request.headers.get("Authorization")
        return httpx.Response(200)

    def get(mirror: Running, url: str) -> None:
        with mirror.client(1) as client:
            client._transport = httpx.MockTransport(answer)
            client.get(url)

    mirror = Running("http://127.0.0.1:3141", {"root": "s3cret"})
    for url in ("http://127.0.0.1:3141/a", "http://127.0.0.1:3142/", "https://127.0.0.1:3141/"):
        get(mirror, url)
    get(Running("http://127.0.0.1:3141", {}), "http://127.0.0.1:3141/b")
    assert [url for url, login in sent.items() if login] == ["http://127.0.0.1:3141/a"]
    assert len(sent) == 4
    assert "s3cret" not in repr(mirror)


def test_who_waits_gets_the_mirror_as_soon_as_it_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At boot a server has the lock, and writes its address, before it listens."""
    folder, looks = Folder(tmp_path), list[str]()
    folder.server.mkdir(parents=True)

    def answers(url: str) -> bool:
        looks.append(url)
        return len(looks) > 2

    monkeypatch.setattr(server, "answers", answers)
    monkeypatch.setattr(running, "LOOK_AGAIN", 0.001)
    lock = state.try_lock(folder.lock)
    assert lock is not None
    try:
        state.write_serving(folder, Serving("http://127.0.0.1:3141", 1))
        assert running.started(folder, 60).url == "http://127.0.0.1:3141"
        assert looks == ["http://127.0.0.1:3141"] * 3
        looks.clear()
        assert running.started(folder, 0).url == "http://127.0.0.1:3141", "without a wait, its errors tell"
        assert len(looks) == 1
    finally:
        os.close(lock)
    with pytest.raises(PackhorseError, match="does not serve"):
        running.started(folder, 0.01)
