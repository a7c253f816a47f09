"""Shared by the commands on services: arguments with completion, and the database that they mean."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from packhorse import console
from packhorse.errors import PackhorseError

if TYPE_CHECKING:
    from release.config.release_toml import ReleaseConfig
    from release.services import reach
    from release.services.databases import Place


def config(project: Path) -> "ReleaseConfig":
    from release.config import release_toml

    return release_toml.load(project)


def size(number: int) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if number < 1000:
            return f"{number:.0f} {unit}"
        number = number / 1000  # type: ignore[assignment]
    return f"{number:.1f} TB"


def service_names(context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    from release.config import release_toml

    try:
        known = release_toml.load(context.find_root().params["project"]).services
    except PackhorseError:
        return []
    return [name for name in known if name.startswith(incomplete)]


def target_names(context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    from release.config import release_toml

    try:
        targets = release_toml.load(context.find_root().params["project"]).targets
    except PackhorseError:
        return []
    service = context.params.get("service")
    using = [name for name, target in targets.items() if service is None or service in target.services]
    return [name for name in using if name.startswith(incomplete)]


def backup_names(context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    """Backups on the service's host, newest first, when a connection is open; else none."""
    from release.services import completion

    found = completion.backups(
        context.find_root().params["project"], context.params.get("service"), context.params.get("target")
    )
    return [name for name in found if name.startswith(incomplete)]


def schemes(context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    """Schemes for the kind of the service in the command line, without one all."""
    from release.config import release_toml
    from release.services import urls

    try:
        known = release_toml.load(context.find_root().params["project"]).services
        some = urls.SCHEMES[known[context.params["service"]].kind]
    except (PackhorseError, KeyError):
        some = [scheme for each in urls.SCHEMES.values() for scheme in each]
    return [scheme for scheme in some if scheme.startswith(incomplete)]


C = Callable[..., Any]


def of_target(command: C) -> C:
    """Add SERVICE and TARGET."""
    target = click.argument("target", shell_complete=target_names)
    return click.argument("service", shell_complete=service_names)(target(command))


def perhaps_of_target(command: C) -> C:
    """Add SERVICE, and TARGET, which may be left out."""
    target = click.argument("target", required=False, shell_complete=target_names)
    return click.argument("service", shell_complete=service_names)(target(command))


yes = click.option("--yes", is_flag=True, help="Ask nothing.")


def found(project: Path, service: str, target: str) -> "tuple[Place, reach.Host]":
    """The database of a target, and how to get to its host. Raises PackhorseError."""
    from release.services import databases, reach

    settings = config(project)
    require_order(settings, service, target)
    place = databases.place(settings, service, target)
    return place, reach.host(settings, place.host, target)


def require_order(settings: "ReleaseConfig", service: str, target: str | None = None) -> None:
    """Raise PackhorseError, with the command that was meant, when a target stands before the service."""
    if service in settings.services or not (service in settings.targets or target in settings.services):
        return
    uses = settings.targets[service].services if service in settings.targets else []
    name = target if target in settings.services else next(iter([*uses, *settings.services]), "SERVICE")
    raise PackhorseError(
        f"{service} is no service: the service comes first, then the target.",
        f"Write: {click.get_current_context().command_path} {name} {service}",
    )


def raise_first(answers: Iterable[object]) -> None:
    """Raise the first error among the answers of hosts, after a line for each other one."""
    failures = [answer for answer in answers if isinstance(answer, PackhorseError)]
    for failure in failures[1:]:
        console.echo(f"Warning: {failure.message} {failure.hint}", err=True)
    if failures:
        raise failures[0]


def progress(text: str) -> None:
    console.echo(f"  {text}", err=True)
