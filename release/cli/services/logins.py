"""The commands of `release services` on the login that a target has: attach, detach, rotate, url."""

from pathlib import Path
from typing import TYPE_CHECKING, Unpack

import click

from packhorse import console
from packhorse.errors import PackhorseError
from release.cli import options
from release.cli.config import changes
from release.cli.services import arguments, attached

if TYPE_CHECKING:
    from release.services.databases import Place

_variable = click.option(
    "--as", "variable", metavar="NAME", help="The variable.  [default: DATABASE_URL or REDIS_URL]"
)


@click.command()
@arguments.of_target
@_variable
@click.option(
    "--scheme",
    metavar="SCHEME",
    shell_complete=arguments.schemes,
    help="As your driver wants it: postgresql+psycopg, say.  [default: as it is, else the plain one]",
)
@click.option("--replace", is_flag=True, help="Although the variable has another value.")
@options.how
@options.index
@options.as_json
@click.pass_obj
def attach(
    project: Path,
    /,
    service: str,
    target: str,
    variable: str | None,
    *,
    scheme: str | None,
    replace: bool,
    **how: Unpack[changes.How],
) -> None:
    """Put the URL of SERVICE into the configuration of TARGET: DATABASE_URL, or REDIS_URL.

    As `release config set` does it: a release with a number, rolled out without a failed request, or kept for
    the first deploy. The URL is in no command line and in no log. Attached to the same host a second time, a
    URL that you have changed keeps all but its login, on another host its scheme; --replace gives it as it
    was.

    \b
      release services attach db production --scheme postgresql+psycopg     SQLAlchemy with psycopg 3
      release services attach db production --scheme mysql+pymysql          SQLAlchemy with PyMySQL

    Options for TLS become those of the driver. A rotation keeps the scheme.
    """
    from release.config.servers import services as settings
    from release.host.formats import variables
    from release.services import urls

    place, host = arguments.found(project, service, target)
    name = variable or settings.VARIABLES[place.kind]
    variables.check_name(name)
    if scheme:
        urls.check_scheme(scheme, place.kind)
    credentials = attached.credentials(place, host, "credentials")
    present = attached.variables(project, target).get(name)
    url = (credentials.next or credentials).url
    if present is not None and not replace:
        _require_ours(present, place, name)
        url = urls.kept(present, url)
    changes.change(project, target, {name: urls.with_scheme(url, scheme) if scheme else url}, **how)


def _require_ours(value: str, place: "Place", name: str) -> None:
    """Raise PackhorseError when variable `name` has another value than a URL of this database."""
    if f"//{place.name}__" not in value:
        raise PackhorseError(
            f"{name} is set on {place.target} already, to something else.",
            "Give this one another name (--as OTHER_URL), or take its place: --replace",
        )


@click.command()
@arguments.of_target
@_variable
@options.how
@options.index
@options.as_json
@click.pass_obj
def detach(
    project: Path, /, service: str, target: str, variable: str | None, **how: Unpack[changes.How]
) -> None:
    """Take the URL of SERVICE out of the configuration of TARGET. The database stays as it is."""
    from release.config.servers.services import database

    # Also one that is no longer in release.toml: it is detached before it is removed.
    config = arguments.config(project)
    arguments.require_order(config, service, target)
    names = attached.leading_to(attached.variables(project, target), database(config.app, target, service))
    if variable:
        names = [name for name in names if name == variable]
    if not names:
        console.echo(f"{service} is not attached to {target}: there is nothing to do.", err=True)
        return
    changes.change(project, target, unset=names, **how)


@click.command()
@arguments.of_target
@options.how
@options.index
@options.as_json
@click.pass_obj
def rotate(project: Path, /, service: str, target: str, **how: Unpack[changes.How]) -> None:
    """Give TARGET a new login to SERVICE with a new password, and close the old one, without downtime.

    Both logins are open while the new URL is rolled out, as a release. The old one is closed when all hosts
    run with the new one; what still uses it (a shell, a job, another program) loses its connection then. A
    rotation that was interrupted goes on when it is run again.
    """
    place, host = arguments.found(project, service, target)
    values = attached.variables(project, target)
    names = attached.leading_to(values, place.name)
    if not names:
        raise PackhorseError(
            f"{service} is not attached to {target}: nothing would use the new login.",
            f"Attach it first: release services attach {service} {target}",
        )
    if how["plan"]:
        console.echo(
            f"{', '.join(names)} of {target} gets another login, as a release; the present one is closed."
        )
        return
    _require_all(target)
    credentials = attached.credentials(place, host, "rotate")
    if credentials.next is None:
        raise PackhorseError(f"{host.name} has opened no second login.", "Run the command again.")
    from release.services import urls

    changed = {name: urls.with_login(values[name], credentials.next.url) for name in names}
    changes.change(project, target, changed, **how)
    from release.services import reach

    host.ask(reach.SERVICE, "rotate-finish", {"name": place.name})
    if not how["as_json"]:
        console.echo(f"{credentials.next.login} is the login of {target} now, {credentials.login} is closed.")


def _require_all(target: str) -> None:
    """Raise PackhorseError when hosts are left out: they would lose their login."""
    meta = click.get_current_context().meta
    if meta.get("release.limit") or meta.get("release.skip"):
        raise PackhorseError(
            f"All hosts of {target} have to take part: the login that they have is closed at the end.",
            "Leave away --limit and --skip.",
        )


@click.command()
@arguments.of_target
@click.pass_obj
def url(project: Path, service: str, target: str) -> None:
    """Print the URL of SERVICE with the login of TARGET, for a tool of yours; it has a password."""
    place, host = arguments.found(project, service, target)
    console.emit_bytes(attached.credentials(place, host, "credentials").url.encode())


COMMANDS = (attach, detach, rotate, url)
