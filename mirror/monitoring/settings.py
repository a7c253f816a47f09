"""Tables of mirror.toml about what an administrator sees, and the file that tells them to the server."""

import ipaddress
import json
import re
from pathlib import Path
from typing import Annotated, Literal, Self

import pydantic

from packhorse import files
from packhorse.settings import AbsolutePath, Settings, array, matching


def _check_network(text: str) -> str:
    try:
        return str(ipaddress.ip_network(text))
    except ValueError:
        raise ValueError(f'"{text}" is not an address or a network, such as "192.0.2.0/24"') from None


Network = Annotated[str, pydantic.AfterValidator(_check_network)]


class Metrics(Settings):
    """Readers of /+metrics besides this machine; with one of them nginx passes the address on."""

    allow: Annotated[tuple[Network, ...], array("192.0.2.9")] = ()
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


def _check_webhook_url(text: str) -> str:
    # The text stays out of the message: addresses of webhooks are secrets at times.
    if not re.fullmatch(r"https?://[A-Za-z0-9_.:\[\]-]+(/[!-~]*)?", text) or "#" in text:
        raise ValueError('needs an address without a user, such as "https://chat.example.com/hooks/mirror"')
    return text


Events = tuple[Literal["upload", "promotion", "blocked", "reported"], ...]


class Webhook(Settings):
    """A server that is told of events, as JSON that is signed with a secret (Standard Webhooks).

    The secret is in the variable `secret_variable` of the server's environment, or in the file `secret_file`.
    """

    url: Annotated[str, pydantic.AfterValidator(_check_webhook_url)]
    events: Annotated[Events, array("upload"), pydantic.Field(min_length=1)] = (
        "upload",
        "promotion",
        "blocked",
    )
    secret_variable: Annotated[str, matching(r"[A-Za-z_][A-Za-z0-9_]*", "a name of a variable")] | None = None
    secret_file: AbsolutePath | None = None
    timeout: Annotated[float, pydantic.Field(gt=0, le=60)] = 10.0  # seconds for one try

    @pydantic.model_validator(mode="after")
    def _has_one_secret(self) -> Self:
        if bool(self.secret_variable) == bool(self.secret_file):
            raise ValueError("name the place of its secret: either secret_variable or secret_file")
        return self


class Monitoring(Settings):
    """All that the server is told."""

    metrics: Metrics
    audit: AuditFolder
    webhooks: tuple[Webhook, ...]
    webhooks_folder: str
    last_refresh: str


def write(path: Path, settings: Monitoring) -> None:
    """Write what the plugin reads (mirror/plugin/wiring.py). It names files of secrets, and holds none."""
    files.write_whole(path, json.dumps(settings.model_dump(mode="json"), indent=2).encode() + b"\n", 0o600)
