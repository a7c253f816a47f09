"""`mirror yank` and `unyank`: which calls they make."""

from typing import Any

import pytest

from mirror.packages import yank
from packhorse.errors import PackhorseError


class FakeApi:
    """Remembers calls."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str, object]] = []

    def call(self, method: str, path: str, body: object = None) -> Any:  # noqa: ANN401 (JSON)
        self.calls.append((method, path, body))

    def accepts(self, user: str, password: str) -> bool:  # noqa: ARG002
        return True


def test_a_yank_says_which_release_and_why() -> None:
    """The reason is what installers show to those who pinned it."""
    api = FakeApi()
    assert yank.yank(api, "company/dev", "Demo.App==1.0", "bad data") == (
        "yanked demo-app 1.0 on company/dev: bad data"
    )
    assert yank.yank(api, "company/dev", "demo == 1.0+local", None) == "yanked demo 1.0+local on company/dev"
    assert yank.unyank(api, "company/prod", "demo==2.0") == "unyanked demo 2.0 on company/prod"
    assert api.calls == [
        ("PUT", "/company/dev/demo-app/1.0/+yank", {"reason": "bad data"}),
        ("PUT", "/company/dev/demo/1.0+local/+yank", {}),
        ("DELETE", "/company/prod/demo/2.0/+yank", None),
    ]


@pytest.mark.parametrize("release", ["demo", "demo>=1", "demo==1.*", "demo==1,!=2", "==1", "../x==1", ""])
def test_what_names_no_release_is_refused(release: str) -> None:
    """A range would yank what nobody looked at."""
    with pytest.raises(PackhorseError, match="names no release"):
        yank.parse(release)
