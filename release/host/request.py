"""The agent's one line of input in, a typed request out."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from packhorse.errors import PackhorseError
from release.host.layout import Layout
from release.host.state import Health
from release.host.supervisor import Bind

PROTOCOL = 1


@dataclass(frozen=True)
class File:
    """One file of the artifact's version on the index."""

    filename: str
    url: str
    sha256: str


@dataclass(frozen=True)
class Deploy:
    """What to deploy and how; `env` may hold secrets, `keep` is the number of good releases to keep."""

    index_url: str
    project: str
    version: str
    files: list[File]
    installer: str
    bind: Bind
    health: Health
    env: dict[str, str]
    graceful_timeout: float
    keep: int
    by: str


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
        files=[File(file["filename"], file["url"], file["sha256"]) for file in artifact["files"]],
        installer=data["installer"],
        bind=(bind["host"], bind["port"]) if bind else None,
        health=Health(**data["health"]),
        env=data["env"],
        graceful_timeout=data["graceful_timeout"],
        keep=data["keep"],
        by=data["by"],
    )
