"""mirror.serving.running: commands that need a mirror say which step is missing."""

from pathlib import Path

import httpx
import pytest

from mirror.serving import running
from mirror.serving.running import Running
from mirror.state import Folder
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
