"""The promises of release.host.install.release_folder that need no installer."""

import io
import time
import zipfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from packhorse.errors import PackhorseError
from release.host.disk import file_cache, releases
from release.host.disk.layout import Layout
from release.host.disk.manifest import Content, File, Job, ReleaseSpec
from release.host.formats import artifact, lockfile
from release.host.install import interpreter, release_folder
from tests.support.dists import Dist, archive, sdist, wheel
from tests.support.release_folders import a_content, a_layout, a_session, a_spec
from tests.support.tiny_app import NAME, app_sdist, app_wheel


def file(filename: str, url: str = "ftp://example.com/x") -> File:
    return File("shop", filename, "0" * 64, url)


@pytest.mark.parametrize(
    ("offered", "chosen"),
    [
        (["shop-1.0.tar.gz", "shop-1.0-py3-none-any.whl"], "shop-1.0-py3-none-any.whl"),
        (["shop-1.0-cp27-cp27m-win32.whl", "shop-1.0.tar.gz"], "shop-1.0.tar.gz"),
        (
            ["shop-1.0-py3-none-any.whl", "shop-1.0-py3-none-linux_{arch}.whl"],
            "shop-1.0-py3-none-linux_{arch}.whl",
        ),
    ],
)
def test_the_best_file_for_this_host_is_chosen(offered: Sequence[str], chosen: str) -> None:
    """As pip would: a wheel for this platform, a wheel for all, the sdist."""
    from platform import machine

    files = [file(name.format(arch=machine())) for name in offered]
    assert release_folder.select_file(files, interpreter.own()).filename == chosen.format(arch=machine())


def test_a_version_without_a_usable_file_says_what_there_is() -> None:
    """Built on another platform, deployed here."""
    with pytest.raises(PackhorseError, match=r"No uploaded file fits .*: shop-1\.0-cp27-cp27m-win32\.whl"):
        release_folder.select_file([file("shop-1.0-cp27-cp27m-win32.whl")], interpreter.own())


def test_a_failed_installation_leaves_nothing(tmp_path: Path) -> None:
    """A half-made release must never be taken for one; only the web is asked for files."""
    layout = a_layout(tmp_path)
    with pytest.raises(PackhorseError, match="this is no web address"):
        release_folder.install(
            layout, a_spec(), file("shop-1.0-py3-none-any.whl"), interpreter.own(), a_session()
        )
    assert releases.numbers(layout) == []
    assert list(layout.releases.iterdir()) == []


def test_a_host_with_another_python_is_named() -> None:
    """The installer would find out, too, but after minutes and in more words."""
    manifest = artifact.BuildManifest("shop", "1.0", None, None, {}, "", ">=3.99")
    lock = lockfile.parse(b'lock-version = "1.0"\ncreated-by = "tests"\npackages = []\n', "pylock.toml")
    contents = artifact.Contents(manifest, {}, lock, "shop", "1.0")
    with pytest.raises(PackhorseError, match=r"shop\.whl needs Python >=3\.99, this host would run it with"):
        release_folder._check_python(contents, file("shop.whl"), interpreter.own())


@pytest.mark.parametrize("name", ["worker", "run"])
def test_a_job_with_the_name_of_another_log_is_refused(tmp_path: Path, name: str) -> None:
    """The types of the Procfile are known on the host only."""
    layout, dist = a_layout(tmp_path), app_wheel("1.0", procfile="worker: work\n")
    job = Job(name, "hourly", ["hourly"], "true", overlap=False, timeout=None)
    with pytest.raises(PackhorseError, match=f"The job {name} has the name of a process type"):
        fetched(layout, dist, replace(a_content(), project=NAME, jobs=[job]))


SDIST = sdist("dep", "1.0")
LOCK = f"""lock-version = "1.0"
created-by = "uv"
[[packages]]
name = "dep"
version = "1.0"
sdist = {{ path = "wheels/{SDIST.filename}", hashes = {{ sha256 = "{SDIST.sha256}" }} }}
""".encode()
DEP, OTHER = wheel("dep", "1.0"), wheel("dep", "1.0", tag="cp27-cp27m-win32")


def fetched(layout: Layout, dist: Dist, content: Content | None = None) -> list[File]:
    """The wheels that are installed from the artifact `dist`, which is in the cache, without an index."""
    file = File(NAME, dist.filename, dist.sha256)
    place = file_cache.path(layout, file)
    place.parent.mkdir(exist_ok=True)
    place.write_bytes(dist.content)
    content = content or replace(a_content(), project=NAME)
    spec = ReleaseSpec(1, content, None, None, "ann@example")
    _, kept, wheels = release_folder._fetch(layout, spec, file, interpreter.own(), a_session())
    assert {wheel.sha256 for wheel in wheels} <= {file.sha256 for file in kept}
    return wheels


def test_a_dependency_without_a_wheel_is_installed_from_the_one_inside(tmp_path: Path) -> None:
    """`release build` built it; the host runs no program of the dependency's author."""
    artifact = app_wheel("1.0", lock=LOCK, wheels={OTHER.filename: OTHER.content, DEP.filename: DEP.content})
    dep, app = fetched(a_layout(tmp_path), artifact)
    assert (dep.filename, dep.sha256) == (DEP.filename, DEP.sha256)
    assert Path(str(dep.url).removeprefix("file://")).read_bytes() == DEP.content
    assert app.filename == artifact.filename


def test_an_sdist_is_installed_from_its_own_wheel(tmp_path: Path) -> None:
    """Both kinds of artifact deploy; no host builds either."""
    (app,) = fetched(a_layout(tmp_path), app_sdist("1.0"))
    assert (app.filename, app.sha256) == (app_wheel("1.0").filename, app_wheel("1.0").sha256)


@pytest.mark.parametrize(
    ("artifact", "message", "hint"),
    [
        (app_wheel("1.0", lock=LOCK), "hosts do not build its dep-1.0.tar.gz", 'sdists = ["dep"]'),
        (
            app_wheel("1.0", lock=LOCK, wheels={OTHER.filename: OTHER.content}),
            "dep-1.0-cp27-cp27m-win32.whl was built from dep-1.0.tar.gz, and does not fit",
            "on the platform of the hosts",
        ),
        (app_sdist("1.0", wheel_inside=False), "has no wheel inside, and hosts build nothing", "--wheel"),
    ],
)
def test_a_host_builds_nothing(artifact: Dist, message: str, hint: str, tmp_path: Path) -> None:
    """A build backend is code of strangers, and would run with all rights of the application's user."""
    with pytest.raises(PackhorseError, match=message) as caught:
        fetched(a_layout(tmp_path), artifact)
    assert hint in caught.value.hint


def test_a_wheel_that_is_not_the_one_of_the_manifest_is_refused(tmp_path: Path) -> None:
    """The manifest vouches for it."""
    made = app_wheel("1.0", lock=LOCK, wheels={DEP.filename: DEP.content})
    with zipfile.ZipFile(io.BytesIO(made.content)) as old:
        members = {name: old.read(name) for name in old.namelist()}
    changed = {name: b"other" if name.endswith(DEP.filename) else data for name, data in members.items()}
    content = archive(changed)
    with pytest.raises(PackhorseError, match=r"its dep-1\.0-py3-none-any\.whl was changed after the build"):
        fetched(a_layout(tmp_path), Dist(made.filename, content, made.metadata))


def test_a_wheel_inside_that_fills_the_memory_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Zeros of any size are a few kB in an archive."""
    monkeypatch.setattr("release.host.formats.artifact.LARGEST_WHEEL", 100)
    for number, dist in enumerate(
        [app_wheel("1.0", lock=LOCK, wheels={DEP.filename: DEP.content}), app_sdist("1.0")]
    ):
        (tmp_path / str(number)).mkdir()
        with pytest.raises(PackhorseError, match="is larger than"):
            fetched(a_layout(tmp_path / str(number)), dist)


def test_a_wheel_that_an_older_packhorse_built_here_is_used_again(tmp_path: Path) -> None:
    """A rollback to a release from then needs no index, and gets the very same files."""
    layout = a_layout(tmp_path)
    before = file_cache.path(layout, File("dep", SDIST.filename, SDIST.sha256))
    before.parent.mkdir()
    for path, content in ((before, SDIST.content), (before.with_name(DEP.filename), DEP.content)):
        path.write_bytes(content)
    dep, _ = fetched(layout, app_wheel("1.0", lock=LOCK))
    assert (dep.filename, dep.sha256) == (DEP.filename, DEP.sha256)


def static_of(layout: Layout, files: dict[str, bytes], said: list[str]) -> Path:
    """Where the `files` of a wheel lie that a release has; `said` gets the warnings."""
    dist = app_wheel("1.0", static=files)
    wheel_file = File(NAME, dist.filename, dist.sha256)
    path = file_cache.path(layout, wheel_file)
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(dist.content)
    layout.release(1).mkdir(exist_ok=True)
    session = a_session(emit=lambda event: said.append(event["text"]))
    release_folder._write_static(layout, 1, "tiny/static", wheel_file, session)
    return layout.static_of(1)


def test_static_files_have_a_time_that_stands_for_their_content(tmp_path: Path) -> None:
    """nginx makes ETags of time and size: hosts that install at different times answer the same."""
    said: list[str] = []
    one = static_of(a_layout(tmp_path / "1"), {"a.css": b"one", "x/b.css": b"two"}, said)
    other = static_of(a_layout(tmp_path / "2"), {"a.css": b"one", "x/b.css": b"six"}, said)
    assert (one / "a.css").stat().st_mtime == (other / "a.css").stat().st_mtime < time.time()
    assert (one / "x/b.css").stat().st_mtime != (other / "x/b.css").stat().st_mtime
    assert (one / "a.css").stat().st_mode & 0o777 == 0o444
    assert (one / "x/b.css").read_bytes() == b"two"
    assert said == []


def test_a_folder_without_static_files_is_said(tmp_path: Path) -> None:
    """It may be a typing error in release.toml; the application may serve them itself."""
    said: list[str] = []
    assert list(static_of(a_layout(tmp_path), {}, said).iterdir()) == []
    assert said == [
        "tiny-1.0-py3-none-any.whl has no files in tiny/static, which [static] in release.toml names"
    ]


def test_one_name_for_a_static_file_and_a_folder_is_refused(tmp_path: Path) -> None:
    """An archive can have both, a disk cannot."""
    with pytest.raises(PackhorseError, match="is there already"):
        static_of(a_layout(tmp_path), {"a": b"", "a/b": b""}, [])
