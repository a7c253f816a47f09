"""Start the agent on a host: runs as `python -c`, and receives the agent on stdin if it is missing."""

import gc
import hashlib
import io
import json
import os
import runpy
import shutil
import sys
import zipfile
from pathlib import Path

KEPT = 4  # agents of other versions of Packhorse that stay: one of them may be running


def main(folder: Path, sha256: str, size: int) -> None:
    """Run the agent `folder`/`sha256`. If it is missing, its archive of `size` bytes comes first on stdin.

    One that somebody has changed counts as missing.
    """
    os.umask(0o022)  # another user runs what lies there; secrets have modes of their own
    agent = folder / sha256
    try:
        present = agent.is_dir() and digest(_read(agent)) == sha256
        _say(event="agent", present=present)
        if not present and not _unpack(_receive(size), agent):
            return
        _mark_used(agent)
    except OSError as error:
        hint = "Check the space there, and that this user is the application's: release provision makes it."
        _say(event="error", message=f"The agent has no place: {error}.", hint=hint, detail="", exit_code=1)
        return
    # Garbage collection is a tenth of the agent's start, and finds nothing: modules stay.
    gc.set_threshold(50_000)
    sys.argv = [str(agent)]
    runpy.run_path(str(agent), run_name="__main__")


def digest(files: dict[str, bytes]) -> str:
    """The name of an agent: the sha256 of its files, by their names."""
    whole = hashlib.sha256()
    for part in (part for name in sorted(files) for part in (name.encode(), files[name])):
        whole.update(b"%d:" % len(part) + part)
    return whole.hexdigest()


def _read(agent: Path) -> dict[str, bytes]:
    """All files in the folder `agent` but what Python has compiled."""
    paths = [path for path in agent.rglob("*") if "__pycache__" not in path.parts and not path.is_dir()]
    return {str(path.relative_to(agent)): path.read_bytes() for path in paths}


def _say(**event: object) -> None:
    os.write(1, json.dumps(event).encode() + b"\n")


def _receive(size: int) -> bytes:
    """Read at most `size` bytes, and none of those that follow: the request is for the agent."""
    data = b""
    while len(data) < size and (more := os.read(0, size - len(data))):
        data += more
    return data


def _unpack(data: bytes, agent: Path) -> bool:
    """Make the folder `agent` from the archive `data`, whole or not at all; False for another archive."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            files = {name: archive.read(name) for name in archive.namelist()}
    except zipfile.BadZipFile:
        return False  # the connection was cut
    if digest(files) != agent.name:
        return False
    if agent.is_dir() and digest(_read(agent)) != agent.name:
        shutil.rmtree(agent)
    scratch = agent.with_name(f".{agent.name}.{os.getpid()}")
    scratch.mkdir(parents=True)
    try:
        for name, content in files.items():
            scratch.joinpath(name).parent.mkdir(parents=True, exist_ok=True)
            scratch.joinpath(name).write_bytes(content)
        for path in [*scratch.rglob("*"), scratch]:
            _sync(path)
        scratch.rename(agent)
        _sync(agent.parent)
    except OSError:
        shutil.rmtree(scratch)
        if not agent.is_dir():  # else another bootstrap was faster
            raise
    return True


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _mark_used(agent: Path) -> None:
    """Point `current.pyz`, which systemd starts at boot, to `agent`; remove the least used agents."""
    os.utime(agent)
    link = agent.with_name("current.pyz")
    if not link.is_symlink() or link.readlink() != Path(agent.name):
        scratch = agent.with_name(f".current.{os.getpid()}")
        scratch.symlink_to(agent.name)
        scratch.rename(link)
        others = [path for path in agent.parent.iterdir() if not path.is_symlink() and path != agent]
        for old in sorted(others, key=lambda path: path.stat().st_mtime)[:-KEPT]:
            shutil.rmtree(old, ignore_errors=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
