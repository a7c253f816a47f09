"""Settings of [monitoring]: what measures the hosts and their applications, and who may ask it."""

from collections.abc import Collection
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from packhorse import settings
from release.config.servers.firewall import Network
from release.config.value_types import AppName, unique

PORTS = {"node-exporter": 9100, "munin-node": 4949}


class Monitoring(settings.Settings):
    """Programs on the hosts of `targets` that answer questions from the addresses or networks `from`.

    `kind`: what Debian's package of that name speaks. `targets` may name services and "mirror", too; None:
    all hosts. Without `from` a host answers to itself alone.
    """

    kind: Literal["node-exporter", "munin-node"]
    sources: Annotated[list[Network], AfterValidator(unique)] = Field(default=[], alias="from")
    targets: Annotated[list[AppName], AfterValidator(unique)] | None = None

    @property
    def port(self) -> int:
        """The port at which it listens."""
        return PORTS[self.kind]

    def covers(self, name: str) -> bool:
        """Whether the hosts of target or service `name` are measured."""
        return self.targets is None or name in self.targets


def check(monitoring: Monitoring | None, known: Collection[str]) -> None:
    """Look for targets that are not among the `known` names with hosts. Raises ValueError."""
    for name in monitoring.targets or [] if monitoring else []:
        if name not in known:
            raise ValueError(
                f"monitoring.targets: {name} has no hosts, as {', '.join(known) or 'nothing'} has"
            )
