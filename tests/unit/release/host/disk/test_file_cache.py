"""The promises of release.host.disk.file_cache that need no network."""

from pathlib import Path

import pytest

from packhorse.errors import PackhorseError
from release.host.disk import file_cache
from release.host.disk.manifest import File
from tests.support.release_folders import a_layout, a_session

A, B = "a" * 64, "b" * 64


def test_what_is_here_is_not_asked_for(tmp_path: Path) -> None:
    """A rollback works while the index is down."""
    layout = a_layout(tmp_path)
    here = File("shop", "shop-1.0.whl", A)
    place = file_cache.path(layout, here)
    place.parent.mkdir()
    place.touch()
    file_cache.fetch(layout, [here], None, a_session())
    with pytest.raises(PackhorseError, match=r"does not have dep-1\.0\.whl any more"):
        file_cache.fetch(layout, [here, File("dep", "dep-1.0.whl", B)], None, a_session())


def test_files_that_no_release_names_are_swept(tmp_path: Path) -> None:
    """So is what a killed download left; a file is found by its hash, whatever it is called."""
    layout = a_layout(tmp_path)
    for digest in (A, B):
        folder = layout.files / digest
        folder.mkdir()
        (folder / "dep-1.0-py3-none-any.whl").touch()
        (folder / ".dep-1.0-py3-none-any.whl.0123").touch()
        (folder / ".build").mkdir()
    assert file_cache.prune(layout, {A}) == ["dep-1.0-py3-none-any.whl"]
    assert [path.name for path in layout.files.rglob("*")] == [A, "dep-1.0-py3-none-any.whl"]


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://pypi.example.com/company/prod/+f/a.whl", True),
        ("https://PYPI.example.com:443/company/prod/+f/a.whl", True),
        ("http://pypi.example.com/company/prod/+f/a.whl", False),
        ("https://pypi.example.com:8443/company/prod/+f/a.whl", False),
        ("https://pypi.example.com@files.example.com/a.whl", False),
        ("https://files.example.com/a.whl", False),
        ("https://pypi.example.com:none/a.whl", False),
    ],
)
def test_a_token_is_shown_to_the_index_alone(url: str, *, expected: bool) -> None:
    """A page of the index may name files anywhere; a redirect takes no token along at all."""
    index = file_cache.Index("https://pypi.example.com/company/dev/+simple/", "devpi-secret")
    request = file_cache.request_of(url, index, "*/*")
    assert request.unredirected_hdrs.keys() == ({"Authorization"} if expected else set())
    assert "Authorization" not in request.headers
    assert "devpi-secret" not in repr(index)
