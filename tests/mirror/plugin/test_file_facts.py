"""Rows: every fact survives them, whatever characters an upstream puts into it."""

import json

import pytest

from mirror.plugin import file_facts, pages
from mirror.plugin.facts import ProjectFacts
from mirror.plugin.file_facts import FileFacts, Rows

SHA = "ab" * 32
WHEEL = FileFacts(
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
PLAIN = FileFacts("demo-1.0.zip", "root/pypi/+e/files_example_com/demo-1.0.zip", yanked=True)
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
def test_every_fact_survives_its_row_and_stays_in_its_place_on_the_page(file: FileFacts) -> None:
    """No text of an upstream may end the string that it stands in, or pass for another member."""
    text = file_facts.row(file)
    assert file_facts.file_of(text) == file
    assert "\n" not in text
    assert json.loads(f'"{file_facts.filename_of(text)}"') == file.filename
    (shown,) = json.loads(pages.as_json(ProjectFacts("demo", (file,))))["files"]
    assert shown["filename"] == file.filename
    assert shown["url"] == pages.ROOT + file_facts.quoted_path(file.path)
    assert shown["hashes"] == dict(file.hashes)
    assert "from" not in shown


def test_only_a_mirrored_wheel_with_a_hash_says_that_it_has_no_metadata() -> None:
    """It is what pages turn into a promise."""
    silent = WHEEL._replace(core_metadata=False)
    assert '"core-metadata":false' in file_facts.row(silent)
    for other in (silent._replace(url=""), silent._replace(hashes={}), PLAIN, WHEEL):
        assert '"core-metadata":false' not in file_facts.row(other)


def test_rows_are_the_files_that_they_describe() -> None:
    """Whoever wants a file gets it, whoever wants text gets that."""
    rows = Rows(map(file_facts.row, (WHEEL, PLAIN)))
    assert rows == (WHEEL, PLAIN)
    assert (rows[1], list(rows[:1])) == (PLAIN, [WHEEL])
    assert file_facts.rows((WHEEL, PLAIN)) == rows.texts
    assert rows != (WHEEL,)


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
    assert file_facts.key_of(hashes) == key
