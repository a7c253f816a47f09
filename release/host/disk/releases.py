"""The releases on disk: their folders and manifests, the `current` link, their removal."""

import contextlib
import json
import os
import pkgutil
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import asdict, fields, replace
from pathlib import Path

from packhorse import files, process
from packhorse.errors import PackhorseError
from release.host.disk.layout import SERVER_ROOT, Layout
from release.host.disk.manifest import NO_CODE, Content, File, Health, Job, ReleaseManifest, ReplacementRule

# AF_UNIX addresses have 108 bytes, the last of which is NUL (unix(7)).
LONGEST_SOCKET = 107
# Paths that circus reads unchanged from an ini file: no quotes, no " ;" comment, no "$(" or "((" to expand.
_PLAIN = re.compile(r"/[\w@%+=:,./~-]*")
READY = "READY"


def create_folders(layout: Layout) -> None:
    """Create the folders of the application. Raises PackhorseError for paths that circus could not use.

    On a server, provisioning has made the folder of the sockets, which nginx may pass through.
    """
    for path in (layout.folder, layout.sockets):
        if not _PLAIN.fullmatch(str(path)):
            raise PackhorseError(
                f"{path}: circus would misread a character in this path.",
                "Set PACKHORSE_HOME to a folder named with letters, digits and ./_- only.",
            )
    longest = layout.slot("a")
    if len(os.fsencode(longest)) > LONGEST_SOCKET:
        raise PackhorseError(
            f"{longest}: a socket's path has at most {LONGEST_SOCKET} bytes.",
            "Set PACKHORSE_HOME to a folder with a shorter path.",
        )
    for folder in (layout.releases, layout.watchers, layout.logs, layout.cache, layout.files):
        folder.mkdir(parents=True, exist_ok=True)
    layout.data.mkdir(exist_ok=True, mode=0o700)
    layout.sockets.mkdir(parents=True, exist_ok=True, mode=0o700)
    if layout.root != SERVER_ROOT:
        layout.sockets.chmod(0o700)


def numbers(layout: Layout) -> list[int]:
    """The numbers of all release folders, complete or not, ascending."""
    if not layout.releases.is_dir():
        return []
    return sorted(int(entry.name) for entry in layout.releases.iterdir() if entry.name.isdecimal())


def ready(layout: Layout) -> list[int]:
    """The numbers of the complete releases, ascending."""
    return [number for number in numbers(layout) if is_ready(layout, number)]


def current(layout: Layout) -> int | None:
    """The release that should run, None before the first.

    Raises PackhorseError when `current` is something else than a symlink: replacing it could lose data.
    """
    try:
        return int(layout.current.readlink().name)
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise PackhorseError(
            f"{layout.current} is not a symlink to a release.", "Look at what it is, and move it away."
        ) from error


def require_current(layout: Layout) -> int:
    """The current release. Raises PackhorseError before the first."""
    number = current(layout)
    if number is None:
        raise PackhorseError(
            f"{layout.app} has never been deployed here.", "Deploy it: release deploy TARGET"
        )
    return number


def switch(layout: Layout, number: int | None) -> None:
    """Point `current` to release `number`, in one step; None: remove it."""
    current(layout)
    if number is None:
        layout.current.unlink(missing_ok=True)
    else:
        scratch = layout.folder / ".current"
        scratch.unlink(missing_ok=True)
        scratch.symlink_to(Path(layout.releases.name) / str(number))
        scratch.replace(layout.current)
    files.sync_folder(layout.folder)


def active(layout: Layout) -> int | None:
    """The release that should run now: the current one, None while the application is stopped."""
    return None if layout.stopped.exists() else current(layout)


def write_manifest(
    layout: Layout, manifest: ReleaseManifest, env: dict[str, str], config: dict[str, str] | None = None
) -> None:
    """Write the manifest, the programs of runtime/, and values of the configuration, for its users alone."""
    folder = layout.release(manifest.release)
    for name in ("launch.py", "once.py", "shim.py", "forward.py"):
        files.write_whole(folder / name, pkgutil.get_data("release.host.runtime", name) or b"")
    mode, group = _for_users(layout)
    for name, values in (("env.json", env), ("config.json", config or {})):
        files.write_whole(folder / name, json.dumps(values).encode(), mode, group)
    files.write_whole(folder / "manifest.json", json.dumps(asdict(manifest), indent=2).encode())


def _for_users(layout: Layout) -> tuple[int, int]:
    """Mode and group of a file for the application's users alone."""
    return (0o640, layout.run_group) if layout.separate else (0o600, -1)


def read_manifest(layout: Layout, number: int) -> ReleaseManifest:
    """The manifest of the complete release `number`."""
    table = json.loads((layout.release(number) / "manifest.json").read_bytes())
    table["health"] = Health(**table["health"])
    table["rules"] = {name: ReplacementRule(**rule) for name, rule in table["rules"].items()}
    table["jobs"] = [Job(**job) for job in table.get("jobs", [])]
    known = {field.name for field in fields(ReleaseManifest)}  # a newer version may have written more
    return ReleaseManifest(**{key: value for key, value in table.items() if key in known})


def read_env(layout: Layout, number: int) -> dict[str, str]:
    """The configuration values that processes of release `number` get."""
    folder = layout.release(number)
    return {**read_values(folder / "env.json"), **read_values(folder / "config.json")}


def read_values(path: Path) -> dict[str, str]:
    """Values in a file of the configuration: variable -> value; a file that is missing has none."""
    try:
        values: dict[str, str] = json.loads(path.read_bytes())
    except FileNotFoundError:
        return {}
    return values


def content(layout: Layout, number: int | None) -> Content:
    """Code and configuration of release `number`, which is complete; None: what the first deploy takes."""
    if number is None:
        return replace(NO_CODE, config=read_values(layout.config))
    manifest = read_manifest(layout, number)
    offered = manifest.offered or {manifest.sha256: manifest.filename}
    return Content(
        project=manifest.project,
        version=manifest.version,
        files=[File(manifest.project, filename, sha256) for sha256, filename in offered.items()],
        installer=manifest.installer,
        health=manifest.health,
        graceful_timeout=manifest.graceful_timeout,
        rules=manifest.rules,
        env=read_values(layout.release(number) / "env.json"),
        index=manifest.index,
        config=read_values(layout.release(number) / "config.json"),
        required=manifest.required,
        python=manifest.required_python,
        jobs=manifest.jobs,
        static=manifest.static,
    )


class Sync:
    """A sync of all that was written so far, in the background: it takes as long as the disk is busy."""

    def __init__(self, layout: Layout) -> None:
        # Of that file system only; a virtualenv has thousands of files, too many for one fsync each.
        self.folder = layout.folder
        self.process = subprocess.Popen(
            ["/bin/sync", "--file-system", str(self.folder)], stderr=subprocess.PIPE, text=True
        )

    def wait(self) -> None:
        """Wait until all of it would survive a power cut. Raises PackhorseError."""
        _, stderr = self.process.communicate()
        if self.process.returncode:
            raise process.failure(
                process.Finished(self.process.returncode, "", stderr),
                f"What was installed in {self.folder} did not reach the disk.",
                "The output above names the cause; look at the disk, and deploy again.",
            )


def mark_ready(layout: Layout, number: int) -> None:
    """Mark release `number` as complete: the last file written into its folder.

    One-offs lock it: whoever may read it may do so for ever (flock(2)).
    """
    files.write_whole(layout.release(number) / READY, b"", *_for_users(layout))


def protect(layout: Layout, number: int) -> None:
    """Let nothing be written into the folders of release `number`: what is there goes with it.

    On a server another user runs the processes. Here the same one does, and would lose what they write.
    """
    for folder, _, _ in os.walk(layout.release(number)):
        Path(folder).chmod(0o555)


def is_ready(layout: Layout, number: int) -> bool:
    """Whether release `number` may be run."""
    return (layout.release(number) / READY).exists()


@contextlib.contextmanager
def unused(layout: Layout, number: int) -> Iterator[bool]:
    """Whether no one-off runs with release `number`; inside the block none starts. See runtime/oneoff.py."""
    try:
        ready = os.open(layout.release(number) / READY, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:  # none could be started
        yield True
        return
    try:
        yield files.try_flock(ready)
    finally:
        os.close(ready)


def remove(layout: Layout, number: int) -> None:
    """Remove release `number` and its logs; `empty_trash` finishes an interrupted removal. Raises OSError."""
    folder = layout.release(number)
    if folder.exists():
        folder.rename(layout.releases / f".trash-{number}")
    empty_trash(layout)
    for pattern in (f"*.{number}.log*", f"*.{number}.*.log*"):  # of its processes, and of what ran once
        for log in layout.logs.glob(pattern):
            log.unlink(missing_ok=True)


def empty_trash(layout: Layout) -> None:
    """Finish interrupted removals. Raises OSError."""
    for trash in layout.releases.glob(".trash-*"):
        for folder, _, _ in os.walk(trash):
            if not os.access(folder, os.W_OK):  # see protect
                Path(folder).chmod(0o755)
        shutil.rmtree(trash)
