"""Two commands at once on two hosts: each is done on both, or refused with a word on who is at work.

Only a deploy with what else changes something or runs, and commands that undo each other: all pairs would
take many minutes. test_pairs.py tries them all on one machine.
"""

import itertools
import json
import subprocess
from collections.abc import Iterator

import pytest

from release.host.disk import journal
from tests.support import hosts, ssh_target
from tests.support.servers import BIN
from tests.support.tiny_app import NAME, app_wheel

pytestmark = hosts.MARKS

VERSIONS = itertools.cycle(["0.3.0", "0.4.0"])
PROCFILE = "web: python -m tiny\nworker: sleep 1000\n"
JOB = '[[targets.production.jobs]]\nname = "cleanup"\nschedule = "yearly"\ncommand = "true"\n'
COMMANDS = {
    "deploy": ("deploy", "production"),
    "rollback": ("rollback", "production"),
    "config set": ("config", "set", "production", "X=y"),
    "scale 2": ("scale", "production", "web=2", "worker=2"),
    "ps restart": ("ps", "restart", "production"),
    "ps stop worker": ("ps", "stop", "production", "worker"),
    "stop": ("stop", "production"),
    "maintenance on": ("maintenance", "on", "production"),
    "logs drain": ("logs", "drain", "production", "--to", "journald"),
    "run": ("run", "production", "--all-hosts", "--", "true"),
    "jobs run": ("jobs", "run", "production", "cleanup"),
}
OPPOSITES = {
    "scale 1": ("scale", "production", "web=1", "worker=1"),
    "start": ("start", "production"),
    "ps start worker": ("ps", "start", "production", "worker"),
    "maintenance off": ("maintenance", "off", "production"),
    "logs drain off": ("logs", "drain", "production", "--to", "off"),
}
PAIRS = [
    *itertools.product(["deploy"], COMMANDS),
    ("rollback", "config set"),
    ("scale 2", "scale 1"),
    ("ps restart", "scale 2"),
    ("stop", "start"),
    ("ps stop worker", "ps start worker"),
    ("maintenance on", "maintenance off"),
    ("logs drain", "logs drain off"),
]


@pytest.fixture(scope="module")
def servers() -> Iterator[ssh_target.Servers]:
    with ssh_target.running("web1", "web2") as made:
        made.served.add(NAME, *(app_wheel(version, procfile=PROCFILE) for version in ("0.3.0", "0.4.0")))
        made.configure(target=JOB)
        for _ in range(2):
            made.deploy(next(VERSIONS))
        yield made


def begun(servers: ssh_target.Servers, name: str) -> "subprocess.Popen[str]":
    """The command `name`, begun."""
    more = (f"{NAME}=={next(VERSIONS)}",) if name.startswith("deploy") else ()
    return subprocess.Popen(
        [BIN / "release", *{**COMMANDS, **OPPOSITES}[name], *more],
        env=servers.environment,
        cwd=servers.project,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def state(host: hosts.Host) -> dict[str, object]:
    """What is on its disk, and may not differ between hosts."""
    folder = host.files / "srv/apps" / NAME
    entries = journal.read(folder / "journal.jsonl")
    number = (folder / "current").readlink().name
    assert journal.last_good(entries) == int(number)
    assert journal.TRIAL not in journal.states(entries).values()
    release, scale = folder / "releases" / number, folder / "scale.json"
    return {
        "release": number,
        "version": json.loads((release / "manifest.json").read_bytes())["version"],
        "config": (release / "config.json").read_bytes(),
        "scale": json.loads(scale.read_bytes()) if scale.exists() else None,
        **{name: (folder / name).exists() for name in ("maintenance.json", "stopped", "drain.json")},
    }


@pytest.mark.parametrize("pair", PAIRS, ids=" and ".join)
def test_two_at_once(servers: ssh_target.Servers, pair: tuple[str, str]) -> None:
    """Nobody talks to the others before each command."""
    both = [begun(servers, name) for name in pair]
    said = [process.communicate(timeout=120)[1] for process in both]
    for process, text in zip(both, said, strict=True):
        assert process.returncode == 0 or "is busy: " in text, text
    first, second = map(state, servers.hosts)
    assert first == second, said
    assert {row["state"] for row in servers.status()} == {"stopped" if first["stopped"] else "running"}
    for name, changed in (("start", first["stopped"]), ("maintenance off", first["maintenance.json"])):
        if changed:
            servers.release(*OPPOSITES[name])
