"""Look up everything that our locks pin in a file of known vulnerabilities, without a network.

`make lint` runs it. `make advisories` renews the file from pypa/advisory-database (OSV's schema).
"""

import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]
from packaging.version import Version

ROOT = Path(__file__).parents[2]
LOCKS = (
    ROOT / "requirements-dev.lock",
    ROOT / "ansible/roles/mirror/files/requirements.txt",
    ROOT / "ansible/roles/app_host/files/toolbox.txt",
)
FILE = Path(__file__).with_suffix(".json")
DATABASE = "https://github.com/pypa/advisory-database"
# Advisories that do not touch us, each with the reason.
ACCEPTED = {
    "PYSEC-2022-42969": "py: a slow pattern for the output of `svn info`; devpi reads no Subversion",
}

Advisory = dict[str, Any]


def pinned(lock: str) -> Iterator[tuple[str, Version]]:
    """Name and version of every line of a lock."""
    for name, version in re.findall(r"^([a-z0-9-]+)==([^\s;\\]+)", lock, re.MULTILINE):
        yield name, Version(version)


def affects(advisory: Advisory, version: Version) -> bool:
    """Whether the advisory names `version`, or a range with it (OSV's algorithm of evaluation)."""
    if str(version) in advisory["versions"]:
        return True
    inside = False
    for kind, bound in advisory["events"]:
        if kind == "introduced" and (bound == "0" or version >= Version(bound)):
            inside = True
        elif (kind == "fixed" and version >= Version(bound)) or (
            kind == "last_affected" and version > Version(bound)
        ):
            inside = False
    return inside


def found(known: dict[str, Any], lock: str) -> Iterator[str]:
    """A sentence for every pinned version with an advisory, and for every name that was never looked up."""
    for name, version in pinned(lock):
        if name not in known["names"]:
            yield f"{name} is not in {FILE.name}: run `make advisories`"
        for advisory in known["advisories"]:
            if advisory["name"] == name and advisory["id"] not in ACCEPTED and affects(advisory, version):
                yield f"{name} {version} has {advisory['id']} ({', '.join(advisory['aliases'])})"


def relevant(database: Path, names: set[str]) -> Iterator[Advisory]:
    """The advisories of a checkout of the database about packages in `names`, that were not withdrawn."""
    for path in sorted(path for name in names for path in (database / "vulns" / name).glob("*.yaml")):
        content = yaml.safe_load(path.read_text())
        for affected in content["affected"] if "withdrawn" not in content else []:
            yield {
                "id": content["id"],
                "aliases": content.get("aliases", []),
                "name": affected["package"]["name"].lower(),
                "events": [
                    next(iter(event.items()))
                    for part in affected.get("ranges", [])
                    if part["type"] == "ECOSYSTEM"
                    for event in part["events"]
                ],
                "versions": affected.get("versions", []) if not affected.get("ranges") else [],
            }


def renew(database: Path) -> None:
    """Write the file anew from a checkout of the database."""
    names = {name for lock in LOCKS for name, _ in pinned(lock.read_text())}
    log = ["git", "-C", str(database), "log", "-1", "--format=%H %cI"]
    commit, date = subprocess.run(log, capture_output=True, text=True, check=True).stdout.split()
    content = {
        "source": f"{DATABASE} at {commit}",
        "date": date[:10],
        "names": sorted(names),
        "advisories": list(relevant(database, names)),
    }
    FILE.write_text(json.dumps(content, indent=1) + "\n")


def main(arguments: list[str]) -> None:
    """Check the locks, or with `renew` write the file first: from a checkout, else from a new clone."""
    if arguments[:1] == ["renew"]:
        with tempfile.TemporaryDirectory() as scratch:
            if not arguments[1:]:
                subprocess.run(["git", "clone", "--quiet", "--depth=1", DATABASE, scratch], check=True)  # noqa: S607
            renew(Path(arguments[1] if arguments[1:] else scratch))
    known = json.loads(FILE.read_text())
    problems = sorted({line for lock in LOCKS for line in found(known, lock.read_text())})
    age = datetime.now(UTC) - datetime.fromisoformat(f"{known['date']}T00:00:00+00:00")
    print(f"advisories of {known['date']}, {age.days} days old: `make advisories` renews them")  # noqa: T201
    sys.exit("\n".join(problems) or 0)


if __name__ == "__main__":
    main(sys.argv[1:])
