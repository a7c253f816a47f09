"""`release build` and `release lock` on real projects, against a real mirror with the real upstream."""

import json
import os
import signal
import subprocess
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from release.host.formats import artifact
from tests.support import built_dists, sample_projects
from tests.support.release_command import refused
from tests.support.servers import BIN, Mirror, wait_until

KINDS = [
    sample_projects.flat,
    sample_projects.src,
    sample_projects.flit,
    sample_projects.hatchling,
    sample_projects.scm,
]


def build(mirror: Mirror, folder: Path, *options: str, umask: int = 0o022, **more: str) -> dict[str, Any]:
    """`release build --json` in `folder`."""
    done = subprocess.run(
        [BIN / "release", "build", "--json", *options],
        env={**mirror.environment, **more},
        cwd=folder,
        umask=umask,
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def digests(result: dict[str, Any]) -> dict[str, str]:
    return {Path(item["path"]).name: item["sha256"] for item in result["artifacts"]}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_project_is_built_stamped_and_reproducible(
    kind: sample_projects.Make, mirror_server: Mirror, tmp_path: Path
) -> None:
    """Any PEP 517 project; the second build meets what the first one left in the folder."""
    folder = sample_projects.repository(tmp_path / "app", kind, f"build-{kind.__name__}")
    build(mirror_server, folder)  # makes the lock
    sample_projects.commit(folder)
    sample_projects.git(folder, "tag", "--force", "v0.1.0")
    first = build(mirror_server, folder)
    assert first["commit"] == sample_projects.git(folder, "rev-parse", "HEAD")
    assert first["dirty"] is False
    assert first["version"] == "0.1.0"
    assert digests(build(mirror_server, folder)) == digests(first)
    for item in first["artifacts"]:
        contents = artifact.read(Path(item["path"]))
        assert contents.processes == {"web": "python -m http.server"}
        assert [package.name for package in contents.lock.packages] == ["itsdangerous"]
        assert contents.manifest.commit == first["commit"]
    (wheel,) = folder.joinpath("dist").glob("*-0.1.0-*.whl")
    assert built_dists.record_problems(wheel) == []


def test_the_same_commit_gives_the_same_bytes_everywhere(mirror_server: Mirror, tmp_path: Path) -> None:
    """Another folder, another umask, another address of the index, a cold cache: the same release."""
    origin = sample_projects.repository(tmp_path / "origin", sample_projects.src, "build-same")
    build(mirror_server, origin)
    sample_projects.commit(origin)
    one = build(mirror_server, origin, umask=0o077)
    for place in ("clone", "another/clone"):
        sample_projects.git(tmp_path, "clone", "--quiet", str(origin), str(tmp_path / place))
    there = mirror_server.url.replace("127.0.0.1", "localhost")
    two = build(
        mirror_server,
        tmp_path / "another/clone",
        RELEASE_INDEX=f"{there}/company/dev",
        UV_CACHE_DIR=str(tmp_path / "cache"),
    )
    assert digests(one) == digests(two)
    assert len(digests(one)) == 2


def test_artifacts_hold_no_trace_of_the_build_machine(mirror_server: Mirror, tmp_path: Path) -> None:
    """Neither its folders nor the address under which it saw the index."""
    folder = sample_projects.repository(tmp_path / "app", sample_projects.src, "build-trace")
    build(mirror_server, folder)
    (wheel,) = folder.joinpath("dist").glob("*.whl")
    (sdist,) = folder.joinpath("dist").glob("*.tar.gz")
    with zipfile.ZipFile(wheel) as archive, tarfile.open(sdist) as tar:
        content = b"".join(archive.read(name) for name in archive.namelist())
        files = (tar.extractfile(entry) for entry in tar if entry.isreg())
        content += b"".join(file.read() for file in files if file)
    content = content.replace(b"http://cyclonedx.org/schema/", b"")  # how a bill of materials says what it is
    for trace in ("127.0.0.1", "://", str(tmp_path), os.uname().nodename):
        assert trace.encode() not in content, trace


def test_a_wheel_has_its_bill_of_materials_and_mirror_sbom_makes_the_same_of_each_artifact(
    mirror_server: Mirror, tmp_path: Path
) -> None:
    """PEP 770; the official schema lets it pass. From outside, the hash of the file itself is known, too."""
    folder = sample_projects.repository(tmp_path / "app", sample_projects.src, "build-bill")
    build(mirror_server, folder)
    (wheel,) = folder.joinpath("dist").glob("*.whl")
    (sdist,) = folder.joinpath("dist").glob("*.tar.gz")
    with zipfile.ZipFile(wheel) as archive:
        inside = archive.read("build_bill-0.1.0.dist-info/sboms/packhorse.cdx.json").decode()
    lock = json.loads(mirror_server.run(BIN / "mirror", "sbom", folder / "pylock.toml").stdout)
    texts = [inside, *(mirror_server.run(BIN / "mirror", "sbom", path).stdout for path in (wheel, sdist))]
    bills = [json.loads(text) for text in texts]
    for text, bill in zip(texts, bills, strict=True):
        assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
        assert bill["metadata"]["component"]["purl"] == "pkg:pypi/build-bill@0.1.0"
        assert [each["name"] for each in bill["components"]] == ["itsdangerous"]
        (flat,) = bill["components"]
        assert len(flat["externalReferences"]) == 1  # release build locks wheels alone
    (known,) = lock["components"]
    assert known["externalReferences"] == bills[0]["components"][0]["externalReferences"]
    files = [bill["metadata"]["component"].get("externalReferences", [{}])[0].get("url") for bill in bills]
    assert files == [None, wheel.name, sdist.name]


def test_a_build_warns_about_known_vulnerabilities_of_what_it_locks(
    mirror_server: Mirror, tmp_path: Path
) -> None:
    """The index knows them; without a file of advisories there, nothing is said."""
    folder = sample_projects.repository(tmp_path / "app", sample_projects.src, "build-warned")
    affected = {
        "package": {"ecosystem": "PyPI", "name": "itsdangerous"},
        "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}]}],
    }
    export = tmp_path / "export"
    export.mkdir()
    (export / "a.json").write_text(json.dumps({"id": "PYSEC-2026-1", "affected": [affected]}))
    mirror_server.run(BIN / "mirror", "advisories", "update", export)
    try:
        found = [text for text in build(mirror_server, folder)["warnings"] if "PYSEC" in text]
    finally:
        (mirror_server.home / "mirror" / "advisories.sqlite").unlink()
    assert len(found) == 1
    assert found[0].startswith("itsdangerous 2.")
    assert found[0].endswith("has the vulnerability PYSEC-2026-1 (of unknown severity; no fix is known).")


def test_a_static_file_that_git_ignores_is_in_both_artifacts(mirror_server: Mirror, tmp_path: Path) -> None:
    """A front-end build left it in the folder: the build happens in place, not in a fresh clone."""
    folder = sample_projects.repository(tmp_path / "app", sample_projects.flat, "build-static")
    build(mirror_server, folder)
    (wheel,) = folder.joinpath("dist").glob("*.whl")
    (sdist,) = folder.joinpath("dist").glob("*.tar.gz")
    with zipfile.ZipFile(wheel) as archive, tarfile.open(sdist) as tar:
        assert "build_static/bundle.js" in archive.namelist()
        assert "build_static-0.1.0/build_static/bundle.js" in tar.getnames()


def test_a_stale_build_folder_does_not_reach_the_wheel(mirror_server: Mirror, tmp_path: Path) -> None:
    """setuptools puts whatever lies in build/lib into a wheel that it builds in the folder."""
    folder = sample_projects.repository(tmp_path / "app", sample_projects.src, "build-stale")
    stale = folder / "build" / "lib" / "build_stale" / "deleted.py"
    stale.parent.mkdir(parents=True)
    stale.write_text("secret = 1\n")
    result = build(mirror_server, folder, "--wheel")
    with zipfile.ZipFile(result["artifacts"][0]["path"]) as archive:
        assert "build_stale/deleted.py" not in archive.namelist()
    assert [item["kind"] for item in result["artifacts"]] == ["wheel"]


def test_the_lock_installs_with_hashes_by_pip_and_uv(mirror_server: Mirror, tmp_path: Path) -> None:
    """What a developer gets from `release lock --requirements` is what a host installs."""
    folder = sample_projects.repository(tmp_path / "app", sample_projects.src, "build-lines")
    mirror_server.run(BIN / "release", "lock", cwd=folder)
    lines = mirror_server.run(BIN / "release", "lock", "--requirements", cwd=folder).stdout
    requirements = tmp_path / "requirements.txt"
    requirements.write_text(lines)
    index = mirror_server.index_url("company/dev")
    mirror_server.run(BIN / "uv", "venv", "--seed", "--default-index", index, tmp_path / "venv")
    python = tmp_path / "venv" / "bin" / "python"
    options = ["--require-hashes", "--requirement", str(requirements), "--index-url", index]
    mirror_server.run(python, "-m", "pip", "install", *options)
    mirror_server.run(BIN / "uv", "pip", "install", "--reinstall", "--python", python, *options)
    mirror_server.run(python, "-c", "import itsdangerous")


def test_a_lock_that_does_not_fit_any_more_is_refused_until_it_is_renewed(
    mirror_server: Mirror, tmp_path: Path
) -> None:
    """A dependency was added: the release would lack it."""
    folder = sample_projects.repository(tmp_path / "app", sample_projects.src, "build-fit")
    build(mirror_server, folder)
    path = folder / "pyproject.toml"
    path.write_text(path.read_text().replace('"itsdangerous"]', '"itsdangerous<2.2", "blinker"]'))
    said = refused(mirror_server, folder, "build")
    assert "does not fit the dependencies any more: blinker (new) -> 1." in said
    assert "Hint: Renew it and commit it: release lock" in said
    renewed = mirror_server.run(BIN / "release", "lock", cwd=folder).stdout
    assert "itsdangerous 2.2.0 -> 2.1.2" in renewed
    build(mirror_server, folder)
    path.write_text(path.read_text().replace("itsdangerous<2.2", "itsdangerous"))
    assert "nothing has changed" in mirror_server.run(BIN / "release", "lock", cwd=folder).stdout
    upgraded = mirror_server.run(BIN / "release", "lock", "--upgrade", cwd=folder).stdout
    assert "itsdangerous 2.1.2 -> 2.2" in upgraded


def test_a_backend_that_is_broken_is_shown_with_its_words(mirror_server: Mirror, tmp_path: Path) -> None:
    """The cause is in the backend's output only."""
    folder = sample_projects.repository(tmp_path / "app", sample_projects.src, "build-broken")
    folder.joinpath("setup.py").write_text("raise SystemExit('the cause is here')\n")
    said = refused(mirror_server, folder, "build")
    assert "the cause is here" in said
    assert not folder.joinpath("dist").exists()


def test_an_sdist_has_procfile_and_lock_without_a_manifest_in(mirror_server: Mirror, tmp_path: Path) -> None:
    """setuptools leaves both out unless a MANIFEST.in names them."""
    folder = sample_projects.repository(tmp_path / "app", sample_projects.src, "build-manifest")
    (sdist,) = build(mirror_server, folder, "--sdist")["artifacts"]
    assert artifact.read(Path(sdist["path"])).processes == {"web": "python -m http.server"}


def test_an_unknown_dependency_is_named(mirror_server: Mirror, tmp_path: Path) -> None:
    """uv says which requirement of whom cannot be had."""
    folder = sample_projects.repository(tmp_path / "app", sample_projects.src, "build-unknown")
    path = folder / "pyproject.toml"
    path.write_text(path.read_text().replace('"itsdangerous"]', '"no-such-package-as-this-one"]'))
    said = refused(mirror_server, folder, "lock")
    assert "no-such-package-as-this-one" in said
    assert "cannot be locked" in said


@pytest.mark.parametrize(
    ("index", "message"),
    [("http://127.0.0.1:9/company/dev", "Connection refused"), ("{}/company/nope", "There is no index")],
)
def test_an_index_that_is_not_there_is_told_at_once(
    index: str, message: str, mirror_server: Mirror, tmp_path: Path
) -> None:
    """Before the tools below retry for half a minute."""
    folder = sample_projects.repository(tmp_path / "app", sample_projects.src, "build-index")
    said = refused(mirror_server, folder, "build", RELEASE_INDEX=index.format(mirror_server.url))
    assert message in said


def test_ctrl_c_leaves_nothing_half_made_and_a_second_run_works(
    mirror_server: Mirror, tmp_path: Path
) -> None:
    """At any moment; here while the backend runs, the longest part."""
    folder = sample_projects.repository(tmp_path / "app", sample_projects.src, "build-interrupted")
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    started = tmp_path / "started"
    folder.joinpath("setup.py").write_text(
        f"import pathlib, time\npathlib.Path({str(started)!r}).touch()\ntime.sleep(60)\n"
    )
    running = subprocess.Popen(
        [BIN / "release", "build"],
        env={**mirror_server.environment, "TMPDIR": str(scratch)},
        cwd=folder,
        start_new_session=True,
        stderr=subprocess.PIPE,
        text=True,
    )
    wait_until("the backend runs", started.exists, deadline=60)
    os.killpg(running.pid, signal.SIGINT)
    _, said = running.communicate(timeout=60)
    assert running.returncode == 130
    assert said.splitlines()[-2:] == [
        "Interrupted.",
        "Nothing is left half done: run the command again.",
    ]
    assert not folder.joinpath("dist").exists()
    assert not list(scratch.glob("packhorse-*"))
    folder.joinpath("setup.py").unlink()
    assert len(digests(build(mirror_server, folder))) == 2


def test_files_beside_the_package_are_in_both_artifacts(mirror_server: Mirror, tmp_path: Path) -> None:
    """The same bytes wherever they are built, and a wheel that installers and the index take."""
    folder = sample_projects.repository(tmp_path / "app", sample_projects.src, "build-beside")
    (folder / "migrations").mkdir()
    (folder / "migrations" / "ü 1.sql").write_text("select 1;")
    (folder / "manage.py").write_text("#!/usr/bin/env python\n")
    (folder / "manage.py").chmod(0o755)
    (folder / "release.toml").write_text('files = ["manage.py", "migrations/"]\n')
    build(mirror_server, folder)  # makes the lock
    sample_projects.commit(folder)
    first = build(mirror_server, folder)
    assert digests(build(mirror_server, folder, umask=0o077)) == digests(first)
    for item in first["artifacts"]:
        path = Path(item["path"])
        found = dict(artifact.project_files(path, artifact.read(path).manifest.files))
        assert {name: file.executable for name, file in found.items()} == {
            "manage.py": True,
            "migrations/ü 1.sql": False,
        }
        assert found["migrations/ü 1.sql"].content == b"select 1;"
    (wheel,) = folder.joinpath("dist").glob("*.whl")
    assert built_dists.record_problems(wheel) == []
    mirror_server.run(BIN / "release", "-C", folder, "upload", wheel)
    (folder / "release.toml").write_text('files = ["manage.py", "../other"]\n')
    assert "../other" in refused(mirror_server, folder, "build")
