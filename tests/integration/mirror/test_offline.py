"""`mirror serve --offline`: nothing leaves the machine, and what is cached is enough to install."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urljoin

import pytest
import requests

from tests.support.dists import licensed, sdist, wheel
from tests.support.mirror_and_upstream import Mirrored, mirror_of
from tests.support.servers import BIN, run_command
from tests.support.upstream import JSON, Listed, Upstream

APP = wheel("offline-app", "1.0", requires=["offline-library>=1"], padding=50_000)
LIBRARY = wheel("offline-library", "1.5", padding=50_000)
OWN = wheel("offline-own", "1.0", requires=["offline-app"])
FREE, OWED = licensed("offline-free", "MIT"), licensed("offline-owed", "AGPL-3.0-only")
SOURCE = sdist("offline-source", "1.0", build_requires=[])


@pytest.fixture(scope="module")
def offline(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mirrored]:
    """A mirror that was filled by `mirror prefetch`, and got an upload, before it went offline."""
    with Upstream() as upstream, mirror_of(upstream) as mirrored:
        upstream.metadata = False
        upstream.add("offline-app", APP, wheel("offline-app", "2.0"))
        upstream.add(
            "offline-library", LIBRARY, wheel("offline-library", "1.6"), wheel("offline-library", "0.9")
        )
        upstream.add("offline-source", SOURCE)
        upstream.add("offline-free", FREE)
        upstream.add("offline-owed", Listed(OWED, provenance=urljoin(upstream.url, "/integrity")))
        upstream.add("offline-never-asked", wheel("offline-never-asked", "1.0"))
        upstream.add("offline-only-seen", wheel("offline-only-seen", "1.0"))
        for name in ("offline-only-seen", "offline-free", "offline-owed"):
            mirrored.page(name)
        for dist in (FREE, OWED):
            assert requests.get(mirrored.url_of(dist), timeout=30).content == dist.content
        folder = tmp_path_factory.mktemp("offline")
        lock = folder / "requirements.txt"
        lock.write_text("offline-app==1.0\noffline-library==1.5\noffline-source==1.0\n")
        mirrored.mirror.run(BIN / "mirror", "prefetch", lock)
        (folder / OWN.filename).write_bytes(OWN.content)
        mirrored.upload(folder / OWN.filename)
        mirrored.restart("--offline")
        upstream.forget()
        yield mirrored
        assert (upstream.connections, upstream.requests) == (0, [])


def test_it_is_said_why_little_is_listed(offline: Mirrored) -> None:
    """The rules let all files pass, and pages show few."""
    said = offline.mirror.run(BIN / "mirror", "why", "offline-app").stdout
    assert "this mirror is offline: pages show only the files that are in its cache" in said
    nothing = offline.mirror.run(BIN / "mirror", "why", "offline-never-asked", status=1).stdout
    assert "this mirror is offline, and has no page of offline-never-asked" in nothing
    assert "mirror bundle load" in nothing


@pytest.mark.parametrize("client", ["pip", "uv"])
def test_what_is_cached_resolves_and_installs(offline: Mirrored, client: str, tmp_path: Path) -> None:
    """The newest version that is here, not the newest that there was."""
    target = tmp_path / "installed"
    installers: dict[str, list[str | Path]] = {
        "pip": [sys.executable, "-Im", "pip", "install", "--no-cache-dir"],
        "uv": [BIN / "uv", "pip", "install", "--python", sys.executable],
    }
    options: list[str | Path] = [
        "--index-url",
        offline.mirror.index_url("company/dev"),
        "--target",
        target,
        "offline-own",
    ]
    environment = {**offline.mirror.environment, "UV_CACHE_DIR": str(tmp_path / "cache")}
    run_command(*installers[client], *options, env=environment)
    installed = {path.name for path in target.glob("*.dist-info")}
    assert installed == {
        "offline_own-1.0.dist-info",
        "offline_app-1.0.dist-info",
        "offline_library-1.5.dist-info",
    }


def test_pages_list_only_what_can_be_delivered_with_its_metadata(offline: Mirrored) -> None:
    """A resolver would choose a file that is not here, and fail."""
    (entry,) = offline.page("offline-library", "company/dev")["files"]
    assert (entry["filename"], entry["size"]) == (LIBRARY.filename, len(LIBRARY.content))
    assert set(entry["core-metadata"]) == {"sha256"}
    url = offline.url_of(LIBRARY)
    assert requests.get(f"{url}.metadata", timeout=10).content == LIBRARY.metadata
    assert requests.get(url, timeout=10).content == LIBRARY.content
    assert [file["filename"] for file in offline.page("offline-source")["files"]] == [SOURCE.filename]


@pytest.mark.parametrize("project", ["offline-never-asked", "offline-only-seen"])
@pytest.mark.parametrize("index", ["root/pypi", "company/dev"])
def test_anything_else_is_503_and_says_offline(offline: Mirrored, project: str, index: str) -> None:
    """Not 404: it may well exist."""
    url = f"{offline.mirror.index_url(index)}{project}/"
    for accept in (JSON, "text/html"):
        answer = requests.get(url, headers={"Accept": accept}, timeout=10)
        assert (answer.status_code, "offline" in answer.text) == (503, True)


@pytest.mark.parametrize("name", ["offline-library", "offline-never-asked"])
@pytest.mark.parametrize("version", ["1.6", "7.0"])
def test_a_file_that_is_not_here_is_503_and_says_offline(offline: Mirrored, name: str, version: str) -> None:
    """Its address may stand in a lock, also one that is newer than the page that is here."""
    absent = wheel(name, version)
    path = f"root/pypi/+f/{absent.sha256[:3]}/{absent.sha256[3:16]}/{absent.filename}"
    for suffix in ("", ".metadata"):
        answer = requests.get(f"{offline.mirror.url}/{path}{suffix}", timeout=10)
        assert (answer.status_code, "offline" in answer.text) == (503, True)


def test_the_commands_that_would_ask_an_upstream_say_that_the_mirror_is_offline(offline: Mirrored) -> None:
    """And ask nobody, as the fixture sees."""
    run = offline.mirror.run
    assert "upstream   offline: no upstream is asked" in run(BIN / "mirror", "status").stdout
    wanted = ("offline-library==1.6", "offline-library==1.5", "offline-never-asked>=1")
    failed = run(BIN / "mirror", "prefetch", *wanted, status=1).stderr
    assert "Error: This mirror is offline: 2 of 3 files are not in the cache." in failed
    assert "offline-library==1.6: this mirror, which is offline, has no such version" in failed
    assert "Error: This mirror is offline" in run(BIN / "mirror", "refresh", status=1).stderr


def test_verify_says_what_installs_without_a_question_to_the_upstream(
    offline: Mirrored, tmp_path: Path
) -> None:
    """Of the mirror that is offline here; and of what an installer would take, with all it depends on."""
    lock = tmp_path / "requirements.txt"
    lock.write_text(f"offline-app==1.0 --hash=sha256:{APP.sha256}\noffline-library>=1\n")
    done = offline.mirror.run(BIN / "mirror", "verify", lock, "offline-own", "offline-source==1.0")
    assert done.stdout.startswith("4 files with 1")
    done = offline.mirror.run(BIN / "mirror", "verify", "offline-library==1.6", "offline-app", status=1)
    assert "offline-library==1.6" in done.stderr


@contextmanager
def _policy(offline: Mirrored, **rules: object) -> Iterator[None]:
    """A policy of all indexes, in force inside the block; `mirror init` puts it in force by the same call."""
    root = ("root", offline.mirror.credentials["root"])

    def declare(settings: object) -> None:
        url = f"{offline.mirror.url}/+policies"
        requests.put(url, json=settings, auth=root, timeout=30).raise_for_status()

    declare({"": rules})
    try:
        yield
    finally:
        declare({})


def _listed(offline: Mirrored, project: str) -> list[str]:
    return [file["filename"] for file in offline.page(project, "company/dev")["files"]]


def _why(offline: Mirrored, project: str) -> str:
    return offline.mirror.run(BIN / "mirror", "why", project, status=1).stdout


def test_licenses_are_read_of_the_wheels_that_are_here(offline: Mirrored) -> None:
    """Offline, too, a rule decides by what is known; of a wheel that is not here it says why it is not."""
    rule = {"allow": ["MIT"], "deny": [], "unknown": "deny", "exempt": []}
    with _policy(offline, licenses=rule):
        assert _listed(offline, "offline-free") == [FREE.filename]
        assert requests.get(offline.url_of(FREE, "company/dev"), timeout=30).content == FREE.content
        assert _listed(offline, "offline-owed") == _listed(offline, "offline-app") == []
        assert "has the license AGPL-3.0-only, which is not allowed here" in _why(offline, "offline-owed")
        unknown = _why(offline, "offline-app")
        assert (
            "no license that can be told from its metadata: take another project, or ask to exempt" in unknown
        )
        assert _listed(offline, "offline-only-seen") == []
        assert "offline" in _why(offline, "offline-only-seen")
    assert _listed(offline, "offline-owed") == [OWED.filename]


def test_a_provenance_that_is_not_here_is_not_asked_for(offline: Mirrored) -> None:
    """Nothing of these projects passes offline, unless it was verified before, and that is said."""
    expected = {"kind": "GitHub", "repository": "acme/demo"}
    named = [{"project": f"offline-{name}", "publisher": expected} for name in ("free", "owed")]
    with _policy(offline, require_provenance=named):
        assert _listed(offline, "offline-free") == _listed(offline, "offline-owed") == []
        assert f"the upstream has no provenance of {FREE.filename}" in _why(offline, "offline-free")
        assert "could not be fetched: offline: /integrity is not in the cache" in _why(
            offline, "offline-owed"
        )
        address = f"/company/dev/+f/{OWED.sha256[:3]}/{OWED.sha256[3:16]}/{OWED.filename}"
        answer = requests.get(f"{offline.mirror.url}{address}", timeout=30)
        assert (answer.status_code, "rule require_provenance" in answer.text) == (403, True)
