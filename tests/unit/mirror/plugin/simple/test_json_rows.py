"""Usual files of a PEP 691 page give the rows that reading them one by one gives; others are left alone."""

import json
from typing import Any

import pytest

from mirror.plugin.simple import content_types, file_paths, json_rows, parse
from mirror.plugin.simple.detail import ProjectDetail

URL = "https://index.example.com/simple/demo/"
WHEEL, SDIST = "demo-1.0-py3-none-any.whl", "demo-1.0.tar.gz"


def file(name: str = WHEEL, /, **more: object) -> dict[str, Any]:
    """As the public index describes it."""
    usual = {
        "core-metadata": {"sha256": "cd" * 32},
        "data-dist-info-metadata": {"sha256": "cd" * 32},
        "filename": name,
        "hashes": {"sha256": f"{abs(hash(name)):064x}"},
        "provenance": None,
        "requires-python": ">=3.8",
        "size": 12345,
        "upload-time": "2024-01-02T03:04:05.678900Z",
        "url": f"https://files.example.com/packages/a~b/{name}",
        "yanked": False,
    }
    return usual | more


def read(*files: dict[str, Any]) -> ProjectDetail:
    """The page with these files, with paths."""
    page = {"meta": {"api-version": "1.4"}, "name": "demo", "files": files}
    body = parse.RawPage(content_types.JSON, URL, json.dumps(page).encode())
    return file_paths.placed("root/pypi", parse.parse_page("demo", body))


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"requires-python": None, "size": None, "upload-time": None},
        {"requires-python": '>=3.8 "or" \\ ö', "size": 0, "upload-time": ""},
        {"yanked": True},
        {"yanked": ""},
        {"yanked": 'a "bug" <b>&</b>\n\u2028'},
        {"yanked": None},
        {"core-metadata": False, "dist-info-metadata": {"sha256": "ef" * 32}},
        {"core-metadata": True},
        {"core-metadata": {}, "dist-info-metadata": None},
        {"provenance": "https://x.example.com/a?b=c&d"},
        {"provenance": ""},
        {"gpg-sig": True},
    ],
)
def test_the_shortcut_is_taken_and_cannot_be_seen(more: dict[str, object]) -> None:
    """The file with two hashes is read the long way, and with it all others: the same rows must come out."""
    files = [file(**more), file(SDIST, **more), file("demo-1.1+local.1-py3-none-any.whl")]
    other = file("demo-3.0.zip", hashes={"sha256": "ab" * 32, "md5": "ab" * 16})
    assert json_rows.rows(files) is not None
    assert json_rows.rows([*files, other]) is None
    assert read(*files).files == read(*files, other).files[:-1]


@pytest.mark.parametrize(
    "more",
    [
        {"url": f"../../{WHEEL}"},
        {"url": f"ftp://files.example.com/{WHEEL}"},
        {"url": f"https://user:secret@files.example.com/{WHEEL}"},
        {"url": f"https://files.example.com/{WHEEL}#sha256={'ab' * 32}"},
        {"url": "https://files.example.com/demo-2.0-py3-none-any.whl"},
        {"url": f"https://files.example.com/a b/{WHEEL}"},
        {"filename": "demo 1.0.zip", "url": "https://files.example.com/demo 1.0.zip"},
        {"filename": "dömo-1.0.zip", "url": "https://files.example.com/dömo-1.0.zip"},
        {"hashes": {}},
        {"hashes": {"md5": "ab" * 16}},
        {"hashes": {"sha256": "AB" * 32}},
        {"hashes": {"sha256": "ab" * 31}},
        {"hashes": {"sha256": "../" + "a" * 61}},
        {"core-metadata": {"md5": "ab" * 16}},
        {"core-metadata": {"sha256": "ab" * 32, "md5": "ab" * 16}},
        {"upload-time": 'yesterday"'},
        {"size": True},
        {"size": "12"},
    ],
)
def test_files_that_take_a_closer_look_are_left_alone(more: dict[str, object]) -> None:
    """What cannot be put into a row as it is."""
    assert json_rows.rows([file(SDIST), file(**more)]) is None


def test_two_files_of_one_name_are_left_alone() -> None:
    """The last one counts."""
    assert json_rows.rows([file(), file()]) is None


@pytest.mark.parametrize(
    "more",
    [
        *({"filename": 1}, {"url": None}, {"hashes": None}, {"hashes": {"sha256": 1}}, {"yanked": 1}),
        *({"yanked": ["x"]}, {"requires-python": 1}, {"provenance": 1}, {"upload-time": 1}, {"size": 1.5}),
    ],
)
def test_what_is_no_file_is_no_page(more: dict[str, object]) -> None:
    """A list that is partial is never served as whole."""
    with pytest.raises(parse.InvalidPageError):
        read(file(SDIST), file(**more))


@pytest.mark.parametrize("listed", [None, 1, "files", ["file"], [None], {}])
def test_a_list_that_is_none_is_no_page(listed: object) -> None:
    """Nor may it end the process that reads it."""
    page = {"meta": {"api-version": "1.4"}, "name": "demo", "files": listed}
    body = parse.RawPage(content_types.JSON, URL, json.dumps(page).encode())
    with pytest.raises(parse.InvalidPageError):
        parse.parse_page("demo", body)
