"""Which names count as a project's, and what the name of a file tells."""

import pytest
from devpi_common.metadata import splitbasename
from packaging import utils

from mirror.plugin.simple import filenames


@pytest.mark.parametrize(
    ("filename", "projects"),
    [
        ("a_b-1.0-py3-none-any.whl", ["a-b"]),
        ("a-1-1.0-py3-none-any.whl", ["a"]),
        ("a.b-1.0.tar.gz", ["a-b"]),
        ("a-b-1.0.tar.gz", ["a-b"]),
        ("a-1-1.0.zip", ["a-1", "a"]),
        ("a-v2.tar.bz2", ["a"]),
        ("a-2010.1-py2.7.egg", ["a"]),
        ("a-1.0-1.noarch.rpm", ["a-1-0", "a"]),
        ("a-1.0.win32-py2.7.exe", ["a"]),
        ("a-dev.tar.gz", ["a"]),
        ("a-1-2-3-4-5.tar.gz", ["a-1-2-3-4", "a-1-2-3", "a-1-2"]),
        ("a.tar.gz", []),
        ("-1.0.tar.gz", []),
        ("..-1.0.tar.gz", []),
        ("a\0b-1.0.tar.gz", []),
        ("ä-1.0.tar.gz", []),
        (f"{'a' * 250}-1.0.tar.gz", []),
    ],
)
def test_a_file_tells_the_few_projects_it_may_be_of(filename: str, projects: list[str]) -> None:
    """Each is a question to the upstream, which strangers may set off."""
    assert list(filenames.projects_of(filename)) == projects


@pytest.mark.parametrize(
    ("filename", "project", "is_plain"),
    [
        ("demo-1.0-py3-none-any.whl", "demo", True),
        ("Demo_Evil-1.0-py3-none-any.whl", "demo-evil", True),
        ("demo__evil-1.0-py3-none-any.whl", "demo-evil", False),
        ("demo-evil-1.0-py3-none-any.whl", "demo", False),
        ("demo-1.0.tar.gz", "demo", True),
        ("demo-v2.tar.gz", "demo", False),
        ("demo-evil-1.0.tar.gz", "demo-evil", True),
        ("demo-1-2.zip", "demo", True),
        ("demo-1-2.zip", "demo-1", True),
        ("demo-1-2-3-4-5.zip", "demo", True),
        ("demo-1.0.win32-py2.7.exe", "demo", True),
        ("demo-dev-py2.7.egg", "demo", False),
        ("demo-evil-master.zip", "demo", False),
        ("demo_1.0.zip", "demo", False),
    ],
)
def test_a_file_is_of_the_project_that_its_name_says(
    filename: str,
    project: str,
    is_plain: bool,  # noqa: FBT001 (parametrised)
) -> None:
    """An old archive, whose version begins anyhow, is of each that it may be. Most need no closer look."""
    assert filenames.may_be_of(filename, project)
    assert filenames.are_surely_of([filename], project) is is_plain


@pytest.mark.parametrize(
    ("filename", "project"),
    [
        ("demo_evil-1.0-py3-none-any.whl", "demo"),
        ("demo__evil-1.0-py3-none-any.whl", "demo"),
        ("demo-evil-1.0-py3-none-any.whl", "demo-evil"),
        ("demo-1-1.0-py3-none-any.whl", "demo-1"),
        ("demo-evil-1.0.tar.gz", "demo"),
        ("demo.evil-1.0.zip", "demo"),
        ("Demo-evil-2.zip", "demo"),
        ("demo_evil-1.0-py2.7.egg", "demo"),
        ("demo_evil-1.0-py3-none-any.WHL", "demo"),
        ("demonic-1.0.zip", "demo"),
        ("dem", "demo"),
        ("demo", "demo"),
        ("de", "dede"),
    ],
)
def test_a_file_is_not_of_a_project_whose_name_its_own_only_begins_with(filename: str, project: str) -> None:
    """Rules for demo-evil would not hold for files that the page of demo lists."""
    assert not filenames.may_be_of(filename, project)
    assert not filenames.are_surely_of([f"{project}-1.0.zip", filename], project)


@pytest.mark.parametrize(
    ("name", "may_be"),
    [("a", True), ("a-1", True), ("a" * 255, True), ("a" * 256, False), ("-", False), ("a-", False)],
)
def test_a_name_that_no_project_can_have_is_told(name: str, may_be: bool) -> None:  # noqa: FBT001 (parametrised)
    """It would be part of an address of the upstream, and the name of a file here."""
    assert filenames.is_project(name) == may_be


@pytest.mark.parametrize(
    ("filename", "version"),
    [
        ("a_b-1.0-py3-none-any.whl", "1.0"),
        ("a__b-1.0-py3-none-any.whl", "1.0"),  # no name of PEP 427
        ("a-1.0-2-py3-none-any.whl", "1.0"),
        ("a-1.0.dev3-cp39-cp39-manylinux_2_17_x86_64.manylinux2014_x86_64.whl", "1.0.dev3"),
        ("a-1.0+cu11-py3-none-any.whl", "1.0+cu11"),
        ("a-2004d-py3-none-any.whl", "2004d"),
        ("a.b-1.0.tar.gz", "1.0"),
        ("a-1-1.0.zip", "1.0"),
        ("a-1.0.post1.tar.gz", "1.0.post1"),
        ("a-2010.1-py2.7.egg", "2010.1"),
        ("a-1.0b2-py3.8-win-amd64.egg", "1.0b2"),
        ("a-1.0-1.noarch.rpm", "1.0"),
        ("a-1.0-1.src.rpm", "1.0"),
        ("a-1.0.win32-py2.7.exe", "1.0"),
        ("a-1.0.win-amd64-py2.7.msi", "1.0"),
        ("a-1.0.linux-x86_64.tar.gz", "1.0"),
        ("a-1.0.macosx-10.6-intel.dmg", "1.0"),
        ("a-win32-1.0.zip", "1.0"),
        ("a-2004d.zip", "2004d"),
        ("a-1.0-old.zip", "1.0-old"),
        ("a-1.0.doc.zip", "1.0"),
        ("a-dev.tar.gz", "dev"),
        ("a.tar.gz", None),
    ],
)
def test_a_version_is_told_of_every_kind_of_file_as_devpi_tells_it(
    filename: str, version: str | None
) -> None:
    """A page lists all versions, also of archives that nobody makes any more (PEP 700)."""
    assert filenames.version_of(filename) == version
    assert splitbasename(filename, checkarch=False)[1] == (version or "")


@pytest.mark.parametrize(
    ("filename", "version"),
    [
        ("a-v2.tar.bz2", "2"),
        ("a-01.0.tar.gz", "1.0"),
        ("a-1.0.0-SNAPSHOT.zip", "1.0.0-SNAPSHOT"),
        ("a-1.0.tar.xz", "1.0"),
        ("a-py3-1.0.zip", "1.0"),
        ("a-.whl", None),
        ("a-01.0-py3-none-any.whl", "1.0"),
        ("a-1.0--py3-none-any.whl", "1.0"),
        (f"a-1.{'9' * 5000}rc1-py3-none-any.whl", f"1.{'9' * 5000}rc1"),
        (f"a-1.{'9' * 5000}rc1.tar.gz", f"1.{'9' * 5000}rc1"),
    ],
)
def test_a_version_is_normalised_where_devpi_only_cuts(filename: str, version: str | None) -> None:
    """PEP 700 asks for it; and what is no version is none."""
    assert filenames.version_of(filename) == version


def test_a_version_is_told_without_the_tags_of_a_wheel(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name of 217 characters can mean 34,992 of them, and strangers ask for versions."""
    monkeypatch.setattr(utils, "parse_tag", lambda *_, **__: pytest.fail("makes all tags"))
    many = "-".join(".".join([tag] * 20) for tag in ("py3", "none", "any"))
    assert filenames.version_of(f"a-1.0-{many}.whl") == "1.0"
    assert filenames.version_of(f"a-01.0rc1-{many}.whl") == "1.0rc1"


@pytest.mark.parametrize(
    ("filename", "version"),
    [
        ("a_b-1.0-py3-none-any.whl", "1.0"),
        ("a_b-1.0.tar.gz", "1.0"),
        ("A.B-1.0.zip", "1.0"),
        ("a-b-1.0.tar.gz", "1.0"),
        ("a-b-99-5.tar.gz", "99-5"),
        ("a-b-1.0-old.zip", "1.0-old"),
        ("a-b-c-1.0.zip", "c-1.0"),
        ("a_b-1.0.linux-x86_64.tar.gz", "1.0"),
        ("a-b.1-2.0.tar.gz", None),
        ("a-b.1.tar.gz", None),
        ("a-1.0.tar.gz", None),
        ("a.tar.gz", None),
    ],
)
def test_the_version_of_a_file_of_a_project_is_all_that_follows_its_name(
    filename: str, version: str | None
) -> None:
    """As installers read it, who know whose file they look at."""
    assert filenames.version_for("a-b", filename) == version


def test_a_version_is_listed_once() -> None:
    """In the order of the files, which have many wheels of each."""
    wheels = [
        f"a-{version}-{tag}.whl" for version in ("2.0", "1.0") for tag in ("py2-none-any", "py3-none-any")
    ]
    assert filenames.versions_of([*wheels, "a-2.0.tar.gz", "a.tar.gz"]) == ("2.0", "1.0")


def test_a_page_links_to_other_things_than_files_of_its_project() -> None:
    """Folders, signatures, other projects; archives of all kinds stay, if their names begin as usual."""
    files = {
        "my_demo-1.0.tar.gz",
        "My.Demo-1.0.egg",
        "my-demo-docs-1.0.ZIP",
        "my_demo1.0.tar.bz2",
        "my-demo.exe",
    }
    links = {"", "my_demo-1.0.tar.gz.asc", "other-1.0.zip", "demo-1.0.zip"}
    assert filenames.others(files | links, "my-demo") == links


def test_the_name_of_a_file_is_the_end_of_its_address() -> None:
    """Without what servers and PEP 503 add to it."""
    assert filenames.of_url("https://x.example.com/a%20b/c%2B1-1.0.zip?token=/x#sha256=ab") == "c+1-1.0.zip"
