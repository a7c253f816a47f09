"""The agent's one line of input in, a typed request out."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from packhorse.errors import PackhorseError
from release.host.disk.file_cache import File
from release.host.disk.layout import Layout
from release.host.disk.manifest import Health, Rule
from release.host.processes.circus_ini import Bind

PROTOCOL = 2


@dataclass(frozen=True)
class Deploy:
    """What to deploy; `env` may hold secrets, `keep` is the number of good releases to keep.

    Without an index all `files`, and those that their lock names, have to be on this host. `bind` None is the
    unix socket. `origin`: the release that this is the content of, None for a new one.
    """

    index_url: str | None
    project: str
    version: str
    files: list[File]
    installer: str
    bind: Bind
    health: Health
    env: dict[str, str]
    graceful_timeout: float
    rules: dict[str, Rule]
    keep: int
    by: str
    origin: int | None = None


@dataclass(frozen=True)
class Options:
    """How a change is made: `lock_wait` in seconds; `release_phase`: this host runs the Procfile's `release`.

    `plan`: say what would be done, and do nothing. `retry_release`: go on although the last release phase was
    cut off, and nobody knows what it has done.
    """

    lock_wait: float
    release_phase: bool
    retry_release: bool
    plan: bool


def layout(data: dict[str, Any]) -> Layout:
    """Where the application of request `data` lives. Raises PackhorseError for another protocol's request."""
    if data.get("protocol") != PROTOCOL:
        raise PackhorseError(
            f"This agent speaks protocol {PROTOCOL}, the request protocol {data.get('protocol')}.",
            "Use the same version of Packhorse at both ends.",
        )
    return Layout(data["app"], Path(data["root"]), Path(data["run"]))


def deploy(data: dict[str, Any]) -> Deploy:
    """The request of a deploy."""
    artifact, bind = data["artifact"], data["bind"]
    return Deploy(
        index_url=data["index_url"],
        project=artifact["project"],
        version=artifact["version"],
        files=[
            File(artifact["project"], file["filename"], file["sha256"], file["url"])
            for file in artifact["files"]
        ],
        installer=data["installer"],
        bind=(bind["host"], bind["port"]) if bind else None,
        health=Health(**data["health"]),
        env=data["env"],
        graceful_timeout=data["graceful_timeout"],
        rules={name: Rule(**rule) for name, rule in data.get("processes", {}).items()},
        keep=data["keep"],
        by=data["by"],
    )


def options(data: dict[str, Any]) -> Options:
    """How to carry out a deploy or a rollback."""
    return Options(
        lock_wait=data.get("lock_wait", 0.0),
        release_phase=data.get("release_phase", True),
        retry_release=data.get("retry_release", False),
        plan=data.get("plan", False),
    )
