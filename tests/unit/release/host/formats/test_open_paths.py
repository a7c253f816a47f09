"""The promises of release.host.formats.open_paths."""

import pytest

from packhorse.errors import PackhorseError
from release.host.formats import open_paths


def test_paths_are_taken_once_each() -> None:
    """In the order in which they were given."""
    assert open_paths.check(["/healthz", "/admin/", "/über uns".replace(" ", "-"), "/healthz"]) == [
        "/healthz",
        "/admin/",
        "/über-uns",
    ]


@pytest.mark.parametrize(
    "path",
    [
        *("", "healthz", "/", "//admin", "/a//b", "/a/../b", "/a/.", "/a?b", "/a#b", "/a%2fb", "/a;b"),
        *("/a\\b", "/a b", "/a\n", "/\udcff", "http://x/a", f"/{'a' * 200}"),
    ],
)
def test_a_path_that_would_open_something_else_is_refused(path: str) -> None:
    """Nobody should have to guess what stays open."""
    with pytest.raises(PackhorseError):
        open_paths.check([path])


def test_many_paths_are_refused() -> None:
    """Each request is compared with all of them."""
    with pytest.raises(PackhorseError, match="More than 50"):
        open_paths.check([f"/{number}" for number in range(51)])
