"""release.toml (or [tool.release] of pyproject.toml) in, a frozen ReleaseConfig out."""

import difflib
import json
import re
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, Field, StringConstraints

from packhorse import settings
from packhorse.errors import PackhorseError
from release.config import unchecked
from release.config.mirror_servers import MirrorServers
from release.config.targets import Positive, Target


def _web_address(text: str) -> str:
    if not re.match(r"https?://[^/@\s]+(/\S*)?$", text):
        # The text stays out of the message: it may hold a password, which does not belong there at all.
        raise ValueError('needs an address without a user, such as "https://pypi.example.com/company/dev"')
    return text.rstrip("/").removesuffix("/+simple")


AppName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$", max_length=40)]
Address = Annotated[str, AfterValidator(_web_address)]


class Health(settings.Settings):
    """What a new release must answer before it gets traffic: GET `path` with 2xx. Seconds."""

    path: Annotated[str, StringConstraints(pattern=r"^/\S*$")] = "/healthz"
    host: str = "localhost"
    timeout: Positive = 30.0
    interval: Positive = 0.1


def _local_is_here(targets: dict[str, Target]) -> dict[str, Target]:
    if "local" in targets and targets["local"].hosts:
        raise ValueError("local is this machine: give the target with hosts another name")
    return targets


LOCAL = Target(bind="127.0.0.1:8000")


class ReleaseConfig(settings.Settings):
    """Everything that a project says about its releases; all of it is optional in the file."""

    app: AppName
    index: Address | None = None
    health: Health = Health()
    targets: Annotated[dict[AppName, Target], AfterValidator(_local_is_here)] = Field(default={})
    mirror: MirrorServers | None = None

    def target(self, name: str) -> Target:
        """The target `name`; `local`, and the address it listens on, need no declaration."""
        if name == "local":
            return LOCAL.model_copy(update=self._declared("local"))
        if name in self.targets:
            return self.targets[name]
        known = sorted({"local", *self.targets})
        near = difflib.get_close_matches(name, known, 1)
        raise PackhorseError(
            f'There is no target "{name}"' + (f', did you mean "{near[0]}"?' if near else "."),
            f"Use one of {', '.join(known)}, or declare [targets.{name}] in release.toml.",
        )

    def _declared(self, name: str) -> dict[str, Any]:
        declared = self.targets.get(name, Target())
        return {key: getattr(declared, key) for key in declared.model_fields_set}


def load(project: Path, *, index: str | None = None) -> ReleaseConfig:
    """What the project in folder `project` says; `index` (the option or $RELEASE_INDEX) goes first."""
    data, where = unchecked.read(project)
    if index:
        data = {**data, "index": index}
    return settings.parse(ReleaseConfig, data, where)


def index_url(config: ReleaseConfig, home: Path) -> str:
    """The company index, without a slash at its end: the configured one, else the local mirror's.

    Raises PackhorseError when neither is known.
    """
    if config.index:
        return config.index
    mirror = home / "mirror" / "credentials.json"
    try:
        return f"{json.loads(mirror.read_bytes())['url']}/company/dev"
    except FileNotFoundError:
        raise PackhorseError(
            "No company index is configured, and this machine runs no mirror of its own.",
            'Write index = "https://…/company/dev" into release.toml, or run: mirror init',
        ) from None


def simple_url(index: str) -> str:
    """The address of `index` that pip and uv install from (PEP 503), with the slash that they expect."""
    return f"{index}/+simple/"
