"""Rows: every fact survives them, whatever characters an upstream puts into it."""

import json

import pytest

from mirror.plugin.simple import file_rows, render
from mirror.plugin.simple.detail import ProjectDetail
from mirror.plugin.simple.file_rows import ProjectFile, Rows

SHA = "ab" * 32
WHEEL = ProjectFile(
    filename="demo-1.0-py3-none-any.whl",
    path="root/pypi/+f/aba/bababababababa/demo-1.0-py3-none-any.whl",
    url="https://files.example.com/demo-1.0-py3-none-any.whl",
    hashes={"sha256": SHA, "blake2b": "ffff"},
    requires_python=">=3.8",
    yanked="broken",
    size=0,
    upload_time="2024-01-02T03:04:05.678900Z",
    core_metadata={"sha256": "0000"},
    provenance="https://example.com/provenance",
)
PLAIN = ProjectFile("demo-1.0.zip", "root/pypi/+e/files_example_com/demo-1.0.zip", yanked=True)
HOSTILE = '","url":"x","from":"y"}\n{"filename":"\\'


@pytest.mark.parametrize(
    "file",
    [
        WHEEL,
        PLAIN,
        WHEEL._replace(core_metadata=True, yanked=False),
        WHEEL._replace(core_metadata=False),
        PLAIN._replace(filename=HOSTILE, path=f"root/pypi/+f/a/b/{HOSTILE}", url=f"https://x/{HOSTILE}"),
        WHEEL._replace(hashes={HOSTILE: HOSTILE}, requires_python=HOSTILE, yanked=HOSTILE),
    ],
)
def test_every_fact_survives_its_row_and_stays_in_its_place_on_the_page(file: ProjectFile) -> None:
    """No text of an upstream may end the string that it stands in, or pass for another member."""
    text, origin = file_rows.row(file), file_rows.origin(file.url, offered=file.offered)
    assert file_rows.file_of(text, origin) == file
    assert "\n" not in text + origin
    assert json.loads(f'"{file_rows.filename_of(text)}"') == file.filename
    (shown,) = json.loads(render.as_json(ProjectDetail("demo", (file,))))["files"]
    assert shown["filename"] == file.filename
    assert shown["url"] == file_rows.ROOT + file_rows.quoted_path(file.path)
    assert shown["hashes"] == dict(file.hashes)
    assert "files.example.com" not in json.dumps(shown)


def test_metadata_is_promised_for_every_wheel_with_a_hash() -> None:
    """If the upstream does not offer it, it is read out of the wheel."""
    assert file_rows.promise(WHEEL.filename, WHEEL.hashes)
    assert not file_rows.promise(WHEEL.filename, {})
    assert not file_rows.promise(PLAIN.filename, WHEEL.hashes)


def test_what_is_asked_of_all_rows_is_true_of_each() -> None:
    """Pages of thousands of files are looked through, not read."""
    hostile = PLAIN._replace(filename=HOSTILE, hashes={"sha256": SHA}, requires_python=',"size":1')
    sized = WHEEL._replace(hashes={"sha256": "cd" * 32})
    rows = file_rows.rows((sized, hostile))
    assert rows.sha256s() == ["cd" * 32, SHA]
    assert rows.filenames() == [WHEEL.filename, HOSTILE]
    assert not rows.have_sizes()
    assert file_rows.rows((sized, sized)).have_sizes()
    assert file_rows.rows((sized, PLAIN)).sha256s() is None
    assert [rows[:1].have_hashes(), rows[1:].have_hashes(), rows.have_hashes()] == [True, False, False]


def test_an_upstream_cannot_slip_the_name_of_a_file_into_the_row_of_another() -> None:
    """Rules look for files by their names: hashes have keys that an upstream chooses."""
    tricky = WHEEL._replace(core_metadata={"filename": "other-1.0.zip"})
    named = PLAIN._replace(filename="other-1.0.zip", path="root/pypi/+e/files_example_com/other-1.0.zip")
    rows = Rows(file_rows.rows((tricky, named)).text)
    assert rows.filenames() == [tricky.filename, named.filename]
    assert rows.named("other-1.0.zip") == named
    assert rows[:1].named("other-1.0.zip") is None


@pytest.mark.parametrize("filename", [WHEEL.filename, HOSTILE, PLAIN.filename])
def test_a_file_is_found_by_its_name(filename: str) -> None:
    """With its origin, wherever it stands."""
    files = (WHEEL, PLAIN._replace(filename=HOSTILE, url="https://x/y"), PLAIN)
    rows = file_rows.rows(files)
    assert rows.named(filename) == next(file for file in files if file.filename == filename)
    assert rows.named("none") is None


@pytest.mark.parametrize(
    ("times", "latest"),
    [
        (["2024-01-02T03:04:05Z", "2024-01-02T03:04:05.5Z"], "2024-01-02T03:04:05Z"),
        (["2024-01-02T03:04:05Z", None], None),
        (["2024-01-02T03:04:05Z,2025-01-02T03:04:05Z", ""], None),
        (["2024-01-02T03:04:05Z,", "2024-01-02T03:04:05Z"], None),
        (["2024-01-02"], None),
        ([], ""),
    ],
)
def test_the_latest_upload_is_known_where_all_tell_theirs(
    times: list[str | None], latest: str | None
) -> None:
    """As text, to the second: nobody asks for more."""
    files = [file_rows.FileObject("a", "", {}, upload_time=each) for each in times]
    assert file_rows.Summary.of(files).latest_upload == latest


def test_rows_are_the_files_that_they_describe() -> None:
    """Whoever wants a file gets it, whoever wants text gets that."""
    rows = file_rows.rows((WHEEL, PLAIN))
    assert rows == (WHEEL, PLAIN)
    assert (len(rows), rows[1], list(rows[:1])) == (2, PLAIN, [WHEEL])
    assert rows != (WHEEL,)
    assert (len(Rows("")), list(Rows(""))) == (0, [])


@pytest.mark.parametrize(
    ("hashes", "key"),
    [
        ({"md5": "AB" * 16, "sha256": "AB" * 32}, "ab" * 32),
        ({"md5": "ab" * 16}, f"md5-{'ab' * 16}"),
        ({}, None),
        ({"sha256": "../../../etc/passwd"}, None),
        ({"sha256": "ab"}, None),
    ],
)
def test_a_wheel_is_filed_under_its_hash(hashes: dict[str, str], key: str | None) -> None:
    """Hashes come from pages of an upstream, and become names of files."""
    assert file_rows.key_of(hashes) == key


def test_a_file_is_found_by_its_path() -> None:
    """With its own origin, wherever it stands, also where another ends alike; nothing else is read."""
    root = "root/pypi/+f/abc/0123456789abc"
    names = ("x-1.0.zip", "y-1.0.zip", "z-1.0.zip", "x-2.0.zip", "last.zip")
    urls = (
        "https://x/1/x-1.0.zip",
        "https://x/2/y-1.0.zip",
        "https://x/3/y-1.0.zip",
        "https://x/4",
        "https://x/y",
    )
    files = [
        WHEEL._replace(
            hashes={"sha256": "abc0123456789abc"},
            filename=name,
            path=f"{root}/{name}",
            url=url,
            offered=name < "y",
        )
        for name, url in zip(names, urls, strict=True)
    ]
    rows = file_rows.rows(files)
    assert [rows.find(file.path) for file in files] == files
    assert rows.find(f"{root}/other.zip") is None
    assert rows.find(files[0].path.replace("abc", "abd")) is None
    assert Rows("").find(files[0].path) is None
    uploads = [file._replace(url="", offered=False) for file in files]
    rows = file_rows.rows(uploads)
    assert [rows.find(file.path) for file in uploads] == uploads
