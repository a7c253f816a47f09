"""The order in which the threads of a working mirror take locks, as docs/architecture.md has it."""

import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
import requests

from mirror import config, state
from tests.support import lock_order
from tests.support.dists import licensed, wheel
from tests.support.lock_order import PAGES, WRITING
from tests.support.mirror_and_upstream import Mirrored, new_name
from tests.support.servers import BIN, Mirror, copy_data, free_port, short_home
from tests.support.team_indexes import new_team
from tests.support.upstream import Upstream

# Rules that need evidence, and a limit that the files of this test exceed.
SETTINGS = """
policy.licenses = {allow = ["MIT"], unknown = "allow"}
prune.max_size = "2M"
"""
# As `mirror serve --background`, with a devpi-server whose locks report themselves.
SERVE = """
import pathlib, sys
from functools import partial
from mirror import config, state
from mirror.serving import command, server

command.arguments = partial(command.arguments, program=["-I", *sys.argv[1:]])
home = pathlib.Path.cwd()
server.serve_in_background(config.load(home / "mirror.toml"), state.Folder(home))
"""
# Held for a moment, by code that waits for nobody: devpi's condition that wakes who waits for a commit,
# memories of stages, of pages and of devpi, and logging.
MOMENTS = {
    "devpi_server/keyfs.py",
    "devpi_server/log.py",
    "devpi_server/main.py",
    "logging/__init__.py",
    "mirror/plugin/read_cache.py",
    "repoze/lru/__init__.py",
}


@pytest.fixture
def report(tmp_path: Path) -> Path:
    return tmp_path / "report.jsonl"


@pytest.fixture
def recorded(upstream: Upstream, report: Path) -> Iterator[Mirrored]:
    """A mirror whose locks report themselves."""
    with short_home() as home:
        settings = f'port = {free_port()}\n{SETTINGS}[upstream]\nurl = "{upstream.url}"\n'
        (home / "mirror.toml").write_text(settings)
        copy_data(state.Folder(home))
        mirror = Mirror(config.load(home / "mirror.toml").url, home)
        mirror.run(sys.executable, "-c", SERVE, lock_order.__file__, report, cwd=home)
        try:
            mirror.run(BIN / "mirror", "init", cwd=home)
            yield Mirrored(upstream, mirror)
        finally:
            mirror.run(BIN / "mirror", "stop")


def _use(mirrored: Mirrored) -> None:
    """Read pages and files, one with other metadata than its upstream says; upload, yank, promote, delete."""
    team, own, cached = new_team(mirrored), new_name("own"), new_name("cached")
    untrue = replace(licensed(cached, "MIT"), metadata=licensed(cached, "MIT OR BSD-2-Clause").metadata)
    for dist in (untrue, wheel(cached, "2.0", padding=400_000)):
        mirrored.upstream.add(cached, dist)
        mirrored.refresh(cached)
        for url in (mirrored.url_of(dist), mirrored.url_of(dist, "company/dev")):
            for end in ("", ".metadata"):
                requests.get(f"{url}{end}", timeout=30).raise_for_status()
    team.upload(wheel(own, "1.0"))
    team.upload(wheel(own, "1.1"))
    assert len(team.shown(own)) == 2
    team.call("PUT", f"{team.name}/dev/{own}/1.0/+yank", json={"reason": "broken"})
    pushed = {"name": own, "version": "1.0", "targetindex": f"{team.name}/prod"}
    team.call("POST", f"{team.name}/dev", json=pushed)
    team.call("DELETE", f"{team.name}/dev/{own}/1.1")
    assert len(team.shown(own)) == 1


def test_no_two_threads_take_two_locks_in_opposite_order(recorded: Mirrored, report: Path) -> None:
    """Both would wait for ever. Whoever holds the lock of pages waits for no thread and no upstream."""
    home = recorded.mirror.home
    text = (home / "mirror.toml").read_text()
    with ThreadPoolExecutor(6) as pool:
        used = [pool.submit(_use, recorded) for _ in range(6)]
        for allowed in ('["MIT", "BSD-*"]', '["MIT"]'):
            (home / "mirror.toml").write_text(text.replace('["MIT"]', allowed))
            recorded.mirror.run(BIN / "mirror", "init", cwd=home)
        for each in used:
            each.result()
    recorded.mirror.run(BIN / "mirror", "prune", "--keep-last", "1", "--yes", cwd=home)
    order = lock_order.read(report)
    assert lock_order.circle(order) == []
    modules = {tuple(name.partition(":")[0] for name in pair): stack for pair, stack in order.items()}
    assert {(WRITING, PAGES), ("mirror/plugin/evidence/store.py", PAGES)} <= modules.keys()
    below = {wanted: stack for (held, wanted), stack in modules.items() if held == PAGES}
    assert {wanted: stack for wanted, stack in below.items() if wanted not in MOMENTS} == {}
