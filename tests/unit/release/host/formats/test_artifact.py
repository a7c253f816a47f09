"""The promises of release.host.formats.artifact."""

import hashlib
import io
import json
import tarfile
import zipfile
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from packhorse import sdists
from packhorse.errors import PackhorseError
from release.host.formats import artifact

LOCK = f"""lock-version = "1.0"
created-by = "uv"
[[packages]]
name = "flask"
version = "3.1"
wheels = [{{ path = "wheels/flask-3.1-py3-none-any.whl", hashes = {{ sha256 = "{"a" * 64}" }} }}]
""".encode()
MANIFEST = artifact.BuildManifest(
    name="sample-app",
    version="0.1.0",
    commit=None,
    dirty=None,
    builder={"packhorse": "0.1.0"},
    lock_sha256=hashlib.sha256(LOCK).hexdigest(),
    requires_python=">=3.11",
)
METADATA = b"Metadata-Version: 2.1\nName: Sample_App\nVersion: 0.1\n"
STAMPED = {"Procfile": b"web: run\n", "pylock.toml": LOCK, "packhorse.json": MANIFEST.encode()}


Make = Callable[[Path, dict[str, bytes]], Path]


def wheel(folder: Path, files: dict[str, bytes], root: str = "sample_app-0.1.0.dist-info") -> Path:
    path = folder / "sample_app-0.1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("sample_app/Procfile", b"not this one")
        for name, content in {"METADATA": METADATA, **files}.items():
            archive.writestr(f"{root}/{name}", content)
    return path


def sdist(folder: Path, files: dict[str, bytes]) -> Path:
    path = folder / "sample_app-0.1.0.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        for name, content in {"docs/Procfile": b"not this one", "PKG-INFO": METADATA, **files}.items():
            entry = tarfile.TarInfo(f"sample_app-0.1.0/{name}")
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return path


@pytest.mark.parametrize("make", [wheel, sdist])
def test_both_kinds_of_artifact_say_how_to_run_them(make: Make, tmp_path: Path) -> None:
    """A host needs nothing but the artifact: processes, dependencies, origin."""
    contents = artifact.read(make(tmp_path, STAMPED))
    assert contents.processes == {"web": "run"}
    assert [package.name for package in contents.lock.packages] == ["flask"]
    assert contents.manifest == MANIFEST
    artifact.require(contents, "sample-app", "0.1.0", "sample_app-0.1.0.tar.gz")  # as installers compare them


@pytest.mark.parametrize("make", [wheel, sdist])
@pytest.mark.parametrize(
    ("part", "content"),
    [
        ("METADATA", METADATA.replace(b"Sample_App", b"other")),
        ("METADATA", METADATA.replace(b"0.1", b"0.2")),
        ("METADATA", b"no metadata"),
        ("packhorse.json", replace(MANIFEST, name="other").encode()),
        ("packhorse.json", replace(MANIFEST, version="9.9").encode()),
    ],
)
def test_content_of_another_version_under_the_name_that_was_asked_for_is_refused(
    make: Make, part: str, content: bytes, tmp_path: Path
) -> None:
    """An index lists any content under any name: what is inside has to agree with what was asked."""
    name = "PKG-INFO" if make is sdist and part == "METADATA" else part
    contents = artifact.read(make(tmp_path, {**STAMPED, name: content}))
    with pytest.raises(PackhorseError, match=r"is not sample-app 0\.1\.0: its (metadata|manifest) says"):
        artifact.require(contents, "sample-app", "0.1.0", "sample_app-0.1.0.tar.gz")


def test_a_manifest_of_an_older_packhorse_is_read(tmp_path: Path) -> None:
    """Artifacts that are on the index stay deployable."""
    table = {key: value for key, value in asdict(MANIFEST).items() if key != "committer"}
    old = json.dumps({**table, "format": 1}).encode()
    assert artifact.read(wheel(tmp_path, {**STAMPED, "packhorse.json": old})).manifest.committer is None


def test_an_artifact_that_was_not_stamped_is_refused(tmp_path: Path) -> None:
    """A wheel of somebody else has no lock: installing it would resolve on the host."""
    with pytest.raises(PackhorseError, match=r"there is no pylock\.toml and no packhorse\.json in it"):
        artifact.read(wheel(tmp_path, {"Procfile": b"web: run\n"}))


def test_a_public_project_of_the_same_name_is_refused_with_the_reason_why_it_came(tmp_path: Path) -> None:
    """Who deploys before the first upload gets the file of a stranger, and has just built their own."""
    with pytest.raises(PackhorseError, match="was not made by release build") as caught:
        artifact.read(wheel(tmp_path, {}))
    assert "public project of its name" in caught.value.hint


def test_a_lock_that_was_changed_after_the_build_is_refused(tmp_path: Path) -> None:
    """The manifest vouches for the lock."""
    with pytest.raises(PackhorseError, match="was changed after the build"):
        artifact.read(sdist(tmp_path, {**STAMPED, "pylock.toml": LOCK + b"\n"}))


def test_a_second_dist_info_is_refused(tmp_path: Path) -> None:
    """Which of two locks counts must not be a matter of order."""
    wheel(tmp_path, STAMPED)
    with (
        pytest.warns(UserWarning, match="Duplicate name"),
        pytest.raises(PackhorseError, match="there are two files METADATA"),
    ):
        artifact.read(wheel(tmp_path, STAMPED, "other-1.dist-info"))


def test_a_file_too_large_to_be_meant_is_refused(tmp_path: Path) -> None:
    """16 MiB of zeros take 16 kB in a wheel: the size is checked while reading, not believed."""
    big = {**STAMPED, "Procfile": bytes(artifact.LARGEST_FILE + 1)}
    with pytest.raises(PackhorseError, match="Procfile is larger than 16 MiB"):
        artifact.read(wheel(tmp_path, big))


@pytest.mark.parametrize("name", ["a-1-py3-none-any.whl", "a-1.tar.gz", "missing.whl"])
def test_what_is_no_archive_is_refused_in_words(name: str, tmp_path: Path) -> None:
    """A cut download must not show a traceback."""
    if name != "missing.whl":
        tmp_path.joinpath(name).write_bytes(b"half")
    with pytest.raises(PackhorseError, match="this is no readable artifact"):
        artifact.read(tmp_path / name)


@pytest.mark.parametrize(
    ("manifest", "message"),
    [
        (b'{"format": 4}', "has format 4, this Packhorse reads 1 to 3"),
        (b'{"format": 1, "colour": "red"}', "its packhorse.json is broken"),
        (b"[]", "its packhorse.json is broken"),
        (MANIFEST.encode().replace(b'"wheels": {}', b'"wheels": ["a"]'), "its packhorse.json is broken"),
        (MANIFEST.encode().replace(b'"files": {}', b'"files": {"a": 5}'), "its packhorse.json is broken"),
        (b"[" * 100_000, "this is no readable artifact"),
    ],
)
def test_a_manifest_of_another_format_is_refused(manifest: bytes, message: str, tmp_path: Path) -> None:
    """A newer builder and an older host must part with words."""
    with pytest.raises(PackhorseError, match=message):
        artifact.read(wheel(tmp_path, {**STAMPED, "packhorse.json": manifest}))


@pytest.mark.parametrize(
    "read",
    [artifact.read, artifact.manifest, lambda path: artifact.embedded_wheel(path, "a.whl")],
    ids=["read", "manifest", "embedded_wheel"],
)
def test_a_tar_beyond_the_limits_is_refused_in_words(
    read: Callable[[Path], object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each of millions of empty files takes a kilobyte of memory, and four bytes of the archive."""
    path = sdist(tmp_path, {"a": b"", "b": b"", "c": b""})
    monkeypatch.setattr(sdists, "MOST_MEMBERS", 3)
    with pytest.raises(PackhorseError, match=r"no readable artifact: the archive has more than 3 members"):
        read(path)


@pytest.mark.parametrize("kind", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_what_zipfile_unpacks_without_a_limit_is_refused(kind: int, tmp_path: Path) -> None:
    """A member of 300 bytes took 778 MB, however little was asked for of it."""
    path, folder = tmp_path / "sample_app-0.1.0-py3-none-any.whl", "sample_app-0.1.0.dist-info"
    with zipfile.ZipFile(path, "w", kind) as archive:
        for name, content in {"METADATA": METADATA, **STAMPED}.items():
            archive.writestr(f"{folder}/{name}", content)
    for read in (artifact.read, artifact.manifest, lambda path: list(artifact.static_files(path, folder))):
        with pytest.raises(PackhorseError, match="compressed by another method"):
            read(path)


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@pytest.mark.parametrize("make", [wheel, sdist])
def test_files_for_the_working_directory_are_read_with_their_hash(make: Make, tmp_path: Path) -> None:
    """They travel beside the lock, in both kinds of artifact."""
    path = make(tmp_path, {**STAMPED, "packhorse-files/sql/ü 1.sql": b"select", "packhorse-files/a": b"a"})
    expected = {"sql/ü 1.sql": sha256(b"select"), "a": sha256(b"a")}
    found = dict(artifact.project_files(path, expected))
    assert {name: file.content for name, file in found.items()} == {"sql/ü 1.sql": b"select", "a": b"a"}
    for names, message in (
        ({"a": sha256(b"a")}, "its 'sql/ü 1.sql' was changed"),  # one that the manifest does not name
        ({**expected, "a": sha256(b"b")}, "its 'a' was changed after the build"),
        ({**expected, "b": sha256(b"b")}, "its 'b' is missing"),
    ):
        with pytest.raises(PackhorseError, match=message):
            dict(artifact.project_files(path, names))


@pytest.mark.parametrize(
    "name", ["../x", "/x", "a/../../x", "a//b", ".", "", "a\\b", "a\nb", "a\0b", "a/", "x" * 256]
)
def test_a_path_that_leads_out_of_the_working_directory_is_refused(name: str, tmp_path: Path) -> None:
    """Who may upload must not write elsewhere on hosts."""
    with pytest.raises(PackhorseError, match="is not a path inside of a folder"):
        dict(artifact.project_files(tmp_path / "shop.whl", {name: sha256(b"")}))


def test_files_that_fill_the_memory_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Zeros of any size are a few kB in an archive; two of them count together."""
    path = wheel(tmp_path, {**STAMPED, "packhorse-files/a": bytes(60), "packhorse-files/b": bytes(60)})
    monkeypatch.setattr(artifact, "LARGEST_FILES", 100)
    with pytest.raises(PackhorseError, match="is larger than"):
        dict(artifact.project_files(path, dict.fromkeys("ab", sha256(bytes(60)))))


def zipped(path: Path, files: dict[str, bytes], mode: int = 0o100644) -> Path:
    """A wheel with `files`, all of this mode."""
    with zipfile.ZipFile(path, "w") as made:
        for name, content in files.items():
            entry = zipfile.ZipInfo(name)
            entry.external_attr = mode << 16
            made.writestr(entry, content)
    return path


def test_static_files_are_those_below_the_folder_alone(tmp_path: Path) -> None:
    """Whatever is in their names: HTML is text here."""
    names = ["shop/static/a.css", "shop/static/x/<b>.js", "shop/statics/a", "shop/static", "shop/views.py"]
    path = zipped(tmp_path / "shop.whl", {**dict.fromkeys(names, b"x"), "shop/static/x/": b""})
    assert dict(artifact.static_files(path, "shop/static")) == {"a.css": b"x", "x/<b>.js": b"x"}


@pytest.mark.parametrize(
    "name", ["../views.py", "x/../../views.py", "/etc/passwd", "./a", "x//a", "a\nb", "\x1b[2J", "x\\..\\a"]
)
def test_a_static_file_that_leads_out_of_the_folder_is_refused(name: str, tmp_path: Path) -> None:
    """The path becomes one on hosts, and in the bucket; a control character would be one of the terminal."""
    path = zipped(tmp_path / "shop.whl", {"shop/static/a.css": b"", f"shop/static/{name}": b""})
    with pytest.raises(PackhorseError, match=r"shop\.whl: .* is no file inside of shop/static"):
        list(artifact.static_files(path, "shop/static"))


@pytest.mark.parametrize("mode", [0o120777, 0o060644, 0o010644])
def test_a_link_among_static_files_is_refused(mode: int, tmp_path: Path) -> None:
    """Some programs that unpack make a link of such an entry."""
    path = zipped(tmp_path / "shop.whl", {"shop/static/a.css": b"/etc/passwd"}, mode)
    with pytest.raises(PackhorseError, match="is no file inside"):
        list(artifact.static_files(path, "shop/static"))


def test_static_files_that_fill_the_disk_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A kilobyte of zip may be gigabytes."""
    monkeypatch.setattr(artifact, "LARGEST_STATIC", 2**20)
    path = zipped(tmp_path / "shop.whl", {"shop/static/a": bytes(2**19), "shop/static/b": bytes(2**19 + 1)})
    with pytest.raises(PackhorseError, match="shop/static is larger than 0 MiB"):
        list(artifact.static_files(path, "shop/static"))
