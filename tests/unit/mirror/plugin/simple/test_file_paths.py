"""Where the files of a mirror are kept, and which entries devpi must be told."""

from types import SimpleNamespace

import pytest
from devpi_common.url import URL
from devpi_server.filestore import key_from_link
from devpi_server.keyfs_types import PTypedKey

from mirror.plugin.simple import file_paths, file_rows
from mirror.plugin.simple.detail import ProjectDetail
from mirror.plugin.simple.file_rows import FileObject, ProjectFile

KEYFS = SimpleNamespace(
    STAGEFILE=PTypedKey(None, "{user}/{index}/+f/{hashdir_a}/{hashdir_b}/{filename}", dict, "STAGEFILE"),  # type: ignore[arg-type]
    PYPIFILE_NOMD5=PTypedKey(None, "{user}/{index}/+e/{dirname}/{basename}", dict, "PYPIFILE_NOMD5"),  # type: ignore[arg-type]
)

FILE = ProjectFile(
    "my_demo-1.0-py3-none-any.whl",
    "root/pypi/+f/aba/bababababab/my_demo-1.0-py3-none-any.whl",
    url="https://files.example.com/my_demo-1.0-py3-none-any.whl",
    hashes={"sha256": "ab" * 32},
)


@pytest.mark.parametrize(
    ("url", "hashes"),
    [
        ("https://files.example.com/a/torch-2.0%2Bcpu-py3-none-any.whl", {"sha256": "a" * 64}),
        ("https://files.example.com/a/b-1.0.zip?signature=x", {"md5": "b" * 32}),
        ("https://files.example.com/a/b-1.0.zip", {"blake2b": "d" * 64, "sha256": "a" * 64}),
        ("https://files.example.com/a/b%20c-1.0.zip", {"sha1": "c" * 40}),
        ("https://files.example.com/a/b-1.0.zip", {}),
        ("https://files.example.com:8080/a+b/c%20d/e,f/b%2Bc-1.0.zip", {}),
    ],
)
def test_a_file_is_kept_where_devpi_keeps_it(url: str, hashes: dict[str, str]) -> None:
    """Files that devpi cached before us must be found, and devpi must find ours when we are gone."""
    link = URL(url).replace(fragment=file_rows.best_hash(hashes))
    devpis = key_from_link(KEYFS, link, "root", "pypi").relpath  # type: ignore[arg-type]
    assert file_paths.path_of("root/pypi", url, hashes) == devpis
    other = FileObject("x", "https://files.example.com/b%20c-1.0.zip", {})
    for files in ([FileObject("x", url, hashes)], [FileObject("x", url, hashes), other]):
        assert file_paths.paths_of("root/pypi", files)[0] == file_rows.quoted_path(devpis)


@pytest.mark.parametrize(
    ("project", "filename", "found"),
    [
        ("my-demo", "My.Demo-1.0-py3-none-any.whl", True),
        ("my-demo", "my-demo-1.0.tar.gz", True),
        ("demo", "demo-1.0-py2.7.egg", True),
        ("demo", "demo-1.0.win32-py2.7.exe", True),
        ("demo-1-0-tool", "demo-1.0-tool-2.0.zip", True),  # though it may be version 1.0-tool-2.0 of demo
        ("demo", "demo1.0.tar.gz", False),
        ("demo", "another-1.0.tar.gz", False),
    ],
)
def test_entries_that_the_file_name_does_not_lead_to_are_written(
    project: str,
    filename: str,
    found: bool,  # noqa: FBT001 (a test's parameter)
) -> None:
    """The rare names that are ambiguous must not make a listed file unreachable."""
    row = file_rows.row(ProjectFile(filename, f"root/pypi/+f/abc/def/{filename}", "https://x", {}))
    assert file_paths.can_be_found(project, row) is found


def test_entries_are_written_for_what_cannot_be_found_and_for_what_has_changed() -> None:
    """A file that is here goes on with the URL that its page states now."""
    moved, odd = FILE._replace(url="https://other.example.com/x"), FILE._replace(filename="demo.zip")
    before, now = ProjectDetail("my-demo", (FILE,)), ProjectDetail("my-demo", (moved, odd))
    assert list(file_paths.to_write(ProjectDetail("my-demo", (FILE,)), ProjectDetail("my-demo"))) == []
    assert list(file_paths.to_write(before, before)) == []
    assert set(map(str, file_paths.to_write(now, before))) == set(map(str, (moved, odd)))


@pytest.mark.parametrize("primary", ["http://primary.example.com:3141", "https://example.com/devpi"])
def test_a_replica_keeps_files_where_its_primary_does(primary: str) -> None:
    """Whatever URL the primary answered from in the end, and also when no hash is in the path."""
    url = f"{primary}/root/pypi/+e/files_example_com/my%20demo-1.0.zip"
    (path,) = file_paths.paths_at_primary("root/pypi", [FileObject("x", url, {"sha256": "00"})])
    assert path == "root/pypi/+e/files_example_com/my%20demo-1.0.zip"
