"""Tables of mirror.toml about what an administrator sees, and the file that tells them to the server."""

import ipaddress
import json
from pathlib import Path
from typing import Annotated

import pydantic

from packhorse import files
from packhorse.settings import AbsolutePath, Settings


def _check_network(text: str) -> str:
    try:
        return str(ipaddress.ip_network(text))
    except ValueError:
        raise ValueError(f'"{text}" is not an address or a network, such as "192.0.2.0/24"') from None


def freeze_array(value: object) -> object:
    """The tuple that an array of TOML becomes. Raises ValueError for a string."""
    if isinstance(value, str):
        raise ValueError('should be an array, such as ["192.0.2.9"]')  # noqa: TRY004 (pydantic wants a ValueError)
    return tuple(value) if isinstance(value, list) else value


Network = Annotated[str, pydantic.AfterValidator(_check_network)]


class Metrics(Settings):
    """Who may read /+metrics besides this machine; with one of them nginx passes the address on."""

    allow: Annotated[tuple[Network, ...], pydantic.BeforeValidator(freeze_array)] = ()
    token_file: AbsolutePath | None = None

    @property
    def is_shared(self) -> bool:
        """Whether another machine may read them."""
        return bool(self.allow or self.token_file)


class Audit(Settings):
    """The audit log: how large its files become, and how many earlier ones of each are kept."""

    max_size: Annotated[int, pydantic.Field(ge=1, le=10_000)] = 10  # MB
    keep: Annotated[int, pydantic.Field(ge=0, le=1000)] = 10


class AuditFolder(Audit):
    """The same, and where the files are."""

    folder: str


class Monitoring(Settings):
    """All that the server is told."""

    metrics: Metrics
    audit: AuditFolder


def write(path: Path, settings: Monitoring) -> None:
    """Write what the plugin reads (mirror/plugin/wiring.py). It names files of secrets, and holds none."""
    files.write_whole(path, json.dumps(settings.model_dump(mode="json"), indent=2).encode() + b"\n", 0o600)
