"""`mirror bundle`: made of a real mirror, used by pip and uv, served by web servers, loaded into another."""

import functools
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urljoin

import pytest
import requests

from mirror.offline.bundle import disk, listing
from mirror.offline.bundle.listing import File
from tests.support import debian_packages, documents
from tests.support.dists import Dist, attestation, sdist, wheel
from tests.support.faults import Answer
from tests.support.mirror_and_upstream import Mirrored, mirror_of
from tests.support.servers import BIN, clean_environment, free_port, run_command, running_mirror, wait_until
from tests.support.upstream import JSON, Listed, Upstream

LIBRARY = wheel("bundled-library", "1.5", requires_python=">=3.8", padding=300_000)
NEWER = wheel("bundled-library", "1.6", requires_python=">=3.8")
APP = wheel("bundled-app", "1.0", requires=["bundled-library>=1"])
SOURCE = sdist("bundled-source", "1.0")
OWN = wheel("bundled-own", "1.0+local.1", requires=["bundled-app"])
REASON = '<b>broken</b> & "wrong"'
PINS = ("bundled-source==1.0", "bundled-own==1.0+local.1", "bundled-library==1.5", "bundled-app==1.0")
ATTESTED = Path(__file__).parents[2] / "support" / "attested"
SIGNED_NAME = "circleci_sign_publish_example-0.0.1.dev137-py3-none-any.whl"
SIGNED_PROJECT = "circleci-sign-publish-example"
SIGNED = Dist(SIGNED_NAME, (ATTESTED / SIGNED_NAME).read_bytes(), b"")
PROVENANCE = (ATTESTED / f"{SIGNED_NAME}.provenance").read_bytes()
PUBLISHER = {"kind": "CircleCI", "project_id": "fdd9283f-e619-46af-8f9c-851f7d3e8b2b"}
OWN_SIGNED = wheel("bundled-own-signed", "1.0")
TOOL = wheel("setuptools", "80.0")  # that the sdist needs to be built
OTHER_POLICY = '[indexes."company/prod".policy]\nallow = ["*"]\n'  # files get addresses on company/dev
ALL = (APP, LIBRARY, SOURCE, OWN, TOOL)


@dataclass(frozen=True)
class Site:
    """Two mirrors with the same packages, and the bundle that the first has made."""

    mirrored: Mirrored
    other: Mirrored
    lock: Path
    bundle: Path


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("bundle")
    lock = folder / "requirements.txt"
    lock.write_text("".join(f"{pin}\n" for pin in PINS))
    with ExitStack() as until_done:
        upstream = until_done.enter_context(Upstream())
        upstream.add("bundled-library", Listed(NEWER, yanked=REASON), Listed(LIBRARY, yanked=REASON))
        upstream.add("bundled-app", APP)
        upstream.add("setuptools", TOOL, wheel("setuptools", "80.0", tag="cp26-cp26m-win32"))
        upstream.add("bundled-source", SOURCE, status={"status": "archived", "reason": "done"})
        first, second = (
            until_done.enter_context(mirror_of(upstream, f"request_timeout = 2\n{settings}"))
            for settings in ("", OTHER_POLICY)
        )
        (folder / OWN.filename).write_bytes(OWN.content)
        for mirrored in (first, second):
            mirrored.upload(folder / OWN.filename)
        bundle = folder / "outside/bundle"
        first.mirror.run(BIN / "mirror", "bundle", "create", lock, "-o", bundle)
        yield Site(first, second, lock, bundle)


def contents(folder: Path) -> dict[str, tuple[str, bytes]]:
    """Mode and content of each file, mode of each folder."""
    return {
        str(path.relative_to(folder)): (
            oct(path.stat().st_mode),
            path.read_bytes() if path.is_file() else b"",
        )
        for path in sorted(folder.rglob("*"))
    }


def test_the_same_lock_gives_the_same_bytes(site: Site, tmp_path: Path) -> None:
    """Another mirror, filled in another order, with another umask, and pins in another order."""
    backwards = tmp_path / "requirements.txt"
    backwards.write_text("".join(f"{pin}\n" for pin in reversed(PINS)))
    for dist in (APP, LIBRARY):
        site.other.url_of(dist)
    command = f"umask 077; {BIN}/mirror bundle create {backwards} -o {tmp_path}/other --json"
    done = site.other.mirror.run("sh", "-c", command)
    assert contents(tmp_path / "other") == contents(site.bundle)
    made = json.loads(done.stdout)
    assert (made["files"], made["projects"], made["bytes"]) == (5, 5, sum(len(d.content) for d in ALL))
    assert made["fingerprint"] == hashlib.sha256((site.bundle / "SHA256SUMS").read_bytes()).hexdigest()


def test_what_is_here_is_not_fetched_again(site: Site) -> None:
    """Also where a policy of one index gives files of its bases other addresses."""
    for mirrored in (site.mirrored, site.other):
        mirrored.mirror.run(BIN / "mirror", "prefetch", site.lock)
        again = json.loads(mirrored.mirror.run(BIN / "mirror", "prefetch", site.lock, "--json").stdout)
        assert (again["new"]["files"], again["already_there"]) == (0, 5), again


def test_every_file_has_the_checksum_that_is_stated(site: Site) -> None:
    """With the tool that each machine has."""
    done = run_command("sha256sum", "--check", "--strict", "SHA256SUMS", env=os.environ, cwd=site.bundle)
    listed = [line.removesuffix(": OK") for line in done.stdout.splitlines()]
    found = [path for path in contents(site.bundle) if (site.bundle / path).is_file()]
    assert sorted([*listed, "SHA256SUMS"]) == sorted(found)
    names = {path.name for path in (site.bundle / "files").iterdir()}
    assert names == {dist.filename for dist in ALL} | {
        f"{dist.filename}.metadata" for dist in ALL if dist.filename.endswith(".whl")
    }


def test_a_uv_lock_of_another_place_installs_by_its_hashes(site: Site, tmp_path: Path) -> None:
    """The commands of docs/offline.md; with the lock as it is, uv asks the place that made it."""
    here, there = site.other.mirror, site.mirrored.mirror
    (tmp_path / "pyproject.toml").write_text(
        '[project]\nname = "x"\nversion = "1"\nrequires-python = ">=3.11"\n'
        'dependencies = ["bundled-library==1.5"]\n'
    )
    environment = {**here.environment, "UV_CACHE_DIR": str(tmp_path / "cache")}
    made_by = {**environment, "UV_DEFAULT_INDEX": there.index_url("root/pypi")}
    run_command(BIN / "uv", "lock", env=made_by, cwd=tmp_path)
    lock = tmp_path / "uv.lock"
    lock.write_text(lock.read_text().replace(there.url, "http://127.0.0.1:9"))
    shown = (documents.CHECKOUT / "docs/offline.md").read_text()
    lines = re.findall(
        r"^    (export UV_DEFAULT_INDEX.*|uv (?:export|venv|pip sync).*)$", shown, re.MULTILINE
    )
    assert len(lines) == 4
    commands = "\n".join(lines).replace("http://127.0.0.1:3141", here.url)
    path = {"PATH": f"{BIN}:{environment['PATH']}"}
    run_command("sh", "-eu", "-c", commands, env=environment | path, cwd=tmp_path)
    assert list((tmp_path / ".venv/lib").glob("python3*/site-packages/bundled_library-1.*.dist-info"))
    shutil.rmtree(tmp_path / ".venv")
    options = ("--no-cache", "--default-index", here.index_url("company/dev"))
    failed = run_command(
        "uv", "sync", "--frozen", *options, env=environment | path, cwd=tmp_path, status=None
    )
    assert "Connection refused" in failed.stderr


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None: ...


@pytest.fixture(scope="module")
def plain_url(site: Site) -> Iterator[str]:
    """What `python -m http.server --directory DIR` serves."""
    handler = functools.partial(_Quiet, directory=str(site.bundle))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever).start()
        yield f"http://127.0.0.1:{server.server_port}/simple/"
        server.shutdown()


@pytest.fixture(scope="module")
def nginx_url(site: Site) -> Iterator[str]:
    """What nginx serves with the configuration of docs/offline.md."""
    (text,) = (block.text for block in documents.blocks("offline.md") if block.language == "nginx")
    program, port, home = debian_packages.which("nginx"), free_port(), site.lock.parent
    assert program
    server = text.replace("127.0.0.1:8000", f"127.0.0.1:{port}").replace("/srv/bundle", str(site.bundle))
    (home / "nginx.conf").write_text(
        f"user root; daemon off; pid {home}/nginx.pid; error_log {home}/error.log;\nevents {{ }}\n"
        f"http {{ access_log off; {server} }}\n"
    )
    running = subprocess.Popen([program, "-c", str(home / "nginx.conf")], stderr=subprocess.DEVNULL)
    try:
        wait_until("nginx", (home / "nginx.pid").exists)
        yield f"http://127.0.0.1:{port}/simple/"
    finally:
        running.terminate()
        running.wait()


INSTALLERS: dict[str, list[str | Path]] = {
    "pip": [sys.executable, "-Im", "pip", "install", "--no-cache-dir"],
    "uv": [BIN / "uv", "pip", "install", "--python", sys.executable],
}


@pytest.mark.parametrize("client", INSTALLERS)
@pytest.mark.parametrize("form", ["folder", "plain", pytest.param("nginx", marks=pytest.mark.needs("nginx"))])
def test_installers_take_it_without_a_mirror(
    site: Site, request: pytest.FixtureRequest, client: str, form: str, tmp_path: Path
) -> None:
    """As a folder of files, as an index from a server that knows files alone, and with JSON from nginx."""
    if form == "folder":
        place = ["--no-index", "--find-links", str(site.bundle / "files")]
    else:
        place = ["--index-url", request.getfixturevalue(f"{form}_url")]
    pins = ["bundled-own", "bundled-library==1.5"]
    environment = clean_environment(tmp_path)
    done = run_command(
        *INSTALLERS[client], *place, "--target", tmp_path / "installed", *pins, env=environment
    )
    installed = {path.name for path in (tmp_path / "installed").glob("*.dist-info")}
    assert installed == {
        "bundled_own-1.0+local.1.dist-info",
        "bundled_app-1.0.dist-info",
        "bundled_library-1.5.dist-info",
    }
    assert "warning" not in done.stderr.lower() or "yanked" in done.stderr.lower()


@pytest.mark.needs("nginx")
def test_nginx_shows_both_forms_of_a_page(nginx_url: str) -> None:
    """What each of them asks for; the metadata file beside the wheel."""
    for accept, kind in ((JSON, JSON), ("text/html", "text/html"), (f"{JSON}, text/html;q=0.1", JSON)):
        answer = requests.get(f"{nginx_url}bundled-library/", headers={"Accept": accept}, timeout=10)
        assert (answer.status_code, answer.headers["Content-Type"]) == (200, kind)
    page = requests.get(f"{nginx_url}bundled-library/", headers={"Accept": JSON}, timeout=10).json()
    (file,) = page["files"]
    metadata = requests.get(urljoin(f"{nginx_url}bundled-library/", f"{file['url']}.metadata"), timeout=10)
    assert metadata.content == LIBRARY.metadata
    assert file["core-metadata"]["sha256"] == hashlib.sha256(LIBRARY.metadata).hexdigest()


def test_an_update_adds_and_writes_what_is_new_apart(site: Site, tmp_path: Path) -> None:
    """The large one stays outside, the small one is carried in."""
    full, delta, lock = tmp_path / "full", tmp_path / "delta", tmp_path / "requirements.txt"
    lock.write_text(f"bundled-app==1.0 --hash=sha256:{APP.sha256}\n")
    site.mirrored.mirror.run(BIN / "mirror", "bundle", "create", lock, "-o", full)
    done = site.mirrored.mirror.run(
        BIN / "mirror", "bundle", "update", full, site.lock, "-o", delta, "--json"
    )
    assert contents(full) == contents(site.bundle)
    new = {dist.filename for dist in ALL} - {APP.filename}
    made = json.loads(done.stdout)
    assert {each["filename"] for each in made["new"]} == new
    assert made["delta_fingerprint"] == hashlib.sha256((delta / "SHA256SUMS").read_bytes()).hexdigest()
    assert {path.name for path in (delta / "files").iterdir() if path.suffix != ".metadata"} == new
    run_command("sha256sum", "--check", "--strict", "SHA256SUMS", env=os.environ, cwd=delta)
    refused = site.mirrored.mirror.run(
        BIN / "mirror", "bundle", "update", full, site.lock, "-o", delta, status=1
    )
    assert f"Error: {delta} has another bundle." in refused.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["delta", "full", "requirements.txt"]


def test_other_platforms_and_pins_without_a_file(site: Site, tmp_path: Path) -> None:
    """The options are those of `mirror prefetch`."""
    command = ("bundle", "create", "setuptools==80.0", "-o", tmp_path / "made", "--json")
    for options, files in (
        (("--all-files",), {TOOL.filename, "setuptools-80.0-cp26-cp26m-win32.whl"}),
        (("--python", "3.12", "--platform", "windows-x86_64"), {TOOL.filename}),
    ):
        done = site.mirrored.mirror.run(BIN / "mirror", *command, *options)
        assert json.loads(done.stdout)["files"] == len(files)
        assert {path.name for path in (tmp_path / "made/files").glob("*.whl")} == files


def test_what_is_missing_is_named_and_nothing_is_written(site: Site, tmp_path: Path) -> None:
    """Half a bundle would be found out inside, where nobody can mend it."""
    lock = tmp_path / "requirements.txt"
    lock.write_text(
        "bundled-library==1.5\nbundled-app==7 --hash=sha256:00\nbundled-gone==1 --hash=sha256:00\n"
    )
    command = ("bundle", "create", lock, "-o", tmp_path / "made")
    done = site.mirrored.mirror.run(BIN / "mirror", *command, status=1)
    assert "bundled-app==7" in done.stderr
    assert "bundled-gone" in done.stderr
    assert "are not in the cache" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["requirements.txt"]


def test_something_else_is_never_replaced(site: Site, tmp_path: Path) -> None:
    """A folder of the user's."""
    (tmp_path / "home").mkdir()
    (tmp_path / "home/thesis").write_text("x")
    command = ("bundle", "create", site.lock, "-o", tmp_path / "home")
    done = site.mirrored.mirror.run(BIN / "mirror", *command, status=1)
    assert "is not a bundle" in done.stderr
    assert (tmp_path / "home/thesis").exists()


def test_killed_while_it_is_made_the_old_one_is_whole(site: Site, tmp_path: Path) -> None:
    """And the next run clears what is left."""
    target = tmp_path / "made"
    command: list[str | Path] = [BIN / "mirror", "bundle", "create", site.lock, "-o", target]
    site.mirrored.mirror.run(*command)
    before = contents(target)
    running = subprocess.Popen(command, env=site.mirrored.mirror.environment, cwd=tmp_path)
    while running.poll() is None and not (tmp_path / ".made.new").exists():
        pass
    running.kill()
    running.wait()
    assert contents(target) == before
    (target / "SHA256SUMS").write_text("damaged")
    site.mirrored.mirror.run(*command)
    assert [path.name for path in tmp_path.iterdir()] == ["made"]
    assert contents(target) == before


@pytest.fixture(scope="module")
def inside() -> Iterator[Mirrored]:
    """A new mirror that never had an upstream."""
    with Upstream() as nobody:
        settings = f'offline = true\n[upstream]\nurl = "{nobody.url}"\n'
        with running_mirror(settings) as mirror:
            yield Mirrored(nobody, mirror)
        assert (nobody.connections, nobody.requests) == (0, [])


def load(
    mirrored: Mirrored, bundle: Path, *options: str, status: int = 0
) -> subprocess.CompletedProcess[str]:
    return mirrored.mirror.run(BIN / "mirror", "bundle", "load", bundle, *options, status=status)


@dataclass(frozen=True)
class Loads:
    """A mirror into which a damaged bundle was loaded, then the whole one, and what was said each time."""

    mirrored: Mirrored
    damaged: subprocess.CompletedProcess[str]
    reserved: subprocess.CompletedProcess[str]  # the damaged one once more, when the own name was reserved
    whole: subprocess.CompletedProcess[str]


@pytest.fixture(scope="module")
def loads(site: Site, inside: Mirrored, tmp_path_factory: pytest.TempPathFactory) -> Loads:
    damaged = tmp_path_factory.mktemp("loads") / "damaged"
    shutil.copytree(site.bundle, damaged)
    (damaged / "files" / LIBRARY.filename).write_bytes(bytes(len(LIBRARY.content)))
    first = load(inside, damaged, status=1)
    inside.mirror.run(BIN / "mirror", "reserve", "bundled-own")
    second = load(inside, damaged, status=1)
    fingerprint = hashlib.sha256((site.bundle / "SHA256SUMS").read_bytes()).hexdigest()
    whole = load(inside, site.bundle, "--json", "--fingerprint", fingerprint)
    return Loads(inside, first, second, whole)


@pytest.fixture(scope="module")
def loaded(loads: Loads) -> Mirrored:
    return loads.mirrored


def test_a_damaged_bundle_is_refused_file_by_file(loads: Loads) -> None:
    """And all that is whole is loaded."""
    said = loads.damaged.stderr
    assert f"{LIBRARY.filename}: files/{LIBRARY.filename} has another content than its page says" in said
    assert "mirror reserve bundled-own" in said  # nobody can be asked whether it is public
    assert "5 files, 1 new" in loads.reserved.stderr
    assert "1 refused" in loads.reserved.stderr
    assert f"uploaded to company/dev: {OWN.filename}" in loads.reserved.stdout


def test_a_bundle_that_lists_something_else_than_ours_would_is_not_looked_at(
    site: Site, inside: Mirrored, tmp_path: Path
) -> None:
    """Whoever changed a page may have changed anything."""
    other = tmp_path / "other"
    shutil.copytree(site.bundle, other)
    page = other / "simple/bundled-app/index.html"
    page.write_text(page.read_text().replace("../../files/", "https://example.com/"))
    done = load(inside, other, status=1)
    assert "simple/bundled-app/index.html does not say what the other pages say" in done.stderr


def test_what_is_there_is_not_sent_again(site: Site, loads: Loads) -> None:
    """A load may be repeated after anything."""
    first, inside = json.loads(loads.whole.stdout), loads.mirrored
    assert (first["new"], first["here"], first["refused"]) == (1, 4, 0)
    assert load(inside, site.bundle).stdout.endswith("5 files, 0 new (0 B), 5 there already\n")
    refused = load(inside, site.bundle, "--fingerprint", "0" * 64, status=1)
    assert "is not the bundle with this fingerprint" in refused.stderr


def test_a_loaded_mirror_serves_pages_and_files_offline(site: Site, loaded: Mirrored) -> None:
    """As the mirror outside had them: who uploaded what, yanks, a project's status."""
    for dist in (APP, LIBRARY, SOURCE):
        outside, here = site.mirrored.entry(dist, "company/dev"), loaded.entry(dist, "company/dev")
        assert here["url"].startswith("../../../../root/pypi/+f/")
        for key in ("filename", "hashes", "size", "requires-python", "upload-time", "yanked"):
            assert here.get(key) == outside.get(key)
    assert loaded.entry(LIBRARY)["yanked"] == REASON
    assert loaded.page("bundled-source", "company/dev")["project-status"]["status"] == "archived"
    assert loaded.entry(OWN, "company/dev")["url"].startswith("../../../../company/dev/+f/")
    assert requests.get(loaded.url_of(LIBRARY), timeout=10).content == LIBRARY.content


@pytest.mark.parametrize("client", INSTALLERS)
def test_a_loaded_mirror_is_installed_from(loaded: Mirrored, client: str, tmp_path: Path) -> None:
    """Dependencies of own packages are among what was cached."""
    index = ["--index-url", loaded.mirror.index_url("company/dev"), "--target", str(tmp_path / "installed")]
    pins = ["bundled-own", "bundled-library==1.5"]
    run_command(*INSTALLERS[client], *index, *pins, env=clean_environment(tmp_path))
    assert (tmp_path / "installed/bundled_app").is_dir()


def test_what_the_mirror_knows_otherwise_is_refused(loaded: Mirrored, tmp_path: Path) -> None:
    """Another content under a known name; a name that is the company's; one of its own that is public."""
    root = ("root", loaded.mirror.credentials["root"])
    requests.put(f"{loaded.mirror.url}/+reserved/bundled-secret", auth=root, timeout=10).raise_for_status()
    bundle = tmp_path / "bundle"
    (bundle / "files").mkdir(parents=True)
    contents = {
        APP.filename: b"another app",
        "bundled_secret-9.tar.gz": b"reserved",
        OWN.filename: b"another own",
        "bundled_library-9.tar.gz": b"own here, public there",
    }
    own = {OWN.filename, "bundled_library-9.tar.gz"}
    files = []
    for name, content in contents.items():
        (bundle / "files" / name).write_bytes(content)
        digest = hashlib.sha256(content).hexdigest()
        project = listing.release(name)[0]
        files.append(listing.File(project, name, len(content), digest, own=name in own))
    for path, text in listing.texts(listing.Listing(tuple(files))).items():
        (bundle / path).parent.mkdir(parents=True, exist_ok=True)
        (bundle / path).write_bytes(text)
    found = json.loads(load(loaded, bundle, "--json", status=1).stdout)
    reasons = {each["filename"]: each["reason"] for each in found["files"]}
    assert found["refused"] == 4
    assert "had another file of this name before" in reasons[APP.filename]
    assert "reserved for packages of this server's own" in reasons["bundled_secret-9.tar.gz"]
    assert reasons[OWN.filename] == "company/dev has another file of this name"
    assert "mirror reserve bundled-library" in reasons["bundled_library-9.tar.gz"]
    assert loaded.entry(APP)["hashes"]["sha256"] == APP.sha256


def test_a_changed_file_that_was_accepted_outside_is_accepted_inside_by_name(
    site: Site, inside: Mirrored, tmp_path: Path
) -> None:
    """Who carries the disk may have changed the file: the administrator inside says it once more."""
    outside, name = site.mirrored, "bundled-swapped"
    old, new = wheel(name, "1.0"), wheel(name, "1.0", padding=10)

    def bundle(folder: str, dist: Dist) -> Path:
        outside.upstream.projects.pop(name, None)
        outside.upstream.add(name, dist)
        if dist is new:
            outside.refresh(name)
            path = f"root/pypi/{name}/{dist.filename}"
            outside.mirror.run(BIN / "mirror", "accept-changed", path)
        outside.mirror.run(BIN / "mirror", "bundle", "create", f"{name}==1.0", "-o", tmp_path / folder)
        return tmp_path / folder

    load(inside, bundle("old", old))
    changed = bundle("new", new)
    assert "--accept-changed and the file's name" in load(inside, changed, status=1).stderr
    assert requests.get(inside.url_of(old), timeout=10).content == old.content
    wrong = load(inside, changed, "--accept-changed", "other-1.0.zip", status=1)
    assert "has no file other-1.0.zip of an upstream" in wrong.stderr
    load(inside, changed, "--accept-changed", old.filename)
    assert inside.entry(old)["hashes"] == {"sha256": new.sha256}
    assert requests.get(inside.url_of(old), timeout=10).content == new.content
    assert load(inside, changed).stdout.endswith("1 files, 0 new (0 B), 1 there already\n")
    assert f"accept-changed: {old.filename}" in inside.mirror.run(BIN / "mirror", "audit-log").stdout


def test_only_root_may_load(inside: Mirrored) -> None:
    """A page of a cache is what all install from."""
    user = ("company", inside.mirror.credentials["company"])
    for path in ("root/pypi/+bundle/bundled-app", f"root/pypi/+bundle/bundled-app/{APP.filename}"):
        for auth, status in ((None, 401), (user, 403)):
            answer = requests.put(f"{inside.mirror.url}/{path}", data=b"x", auth=auth, timeout=10)
            assert answer.status_code == status


@dataclass(frozen=True)
class Signed:
    """A bundle of one attested file of the upstream, and of one of the company's own."""

    lock: Path
    bundle: Path


@pytest.fixture(scope="module")
def signed(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Signed:
    folder = tmp_path_factory.mktemp("signed")
    upstream, outside = site.mirrored.upstream, site.mirrored.mirror
    upstream.add(SIGNED_PROJECT, Listed(SIGNED, provenance=urljoin(upstream.url, "/integrity")))
    upstream.fail("/integrity", lambda _: Answer(200, {"Content-Type": "application/json"}, PROVENANCE))
    form = {
        ":action": "file_upload",
        "metadata_version": "2.1",
        "name": "bundled-own-signed",
        "version": "1.0",
    }
    answer = requests.post(
        f"{outside.url}/company/dev/",
        data={**form, "attestations": json.dumps([attestation(OWN_SIGNED)])},
        files={"content": (OWN_SIGNED.filename, OWN_SIGNED.content)},
        auth=("company", outside.credentials["company"]),
        timeout=30,
    )
    assert answer.status_code == 200, answer.text
    lock = folder / "requirements.txt"
    pins = (f"{SIGNED_PROJECT}==0.0.1.dev137 --hash=sha256:{SIGNED.sha256}", "bundled-own-signed==1.0")
    lock.write_text("".join(f"{pin}\n" for pin in pins))
    outside.run(BIN / "mirror", "bundle", "create", lock, "-o", folder / "bundle")
    return Signed(lock, folder / "bundle")


def rewritten(source: Path, target: Path, change: Callable[[File], File], **objects: bytes) -> Path:
    """A copy of a bundle as ours would be with changed files; `objects` are added by their sha256."""
    shutil.copytree(source, target)
    listed = disk.read(source)
    for sha256, content in objects.items():
        (target / listing.provenance_path(sha256)).write_bytes(content)
    for path, content in listing.texts(replace(listed, files=tuple(map(change, listed.files)))).items():
        (target / path).write_bytes(content)
    return target


def with_object(signed: Signed, target: Path, content: bytes) -> Path:
    """The bundle of someone who changed the provenance of the upstream's file, and all checksums."""
    sha256 = hashlib.sha256(content).hexdigest()

    def change(file: File) -> File:
        return file if file.own else replace(file, provenance=sha256)

    return rewritten(signed.bundle, target, change, **{sha256: content})


def test_a_bundle_carries_the_provenance_of_files(signed: Signed, site: Site, tmp_path: Path) -> None:
    """As the upstream has it, of any mirror; its checksum, and both forms of the page lead to it."""
    sha256 = hashlib.sha256(PROVENANCE).hexdigest()
    path = f"provenance/{sha256}.provenance"
    assert (signed.bundle / path).read_bytes() == PROVENANCE
    page = (signed.bundle / "simple" / SIGNED_PROJECT / "index.html").read_text()
    assert f'data-provenance="../../{path}"' in page
    run_command("sha256sum", "--check", "--strict", "SHA256SUMS", env=os.environ, cwd=signed.bundle)
    (own,) = (file.provenance for file in disk.read(signed.bundle).files if file.own)
    made = json.loads((signed.bundle / listing.provenance_path(str(own))).read_bytes())
    assert made["attestation_bundles"][0]["attestations"] == [attestation(OWN_SIGNED)]
    pin = f"{SIGNED_PROJECT}==0.0.1.dev137"
    for number, mirrored in enumerate((site.mirrored, site.other)):
        mirrored.mirror.run(BIN / "mirror", "bundle", "create", pin, "-o", tmp_path / str(number))
    assert contents(tmp_path / "0") == contents(tmp_path / "1")
    assert (tmp_path / "0" / path).read_bytes() == PROVENANCE


def test_an_update_writes_provenance_that_is_new(signed: Signed, site: Site, tmp_path: Path) -> None:
    """To a bundle that an earlier version has made, too; another one than before takes its place."""
    full, delta = tmp_path / "full", tmp_path / "delta"
    without = replace(disk.read(signed.bundle), format=1)
    without = replace(without, files=tuple(replace(file, provenance=None) for file in without.files))
    shutil.copytree(signed.bundle, full)
    shutil.rmtree(full / "provenance")
    for path, content in listing.texts(without).items():
        (full / path).write_bytes(content)
    site.mirrored.mirror.run(BIN / "mirror", "bundle", "update", full, signed.lock, "-o", delta)
    assert contents(full) == contents(delta) == contents(signed.bundle)
    other = with_object(signed, tmp_path / "other", b"{}")
    site.mirrored.mirror.run(BIN / "mirror", "bundle", "update", other, signed.lock)
    assert contents(other) == contents(signed.bundle)


def test_a_mirror_inside_requires_and_serves_provenance_that_a_bundle_brought(
    signed: Signed, inside: Mirrored, tmp_path: Path
) -> None:
    """It verifies it by itself, with nobody to ask; a bundle that somebody changed lets nothing in."""
    root = ("root", inside.mirror.credentials["root"])

    def shown(publisher: object) -> tuple[list[str], int, str]:
        """Require this publisher; the files on the page then, the status of the file, and the reason."""
        rules = {"require_provenance": [{"project": SIGNED_PROJECT, "publisher": publisher}]}
        requests.put(f"{inside.mirror.url}/+policies", json={"": rules}, auth=root, timeout=30)
        page = f"{inside.mirror.index_url('root/pypi')}{SIGNED_PROJECT}/"
        answer = requests.get(page, headers={"Accept": JSON}, timeout=30)
        listed = [file["filename"] for file in answer.json()["files"]] if answer.ok else []
        address = f"+f/{SIGNED.sha256[:3]}/{SIGNED.sha256[3:16]}/{SIGNED.filename}"
        served = requests.get(f"{inside.mirror.url}/root/pypi/{address}", timeout=30)
        return listed, served.status_code, served.text if served.status_code == 403 else ""

    damaged = tmp_path / "damaged"
    shutil.copytree(signed.bundle, damaged)
    (damaged / f"provenance/{hashlib.sha256(PROVENANCE).hexdigest()}.provenance").write_bytes(b"{}")
    garbage = with_object(signed, tmp_path / "garbage", b"{}")
    other = json.loads(PROVENANCE)
    other["attestation_bundles"][0]["attestations"][0]["envelope"]["signature"] = "MEUCIQC+AAAA"
    changed = with_object(signed, tmp_path / "changed", json.dumps(other).encode())
    inside.mirror.run(BIN / "mirror", "reserve", "bundled-own-signed")
    try:
        for bundle, words in ((damaged, "has another content"), (garbage, "no provenance object")):
            said = load(inside, bundle, status=1).stderr
            assert SIGNED.filename in said
            assert words in said
            assert shown(PUBLISHER)[:2] == ([], 503)
        load(inside, changed)
        listed, status, why = shown(PUBLISHER)
        assert (listed, status, "does not verify" in why) == ([], 403, True)
        load(inside, signed.bundle)
        assert shown(PUBLISHER)[:2] == ([SIGNED.filename], 200)
        listed, status, why = shown({"kind": "GitHub", "repository": "acme/other"})
        assert (listed, status, "not by GitHub acme/other" in why) == ([], 403, True)
    finally:
        requests.put(f"{inside.mirror.url}/+policies", json={}, auth=root, timeout=30)
    for dist, index in ((SIGNED, "root/pypi"), (OWN_SIGNED, "company/dev")):
        page = f"{inside.mirror.index_url('company/dev')}{dist.filename.partition('-')[0]}/"
        url = urljoin(page, inside.entry(dist, "company/dev")["provenance"])
        assert f"/{index}/+f/" in url
        found = requests.get(url, timeout=30)
        assert found.headers["Content-Type"].startswith("application/vnd.pypi.integrity.v1+json")
        if dist is SIGNED:
            assert found.content == PROVENANCE
        else:
            assert found.json()["attestation_bundles"][0]["attestations"] == [attestation(dist)]
