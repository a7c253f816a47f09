"""Releases and versions for completion in the shell: only what can be had in a second, else nothing."""

import json
from pathlib import Path

from packhorse import files
from release import index, reading
from release.agents import ssh
from release.config import release_toml, unchecked
from release.config.target.target import Target
from release.deploy import requests, source
from release.host.disk import journal
from release.host.disk.layout import SERVER_ROOT

SECONDS = 1.0
LARGEST = 2**18
"""Bytes of the end of a journal that are read."""


def releases(project: Path, name: str | None) -> list[int]:
    """The good releases that target `name` still has, newest first: here, or on a connected host.

    To connect takes too long for a key; with ControlPath in ~/.ssh/config a command before has done it.
    """
    if name is None:
        return []
    settings = release_toml.load(project)
    target = settings.target(name)
    if target.hosts:
        there = ssh.SshDestination(target.hosts[0], target.user or settings.app, settings.app)
        folder = SERVER_ROOT / settings.app
        look = f'tail -c {LARGEST} "$0/journal.jsonl"; echo; ls "$0/releases"'
        text = there.run_if_connected(["sh", "-c", look, str(folder)], SECONDS)
    else:
        folder = files.home() / "apps" / settings.app
        names = [path.name for path in (folder / "releases").glob("*")]
        text = "\n".join([files.last_lines(folder / "journal.jsonl", 1000), *names])
    kept = {int(line) for line in text.splitlines() if line.isdecimal() and len(line) < 10}
    return sorted(_good(text) & kept, reverse=True)


def _good(text: str) -> set[int]:
    """The releases whose last outcome is good; without a first line that is cut, and what is no entry."""
    states: dict[int, str] = {}
    for line in text.splitlines():
        try:
            entry = json.loads(line)
            if entry["state"] in {journal.GOOD, journal.FAILED, journal.TRIAL}:
                states[int(entry["release"])] = entry["state"]
        except (ValueError, KeyError, TypeError, OverflowError):
            continue
    return {number for number, state in states.items() if state == journal.GOOD}


def versions(project: Path, name: str | None, incomplete: str) -> list[str]:
    """NAME==VERSION of what the index of target `name` (None: of the project) has, newest first.

    NAME is what stands before "==" in `incomplete`, else the project of the folder.
    """
    found = unchecked.read(project)
    settings = release_toml.check(found)
    where = source.of_target(settings, settings.target(name) if name else Target(), files.home())
    typed, equals, _ = incomplete.partition("==")
    spelled = typed if equals else found.name
    wanted = requests.parse(spelled).project
    reader = reading.of([where.url], files.home(), SECONDS, reading.NoKeyring())
    shown = index.files(where.url, wanted, reader.get)
    listed = requests.versions((file for file in shown if file.own or not where.only), wanted)
    return [f"{spelled}=={version}" for version in sorted(listed, reverse=True)]
