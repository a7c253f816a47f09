"""Settings of [targets.NAME.balancer]: hosts with an nginx in front of the hosts of the application."""

from collections.abc import Sequence
from typing import Annotated

from pydantic import AfterValidator, Field

from packhorse import settings
from packhorse.settings import AbsolutePath
from release.config.value_types import HostName, LoginName, unique


class BalancerSettings(settings.Settings):
    """The `hosts` at which clients arrive: each passes requests on to the hosts of the target.

    `user` (through sudo, unless it is root) and `python` are for Ansible, by default those of the target.
    """

    hosts: Annotated[list[HostName], Field(min_length=1, max_length=20), AfterValidator(unique)]
    user: LoginName | None = None
    python: AbsolutePath | None = None


def check(
    balancer: BalancerSettings | None, hosts: Sequence[str] | None, domains: Sequence[str] | None
) -> None:
    """Look for what does not fit a target with these `hosts` and `domains`. Raises ValueError."""
    if balancer is None:
        return
    if not hosts:
        raise ValueError("balancer: the target has no hosts to balance between")
    if domains == []:
        raise ValueError("balancer: with domains = [] nothing answers on the hosts: name domains")
    if both := sorted(set(hosts) & set(balancer.hosts)):
        raise ValueError(
            f"balancer: {both[0]} runs the application itself, and both would answer for its domains: name "
            "another host, which may run other targets and applications"
        )
