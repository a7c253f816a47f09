"""Documents of the legacy JSON API: what tools read in them, and nothing that is not known."""

from typing import Any

import pytest

from mirror.plugin.simple import legacy

URL = "https://packages.example.com/company/dev/+simple/demo/"
METADATA = b"""Metadata-Version: 2.1
Name: demo
Version: 2.0
Summary: <script>alert(1)</script>
Home-page: javascript:alert(1)
Project-URL: Source, https://example.com/demo
Project-URL: Bad, javascript:alert(1)
Requires-Dist: flask>=3
Requires-Python: >=3.9
Keywords: a,b
"""


def file(name: str, **more: Any) -> dict[str, Any]:  # noqa: ANN401 (JSON)
    """A file of a page."""
    url = f"../../../../root/pypi/+f/abc/0123456789abc/{name}"
    return {"filename": name, "url": url, "hashes": {"sha256": "ab" * 32}, **more}


def known(*files: dict[str, Any], versions: tuple[str, ...] = ()) -> dict[str, list[dict[str, Any]]]:
    """The releases of a page."""
    return legacy.releases({"files": list(files), "versions": list(versions)}, URL)


def test_a_file_has_what_tools_read() -> None:
    """Poetry: packagetype, digests, url. Renovate: upload_time, requires_python, yanked."""
    wheel = file(
        "demo-1.0-py3-none-any.whl",
        **{"requires-python": ">=3.9", "upload-time": "2024-01-31T12:00:00.5Z", "size": 3, "yanked": "bad"},
    )
    found = known(wheel, file("demo-1.0.tar.gz"), versions=("0.9", "1.0"))
    assert found["0.9"] == []
    assert found["1.0"][0] == {
        "filename": "demo-1.0-py3-none-any.whl",
        "url": "https://packages.example.com/root/pypi/+f/abc/0123456789abc/demo-1.0-py3-none-any.whl",
        "digests": {"sha256": "ab" * 32},
        "packagetype": "bdist_wheel",
        "python_version": "py3",
        "requires_python": ">=3.9",
        "yanked": True,
        "yanked_reason": "bad",
        "size": 3,
        "upload_time": "2024-01-31T12:00:00",
        "upload_time_iso_8601": "2024-01-31T12:00:00.5Z",
    }
    sdist = found["1.0"][1]
    assert (sdist["packagetype"], sdist["yanked"], sdist["yanked_reason"]) == ("sdist", False, None)
    assert not {"size", "upload_time"} & set(sdist), "unknown"


@pytest.mark.parametrize(
    ("files", "newest"),
    [
        (["demo-1.9.zip", "demo-1.10.zip"], "1.10"),
        (["demo-1.0.zip", "demo-2.0rc1.zip"], "1.0"),
        (["demo-2.0rc1.zip", "demo-1.0.dev1.zip"], "2.0rc1"),
    ],
)
def test_the_document_is_about_the_newest_final_version(files: list[str], newest: str) -> None:
    """As the public index has it; without one, about a prerelease."""
    assert legacy.newest(known(*map(file, files))) == newest


def test_a_yanked_version_or_one_without_files_is_the_last_choice() -> None:
    """Who updates to it would get it."""
    found = known(file("demo-1.0.zip"), file("demo-2.0.zip", yanked=True), versions=("1.0", "2.0", "3.0"))
    assert legacy.newest(found) == "1.0"
    assert legacy.newest({}) is None


def test_info_is_what_the_metadata_say_without_addresses_that_run() -> None:
    """A dashboard may show them as links."""
    found = known(file("demo-2.0-py3-none-any.whl"))
    info = legacy.document("demo", "2.0", found, METADATA, whole=False)["info"]
    assert (info["summary"], info["home_page"]) == ("<script>alert(1)</script>", None)
    assert info["project_urls"] == {"Source": "https://example.com/demo"}
    assert (info["requires_dist"], info["requires_python"]) == (["flask>=3"], ">=3.9")
    assert (info["name"], info["version"], info["keywords"], info["yanked"]) == ("demo", "2.0", "a,b", False)


def test_without_metadata_nothing_is_said_about_dependencies() -> None:
    """Poetry takes an empty list for an answer, and null for a reason to look into the files."""
    found = known(file("demo-1.0.zip", **{"requires-python": ">=3.8"}))
    made = legacy.document("demo", "1.0", found, None, whole=True)
    assert (made["info"]["requires_dist"], made["info"]["requires_python"]) == (None, ">=3.8")
    assert made["releases"] == {"1.0": made["urls"]}
    assert "vulnerabilities" not in made


def test_of_metadata_that_are_cut_nobody_knows_the_dependencies() -> None:
    """A part of them would look like all."""
    long = b"Metadata-Version: 2.1\n" + b"Requires-Dist: flask\n" * 50_000
    made = legacy.document("demo", "1.0", known(file("demo-1.0.zip")), long, whole=True)
    assert made["info"]["requires_dist"] is None


def test_versions_are_found_in_other_spellings() -> None:
    """1.0 is 1.0.0 (PEP 440)."""
    found = known(file("demo-1.0.zip"))
    assert legacy.version_in(found, "1.0.0") == "1.0"
    assert legacy.version_in(found, "2") is None
    assert legacy.version_in(found, "nonsense") is None


@pytest.mark.parametrize("odd", ["9" * 5000, "2004d"])
def test_a_version_that_is_none_is_found_by_its_own_text_alone(odd: str) -> None:
    """A client may ask for any, and an upstream list any; Python reads no number of 4,301 digits."""
    found = known(file("demo-1.0.zip"), versions=(odd,))
    assert legacy.newest(found) == "1.0"
    assert legacy.version_in(found, odd) == odd
    assert legacy.version_in(found, f"{odd}8") is None
    assert legacy.version_in(found, "other") is None


def test_a_description_is_what_follows_the_headers() -> None:
    """Whatever it looks like; of the headers, no parser of mail sees those that no document has."""
    found = known(file("demo-2.0-py3-none-any.whl"))
    metadata = b"Content-Type: multipart/mixed; boundary=x\n" + METADATA + b"\n--x\nSummary: other\n"
    info = legacy.document("demo", "2.0", found, metadata, whole=False)["info"]
    assert (info["description"], info["summary"]) == ("--x\nSummary: other", "<script>alert(1)</script>")
