"""`mirror prefetch`: afterwards a lock's files are in the cache, or it says which are not."""

import json
import signal
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.support import faults
from tests.support.dists import Dist, sdist, wheel
from tests.support.mirror_and_upstream import Mirrored, new_name
from tests.support.servers import BIN, wait_until


def test_after_a_prefetch_every_file_is_served_without_the_upstream(
    mirrored: Mirrored, tmp_path: Path
) -> None:
    """What `mirror prefetch` is for."""
    names = [new_name("prefetched") for _ in range(20)]
    dists = [wheel(name, "1.0", padding=100_000) for name in names[:-1]] + [
        sdist(names[-1], "1.0", build_requires=[])
    ]
    for name, dist in zip(names, dists, strict=True):
        mirrored.upstream.add(name, dist, wheel(name, "2.0"), wheel(name, "1.0", tag="cp26-cp26m-win32"))
    lock = tmp_path / "requirements.txt"
    lock.write_text(
        "".join(f"{n}==1.0 --hash=sha256:{d.sha256}\n" for n, d in zip(names, dists, strict=True))
    )
    done = mirrored.mirror.run(BIN / "mirror", "prefetch", lock)
    assert done.stdout.startswith("20 files with 1.9 MB are in the cache")
    assert done.stderr == ""  # no bar without a terminal
    mirrored.upstream.forget()
    again = mirrored.mirror.run(BIN / "mirror", "prefetch", lock)
    assert again.stdout.startswith("20 files with 1.9 MB are in the cache: 0 new with 0 B, 20 already there")
    assert [seen.path for seen in mirrored.upstream.requests if seen.path.startswith("/files/")] == []
    fetched = [path.name for path in (mirrored.mirror.home / "mirror/server/+files").rglob("prefetched*")]
    assert sorted(fetched) == sorted(dist.filename for dist in dists)


def test_files_are_fetched_side_by_side(mirrored: Mirrored, tmp_path: Path) -> None:
    """The upstream answers when it has been asked for all of them."""
    names = [new_name("parallel") for _ in range(8)]
    for name in names:
        mirrored.upstream.add(name, wheel(name, "1.0"))
    all_asked = threading.Event()
    mirrored.upstream.fail("/files/*", faults.held(all_asked))
    lock = tmp_path / "requirements.txt"
    lock.write_text("".join(f"{name}==1.0\n" for name in names))

    def asked() -> set[str]:
        return {seen.path for seen in mirrored.upstream.requests if seen.path.startswith("/files/")}

    with ThreadPoolExecutor(1) as pool:
        done = pool.submit(mirrored.mirror.run, BIN / "mirror", "prefetch", lock)
        try:
            wait_until("all are asked for", lambda: len(asked()) == len(names))
        finally:
            all_asked.set()
        assert done.result().stdout.startswith("8 files")


def test_it_ends_at_once_when_interrupted_and_goes_on_when_started_again(
    mirrored: Mirrored, tmp_path: Path
) -> None:
    """A slow download holds nobody at the terminal; what has come is not downloaded again."""
    first, second, slow = dists = [wheel(new_name("interrupted"), "1.0", padding=100_000) for _ in range(3)]
    for dist in dists:
        mirrored.upstream.add(dist.filename.partition("-")[0], dist)
    lines = "".join(f"{dist.filename.partition('-')[0]}==1.0 --hash=sha256:{dist.sha256}\n" for dist in dists)
    (tmp_path / "requirements.txt").write_text(lines)
    goes_on = threading.Event()
    mirrored.upstream.fail(mirrored.upstream.file_path(slow), faults.held(goes_on))
    files = mirrored.mirror.home / "mirror/server/+files"
    command: list[str | Path] = [BIN / "mirror", "prefetch", tmp_path / "requirements.txt"]

    def asked(dist: Dist) -> int:
        return mirrored.upstream.count(mirrored.upstream.file_path(dist))

    process = subprocess.Popen(command, env=mirrored.mirror.environment, stderr=subprocess.PIPE, text=True)
    try:
        wait_until("the first has come", lambda: list(files.rglob(first.filename)))
        wait_until("the second has come", lambda: list(files.rglob(second.filename)))
        wait_until("the slow one is asked for", lambda: asked(slow))
        process.send_signal(signal.SIGINT)
        assert "Interrupted." in process.communicate(timeout=60)[1]
        assert process.returncode == 130
    finally:
        goes_on.set()
        process.kill()
    done = mirrored.mirror.run(*command)
    assert done.stdout.startswith("3 files with 3")
    assert [asked(first), asked(second)] == [1, 1]


def test_what_is_missing_is_named_and_the_exit_status_says_so(mirrored: Mirrored, tmp_path: Path) -> None:
    """All problems at once: who fills a mirror for a flight has one chance."""
    good, wrong, gone = (new_name(prefix) for prefix in ("fine", "wrong", "gone"))
    dists = {name: wheel(name, "1.0", padding=100_000) for name in (good, wrong, gone)}
    for name, dist in dists.items():
        mirrored.upstream.add(name, dist)
    mirrored.upstream.fail(mirrored.upstream.file_path(dists[wrong]), faults.wrong_bytes)
    mirrored.upstream.fail(mirrored.upstream.file_path(dists[gone]), faults.status(404))
    lock = tmp_path / "pylock.toml"
    lock.write_text('lock-version = "1.0"\ncreated-by = "tests"\n' + "".join(map(_package, dists.values())))
    done = mirrored.mirror.run(BIN / "mirror", "prefetch", lock, status=1)
    assert "Error: 2 of 3 files are not in the cache." in done.stderr
    assert f"{dists[wrong].filename}: " in done.stderr
    assert f"{dists[gone].filename}: " in done.stderr
    assert dists[good].filename not in done.stderr


def test_the_hash_in_the_lock_counts_not_the_one_on_the_page(mirrored: Mirrored, tmp_path: Path) -> None:
    """A lock is there to notice that an upstream has changed a file."""
    name = new_name("changed")
    mirrored.upstream.add(name, wheel(name, "1.0"))
    lock = tmp_path / "requirements.txt"
    lock.write_text(f"{name}==1.0 --hash=sha256:{'0' * 64}\n")
    done = mirrored.mirror.run(BIN / "mirror", "prefetch", lock, status=1)
    assert f"{name}==1.0: the index has it with another hash" in done.stderr


def test_requirements_are_resolved_and_sdists_bring_what_they_need_to_be_built(
    mirrored: Mirrored, tmp_path: Path
) -> None:
    """For other Pythons and platforms; no program of a stranger runs."""
    kinds = ("app", "library", "source", "windows", "backend")
    app, library, source, windows, backend = (new_name(kind) for kind in kinds)
    wheels = [
        wheel(library, "1.5", tag=f"cp312-cp312-{tag}") for tag in ("musllinux_1_2_x86_64", "win_amd64")
    ]
    mirrored.upstream.add(app, wheel(app, "1.0", requires=[f"{library}>=1", f"{windows} ; os_name == 'nt'"]))
    mirrored.upstream.add(library, *wheels, wheel(library, "2.0", tag="cp312-cp312-macosx_11_0_arm64"))
    mirrored.upstream.add(windows, wheel(windows, "1.0"))
    mirrored.upstream.add(source, sdist(source, "1.0", build_requires=[f"{backend}>=1"]))
    mirrored.upstream.add(backend, wheel(backend, "1.0"))
    lines = tmp_path / "requirements.txt"
    lines.write_text(f"{app}\n{source}==1.0\n")
    targets = ["--python", "3.12", "--platform", "musl-x86_64", "--platform", "windows-x86_64"]
    done = mirrored.mirror.run(BIN / "mirror", "prefetch", "--json", *targets, lines)
    report = json.loads(done.stdout)
    assert (report["files"], report["already_there"], report["failed"]) == (6, 0, [])
    here = {path.name for path in (mirrored.mirror.home / "mirror/server/+files").rglob("*-*.*")}
    assert {dist.filename for dist in wheels} < here
    assert {f"{windows}-1.0-py3-none-any.whl", f"{backend}-1.0-py3-none-any.whl"} < here
    unknown = mirrored.mirror.run(BIN / "mirror", "prefetch", f"{source}>=1", status=1)
    assert "--allow-builds runs it" in unknown.stderr
    mirrored.mirror.run(BIN / "mirror", "prefetch", f"{source}>=1", "--allow-builds")


def _package(dist: Dist) -> str:
    filename, sha256 = dist.filename, dist.sha256
    name = filename.partition("-")[0].replace("_", "-")
    entry = f'{{path = "wheels/{filename}", hashes = {{sha256 = "{sha256}"}}}}'
    return f'[[packages]]\nname = "{name}"\nversion = "1.0"\nwheels = [{entry}]\n'


def test_an_index_that_is_not_there_is_one_error(mirrored: Mirrored, tmp_path: Path) -> None:
    """It was one for each file, and a hint about the lock."""
    (tmp_path / "requirements.txt").write_text("a==1\nb==1\n")
    errors = {
        "prefetch": "The mirror has no index company/dve.",
        "verify": "mirror.toml has no index company/dve,",
    }
    for command, error in errors.items():
        asked = (command, tmp_path / "requirements.txt", "--index", "company/dve")
        first, second = mirrored.mirror.run(BIN / "mirror", *asked, status=1).stderr.splitlines()
        assert first.startswith(f"Error: {error}")
        assert second.startswith("Hint: Name one with --index: company/")


def test_a_damaged_file_leads_to_what_mends_it(mirrored: Mirrored, tmp_path: Path) -> None:
    """The hints of prefetch and verify led to each other."""
    name = new_name("damaged")
    dist = wheel(name, "1.0")
    mirrored.upstream.add(name, dist)
    (tmp_path / "requirements.txt").write_text(f"{name}==1.0 --hash=sha256:{dist.sha256}\n")
    lock = tmp_path / "requirements.txt"
    mirrored.mirror.run(BIN / "mirror", "prefetch", lock)
    (stored,) = (mirrored.mirror.home / "mirror/server/+files").rglob(dist.filename)
    stored.write_bytes(b"damaged")
    for command in ("prefetch", "verify"):
        failed = mirrored.mirror.run(BIN / "mirror", command, lock, status=1)
        assert f"{dist.filename}: the file that is here is broken" in failed.stderr
        assert "`mirror check --repair`" in failed.stderr.splitlines()[-1]
    mirrored.mirror.run(BIN / "mirror", "check", "--repair", status=None)
    assert stored.read_bytes() == dist.content
    mirrored.mirror.run(BIN / "mirror", "verify", lock)
