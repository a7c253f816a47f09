"""Verify: which files an install needs are here on the disk, whole, without a question to anybody."""

import hashlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mirror.config import Index, MirrorConfig
from mirror.lockfiles import environments
from mirror.lockfiles.lock import Elsewhere, Lock, LockedFile, Pin, Requirement
from mirror.offline import storage, verify
from mirror.offline.storage import StoredFiles
from mirror.offline.verify import Checked, Verification
from mirror.state import Folder
from packhorse import settings
from tests.support.dists import Dist, sdist, wheel

LINUX, WINDOWS = ENVIRONMENTS = environments.wanted(["3.12"], ["linux-x86_64", "windows-x86_64"])
NATIVE = wheel("demo", "1.0", tag="cp312-cp312-manylinux_2_28_x86_64")
PURE, SOURCE = wheel("demo", "1.0"), sdist("demo", "1.0", build_requires=["backend>=1"])
BACKEND = wheel("backend", "1.0")
Store = Callable[..., Path]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Store files as the mirror does, with the pages that list them."""

    def store(*dists: Dist, index: str = "root/pypi", kind: str = "+f") -> Path:
        folder = Folder(tmp_path)
        for dist in dists:
            place = f"{dist.sha256[:3]}/{dist.sha256[3:16]}" if kind == "+f" else "pages"
            path = folder.files / index / kind / place / dist.filename
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(dist.content)
            page = folder.server / "+upstream/root%2Fpypi" / dist.filename.partition("-")[0]
            page.parent.mkdir(parents=True, exist_ok=True)
            page.write_bytes(b"a page")
        return path

    return store


def check(tmp_path: Path, *pins: Pin, every: bool = False) -> list[Checked]:
    """What a lock of these pins needs."""
    here = StoredFiles(Folder(tmp_path), ["company/dev", "root/pypi"])
    return list(Verification(here, every=every).run(Lock(("x",), pins=pins), ENVIRONMENTS))


def pin(*dists: Dist, exact: bool = True) -> Pin:
    """The pin of a lock that names these files."""
    files = tuple(LockedFile(dist.filename, frozenset({("sha256", dist.sha256)})) for dist in dists)
    return Pin("demo", "1.0", files, exact=exact, environments=ENVIRONMENTS)


def problems(results: list[Checked]) -> list[str]:
    return [str(each) for each in results if each.problem]


@pytest.mark.parametrize("exact", [True, False])
def test_a_lock_whose_files_are_here_installs(tmp_path: Path, store: Store, *, exact: bool) -> None:
    """On every wanted platform, also those that were uploaded."""
    store(NATIVE)
    store(PURE, index="company/dev")
    results = check(tmp_path, pin(NATIVE, PURE, exact=exact))
    assert {each.wanted for each in results} == {NATIVE.filename, PURE.filename}
    assert problems(results) == []
    assert verify.as_json(results)["installs"] is True
    assert verify.as_text(results).startswith("2 files with ")


def test_a_file_that_is_missing_is_named(tmp_path: Path, store: Store) -> None:
    """uv takes the file that its lock names; Poetry also another one that is here."""
    store(PURE)
    missing = f"demo==1.0: this mirror has no {NATIVE.filename}"
    results = check(tmp_path, pin(NATIVE, PURE))
    assert problems(results) == [missing]
    assert verify.as_json(results)["missing"][0] == {
        "project": "demo",
        "version": "1.0",
        "wanted": "demo==1.0",
        "reason": f"this mirror has no {NATIVE.filename}",
    }
    assert problems(check(tmp_path, pin(NATIVE, PURE, exact=False))) == []
    assert problems(check(tmp_path, pin(NATIVE, PURE, exact=False), every=True)) == [missing]


@pytest.mark.parametrize("content", [PURE.content[:-1], b"", PURE.content + b"x", bytes(len(PURE.content))])
def test_a_broken_file_is_not_here(tmp_path: Path, store: Store, content: bytes) -> None:
    """Its size may be right."""
    store(PURE).write_bytes(content)
    (problem,) = problems(check(tmp_path, pin(PURE)))
    assert problem.startswith(f"{PURE.filename}: the file that is here is broken: its sha256 is ")


def test_hashes_without_names_are_enough(tmp_path: Path, store: Store) -> None:
    """As requirements.txt and Pipfile.lock have them."""
    store(NATIVE)
    hashes = frozenset({("sha256", NATIVE.sha256), ("sha256", PURE.sha256)})
    wanted = Pin("demo", "1.0", hashes=hashes, environments=ENVIRONMENTS)
    assert problems(check(tmp_path, wanted)) == [
        "demo==1.0: this mirror has no file of it that fits 3.12 on windows-x86_64"
    ]


def test_a_hash_that_is_a_path_leads_nowhere(tmp_path: Path, store: Store) -> None:
    """A lock may come from a stranger."""
    store(PURE)
    for digest in ("../../../../../etc", "/etc/", "a" * 63 + "/"):
        wanted = Pin("demo", "1.0", hashes=frozenset({("sha256", digest)}), environments=ENVIRONMENTS)
        assert problems(check(tmp_path, wanted)) == ["demo==1.0: this mirror has no such version"]


def test_an_sdist_needs_what_builds_it(tmp_path: Path, store: Store) -> None:
    """Nothing is installed from it otherwise."""
    store(SOURCE)
    (problem,) = problems(check(tmp_path, pin(SOURCE)))[:1]
    assert problem.startswith(f"what {SOURCE.filename} needs to be built: backend>=1 for 3.12 on ")
    store(BACKEND)
    results = check(tmp_path, pin(SOURCE))
    assert (problems(results), len(results)) == ([], 2)


def test_lines_without_hashes_need_what_they_depend_on(tmp_path: Path, store: Store) -> None:
    """`app==1.0` alone installs only with its library."""
    app = wheel("app", "1.0", requires=["library>=1"])
    store(app)
    bare = Pin("app", "1.0", environments=ENVIRONMENTS)
    assert "library" in problems(check(tmp_path, bare))[0]
    store(wheel("library", "1.2"))
    assert problems(check(tmp_path, bare)) == []
    here = StoredFiles(Folder(tmp_path), ["root/pypi"])
    lock = Lock(("x",), requirements=(Requirement("app>=1"),))
    assert sorted(each.wanted for each in Verification(here).run(lock, [LINUX])) == [
        app.filename,
        "library-1.2-py3-none-any.whl",
    ]


def test_without_its_page_no_installer_finds_a_file(tmp_path: Path, store: Store) -> None:
    """An upload has a page always."""
    store(PURE)
    shutil.rmtree(tmp_path / "mirror/server/+upstream")
    assert "the page of demo, which lists it, is not here" in problems(check(tmp_path, pin(PURE)))[0]
    shutil.rmtree(tmp_path / "mirror/server/+files")
    store(PURE, index="company/dev")
    shutil.rmtree(tmp_path / "mirror/server/+upstream")
    assert problems(check(tmp_path, pin(PURE))) == []


@pytest.mark.parametrize("dist", [PURE, SOURCE])
def test_a_file_whose_hash_nobody_knows_is_read_to_its_end(tmp_path: Path, store: Store, dist: Dist) -> None:
    """Old indexes state no hash."""
    path = store(dist, BACKEND, kind="+e")
    path = path.with_name(dist.filename)
    bare = Pin("demo", "1.0", environments=(LINUX,))
    assert problems(check(tmp_path, bare)) == []
    path.write_bytes(dist.content[:-30])
    assert problems(check(tmp_path, bare)) != []


def test_what_no_index_has_does_not_install_unless_it_comes_with_the_lock(tmp_path: Path) -> None:
    """A repository needs the network, a folder does not."""
    here = StoredFiles(Folder(tmp_path), [])
    lock = Lock(("x",), elsewhere=(Elsewhere("far", "git https://x/y"), Elsewhere("near", ".", local=True)))
    assert problems(list(Verification(here).run(lock, ENVIRONMENTS))) == [
        "far: comes from git https://x/y, not from an index"
    ]


def test_looking_at_files_does_not_count_as_their_use(tmp_path: Path, store: Store) -> None:
    """`mirror prune` goes by it."""
    path = store(PURE)
    os.utime(path, (1, 1))
    check(tmp_path, pin(PURE))
    assert path.stat().st_atime == 1


def test_the_indexes_are_those_that_the_settings_let_it_inherit_from() -> None:
    """Each once, also where two ways lead to it."""
    indexes = {
        "a/x": Index(bases=("a/y", "a/z")),
        "a/y": Index(bases=("root/pypi",)),
        "a/z": Index(bases=("root/pypi",)),
    }
    config = MirrorConfig(indexes=indexes)
    assert storage.indexes(config, "a/x") == ["a/x", "a/y", "a/z", "root/pypi"]
    assert storage.indexes(config, "other/one") == ["other/one"]


@pytest.mark.parametrize("policies", [{}, {"root/pypi": {"policy": {"minimum_age": "7d"}}}])
def test_the_cache_of_an_index_is_found_also_where_it_has_a_policy(policies: dict[str, Any]) -> None:
    config = settings.parse(MirrorConfig, {"indexes": policies} if policies else {}, "mirror.toml")
    assert storage.caches(config, "company/prod") == ["root/pypi"]
    assert storage.caches(config, "root/pypi") == []


def test_the_stored_hash_is_the_beginning_of_the_sha256(tmp_path: Path, store: Store) -> None:
    """The address has it."""
    digest = hashlib.sha256(PURE.content).hexdigest()
    assert storage.stated_hash(store(PURE)) == {"sha256": digest[:16]}
    assert storage.stated_hash(tmp_path / "+e/pages/x.whl") == {}
