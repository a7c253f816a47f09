"""Costs of policies: processor time of a large page that is not cached, with them and without."""

import contextlib
import hashlib
import json
import os
import statistics
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import psutil
import requests

from bench.tools.rows import Row
from mirror.plugin.evidence.verifier import Verifier
from mirror.plugin.upstream.file_records.first_seen import FirstSeen
from tests.support.dists import Dist, wheel
from tests.support.faults import Answer
from tests.support.servers import BIN, Mirror, running_mirror
from tests.support.upstream import JSON, Listed, Upstream

PAGES, FILES, VERIFIED = 20, 2400, 50
ATTESTED = Path("tests/support/attested/circleci_sign_publish_example-0.0.1.dev137-py3-none-any.whl")
POLICIES = {
    "without": "",
    "rules on what pages say": """
policy.deny = ["evil-*", "other==1.0"]
policy.hide_yanked = true
policy.minimum_age = "7d"
policy.sdists = ["other"]
""",
    "provenance of other projects": 'policy.require_provenance = ["other"]\n',
    "licenses": 'policy.licenses.allow = ["MIT"]\n',
}


class _Quick(Upstream):
    """Answers what was made before: pages of thousands of files, and metadata."""

    def __init__(self, projects: Mapping[str, list[Dist]]) -> None:
        super().__init__()
        self._made: dict[str, Answer] = {}
        for name, dists in projects.items():
            self.add(
                name, *(Listed(dist, provenance=f"{self.url}{dist.filename}/provenance") for dist in dists)
            )
            self._made[f"/simple/{name}/"] = super().answer(f"/simple/{name}/", {"accept": JSON})
            for dist in dists:
                self._made[f"{self.file_path(dist)}.metadata"] = self._file(dist.metadata, {})

    def answer(self, path: str, headers: Mapping[str, str]) -> Answer:
        return self._made.get(path) or super().answer(path, headers)


def run() -> Iterator[Row]:
    """Mirrors of one upstream, asked in turns for pages that none has.

    Its pages have a provenance for each file, and metadata files of 2 kB, as a usual index has. Only metadata
    tell a license: those of the first and the last wheel are fetched, checked and kept, two for a page,
    however many files it has. No rule can decide without. That takes a third of the time of such a page,
    once; a page that is rendered again knows. A provenance is verified once for each file, by a child.
    """
    with contextlib.ExitStack() as open_ones:
        upstream = open_ones.enter_context(_Quick({f"large{n}": _wheels(f"large{n}") for n in range(PAGES)}))
        address = f'[upstream]\nurl = "{upstream.url}"\n'
        mirrors = {
            name: open_ones.enter_context(running_mirror(f"{policies}{address}"))
            for name, policies in POLICIES.items()
        }
        seconds = _seconds(mirrors)
    without = seconds.pop("without")
    for name, ours in seconds.items():
        title = f"policies: page of {FILES} files, {name}"
        yield Row(title, "s", ours, without, ours / without, "<= 1.1")
    note = _note()
    yield Row("policies: note of what was first seen", "s", note, without, note / without, "<= 0.05")
    verified = _verified()
    yield Row("policies: provenance of a file verified", "s", verified, None, verified, "<= 0.01")


def _wheels(name: str) -> list[Dist]:
    return [
        wheel(name, f"1.{minor}", stated_metadata=_metadata(name, f"1.{minor}")) for minor in range(FILES)
    ]


def _metadata(name: str, version: str) -> bytes:
    python = [f"Classifier: Programming Language :: Python :: 3.{minor}" for minor in range(8, 15)]
    head = [
        "Metadata-Version: 2.4",
        f"Name: {name}",
        f"Version: {version}",
        "License-Expression: MIT",
        *python,
    ]
    return "\n".join([*head, "", "A description of what it does. " * 60]).encode()


def _seconds(mirrors: Mapping[str, Mirror]) -> dict[str, float]:
    """Processor time of a page: of each server, and of its children which read pages."""
    pids = {name: _pid(mirror) for name, mirror in mirrors.items()}
    for mirror in mirrors.values():
        _get(mirror, 0)  # starts the processes
    before = {name: _used(pid) for name, pid in pids.items()}
    for number in range(1, PAGES):
        for mirror in mirrors.values():
            _get(mirror, number)
    return {name: (_used(pid) - before[name]) / (PAGES - 1) for name, pid in pids.items()}


def _pid(mirror: Mirror) -> int:
    return int(json.loads(mirror.run(BIN / "mirror", "status", "--json").stdout)["pid"])


def _get(mirror: Mirror, number: int) -> None:
    url = f"{mirror.index_url('root/pypi')}large{number}/"
    answer = requests.get(url, headers={"Accept": JSON}, timeout=60)
    answer.raise_for_status()
    if len(answer.json()["files"]) != FILES:
        raise ValueError(f"{url}: {len(answer.json()['files'])} files instead of {FILES}")


def _used(pid: int) -> float:
    server = psutil.Process(pid)
    times = [process.cpu_times() for process in (server, *server.children())]
    return sum(each.user + each.system for each in times)


def _note() -> float:
    """Seconds for the note of one such page."""
    with tempfile.TemporaryDirectory() as folder:
        seen, taken = FirstSeen(Path(folder)), []
        for number in range(PAGES):
            names = [f"large{number}-1.{minor}-py3-none-any.whl" for minor in range(FILES)]
            begin = time.process_time()
            seen.note("root/pypi", f"large{number}", names, time.time())
            taken.append(time.process_time() - begin)
        return statistics.median(taken)


def _verified() -> float:
    """Processor time until the attestations of one file are verified."""
    verifier = Verifier(Path("/none"))
    content, provenance = (
        ATTESTED.read_bytes(),
        ATTESTED.with_name(f"{ATTESTED.name}.provenance").read_bytes(),
    )
    sha256 = hashlib.sha256(content).hexdigest()
    verifier.verify(ATTESTED.name, sha256, provenance)  # starts the process
    before = _used(os.getpid())
    for _ in range(VERIFIED):
        if problem := verifier.verify(ATTESTED.name, sha256, provenance).problem:
            raise ValueError(problem)
    used = _used(os.getpid()) - before
    verifier.end()
    return used / VERIFIED
