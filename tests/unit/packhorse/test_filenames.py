"""packhorse.filenames: what names of wheels and sdists tell."""

import pytest
from packaging.tags import Tag
from packaging.version import Version

from packhorse import filenames


def test_a_wheel_has_tags_and_an_sdist_has_none() -> None:
    """By that the two are told apart."""
    wheel = filenames.parse("My_Demo-1.0-py3-none-any.whl")
    assert wheel == ("my-demo", Version("1.0"), frozenset({Tag("py3", "none", "any")}))
    assert filenames.parse("my_demo-1.0.tar.gz") == ("my-demo", Version("1.0"), frozenset())


@pytest.mark.parametrize(
    "name",
    [
        *("", "demo", "demo-1.0.exe", "demo-1.0.whl", "demo-x-py3-none-any.whl", "demo-x.tar.gz"),
        *("index.html", f"demo-{'9' * 5000}.tar.gz", f"demo-{'9' * 5000}-py3-none-any.whl"),
    ],
)
def test_other_files_are_none(name: str) -> None:
    """Not an error: folders and pages have such files."""
    assert filenames.parse(name) is None


def test_a_wheel_of_thousands_of_tags_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """A page with many such names would take minutes."""
    many = "-".join(".".join([tag] * 20) for tag in ("py3", "none", "any"))
    monkeypatch.setattr(filenames, "parse_wheel_filename", lambda _: pytest.fail("makes all tags"))
    assert filenames.parse(f"demo-1.0-{many}.whl") is None
