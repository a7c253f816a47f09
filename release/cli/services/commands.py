"""The commands on databases of release.toml: list, attach, rotate, shell, back up, bring back, remove."""

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

import click

from packhorse import console
from packhorse.errors import PackhorseError
from release.cli import options, target_command
from release.cli.config import changes
from release.cli.services import arguments, backups

if TYPE_CHECKING:
    from collections.abc import Sequence

    from release.config.release_toml import ReleaseConfig
    from release.services import answers, reach
    from release.services.databases import Place, Row

_MORE = "To look on a host that release.toml names no longer: --host HOST"
_variable = click.option(
    "--as", "variable", metavar="NAME", help="The variable.  [default: DATABASE_URL or REDIS_URL]"
)


@click.group(invoke_without_command=True)
@click.option("--plan", is_flag=True, help="Say what `release provision` would make, and what is left over.")
@click.option("--remove", "remove_all", is_flag=True, help="Remove what is left over, after a backup of it.")
@click.option("--host", "hosts", multiple=True, metavar="HOST", help="Look on this host, too.")
@click.option("--yes", is_flag=True, help="Ask nothing.")
@options.as_json
@click.pass_context
def services(
    context: click.Context, *, plan: bool, remove_all: bool, hosts: tuple[str, ...], yes: bool, as_json: bool
) -> None:
    """Show the databases that targets use; attach them, rotate their passwords, back up, bring back.

    \b
    [services.db]                          in release.toml
    kind = "postgresql"                    or "mariadb", "redis"
    hosts = ["db1.example.com"]
    [targets.production]
    services = ["db"]

    \b
    release provision production           installs it; production gets a database, and its hosts are let in
    release services attach db production  DATABASE_URL of the application, as a release
    release services                       which there are, how large, the last backup of each
    release services shell db production   psql
    release services backup db production  now; a timer does it each day

    What is no longer in release.toml is named by --plan, and kept until it is removed.
    """
    if context.invoked_subcommand:
        return
    project: Path = context.obj
    from release.services import databases

    config = arguments.config(project)
    asked = databases.ask(config, databases.hosts(config, hosts))
    rows = databases.rows(config, asked)
    if remove_all:
        _remove_all(project, config, [row for row in rows if row.found and not row.place], yes=yes)
    elif plan and not as_json:
        console.echo(
            "\n".join(databases.plan(rows)) or f"Nothing: hosts have what release.toml declares. {_MORE}"
        )
    elif rows or not config.services or as_json:
        _show(rows, _attached(project, rows), as_json=as_json)
    for problem in databases.unused(config):
        console.echo(f"Note: {problem.message} {problem.hint}", err=True)
    arguments.raise_first(asked[name] for name in asked if name in {*hosts, *(row.host for row in rows)})


def _show(rows: "Sequence[Row]", attached: dict[str, list[str] | None], *, as_json: bool) -> None:
    """Print the databases, and after them why a host said nothing."""
    from release.services import databases

    if as_json:
        console.emit_json({"services": [_as_json(row, attached.get(row.name)) for row in rows]})
        return
    if not rows:
        console.echo("release.toml declares no service: [services.NAME], see docs/services.md.")
        return
    now, lines = time.time(), []
    for row in rows:
        found, name = row.found, attached.get(row.name)
        last = databases.last(found.backups if found else None, now)
        server = found.server if found else None
        lines.append(
            (
                row.place.service if row.place else server.service if server else "",
                row.place.target if row.place else server.target if server else "",
                f"{server.kind} {server.version}" if server else row.place.kind if row.place else "",
                row.host,
                ", ".join(name) if name else "no" if name == [] else "?",
                arguments.size(server.size) if server and not server.error else "",
                f"{databases.ago(databases.age(last.name, now))}, {arguments.size(last.size)}"
                if last
                else "none",
                "; ".join(_state(row, now)),
            )
        )
    target_command.table(("service", "target", "kind", "host", "attached", "size", "last backup", ""), lines)


def _state(row: "Row", now: float) -> list[str]:
    """Problems of a database, in some words."""
    from release.services import databases

    if row.failure:
        return ["its host does not answer"]
    if row.found is None:
        return [f"not there yet: release provision {row.place.target}" if row.place else "not there"]
    found, backups = row.found, row.found.backups
    words = [] if row.place else ["not in release.toml: kept"]
    words += [f"does not answer: {found.server.error}"] if found.server.error else []
    words += ["closed: its removal has begun"] if found.server.closed else []
    words += ["a rotation is to be finished"] if found.server.rotating else []
    if backups and not backups.last.ok:
        words.append(f"BACKUP FAILED: {backups.last.error}")
    if databases.is_overdue(backups, now):
        words.append("BACKUP OVERDUE")
    if backups and backups.interrupted:
        words.append("a restore was interrupted: run it again")
    if backups and backups.old:
        words.append(f"what a restore has replaced is kept as {backups.old}")
    return words


def _as_json(row: "Row", attached: list[str] | None) -> dict[str, Any]:
    found = row.found
    server, backups = (found.server, found.backups) if found else (None, None)
    from release.services import databases

    last = databases.last(backups, time.time())
    return {
        "database": row.name,
        "service": row.place.service if row.place else server.service if server else "",
        "target": row.place.target if row.place else server.target if server else "",
        "kind": row.place.kind if row.place else server.kind if server else "",
        "host": row.host,
        "declared": row.place is not None,
        "there": found is not None,
        "version": server.version if server else None,
        "size": server.size if server else None,
        "attached": attached,
        "rotating": bool(server and server.rotating),
        "last_backup": last.model_dump() if last else None,
        "backups": len(backups.backups) if backups else 0,
        "overdue": databases.is_overdue(backups, time.time()),
        "last_run": backups.last.model_dump() if backups else None,
        "copy_to": backups.copy_to if backups else None,
        "replaced": backups.old if backups else None,
        "error": row.failure.message if row.failure else server.error or None if server else None,
    }


def _attached(project: Path, rows: "Sequence[Row]") -> dict[str, list[str] | None]:
    """Database -> the variables of its target that lead to it; None: the hosts of the target do not say."""
    known: dict[str, list[str] | None] = {}
    values: dict[str, dict[str, str] | None] = {}
    for row in rows:
        if row.place is None:
            continue
        target = row.place.target
        if target not in values:
            try:
                values[target] = _variables(project, target)
            except PackhorseError:
                values[target] = None
        there = values[target]
        known[row.name] = None if there is None else _leading(there, row.name)
    return known


def _variables(project: Path, target: str) -> dict[str, str]:
    """The variables of a target with their values, from the first host that answers; PackhorseError."""
    from release.agents.connection import answers
    from release.variables import drift

    command, outcome = changes.read(project, target, reveal=True)
    if not outcome.results:
        command.finish(outcome)
    with answers(f"A host of {target}"):
        return {str(row["name"]): str(row["value"]) for row in drift.rows(outcome)}


def _leading(values: dict[str, str], name: str) -> list[str]:
    """The variables whose values are URLs with a login of database `name`."""
    logins = tuple(f"//{name}__{which}:" for which in "ab")
    return sorted(key for key, value in values.items() if any(login in value for login in logins))


def _credentials(place: "Place", host: "reach.Host", command: str) -> "answers.Credentials":
    from release.services import answers, reach

    return answers.read(
        answers.Credentials, host.ask(reach.SERVICE, command, {"name": place.name}), host.name
    )


@services.command()
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
    credentials = _credentials(place, host, "credentials")
    present = _variables(project, target).get(name)
    if present is not None and f"//{place.name}__" not in present and not replace:
        raise PackhorseError(
            f"{name} is set on {target} already, to something else.",
            "Give this one another name (--as OTHER_URL), or take its place: --replace",
        )
    url = (credentials.next or credentials).url
    if present is not None and not replace:
        url = urls.kept(present, url)
    changes.change(project, target, {name: urls.with_scheme(url, scheme) if scheme else url}, **how)


@services.command()
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
    names = _leading(_variables(project, target), database(config.app, target, service))
    if variable:
        names = [name for name in names if name == variable]
    if not names:
        console.echo(f"{service} is not attached to {target}: there is nothing to do.", err=True)
        return
    changes.change(project, target, unset=names, **how)


@services.command()
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
    values = _variables(project, target)
    names = _leading(values, place.name)
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
    credentials = _credentials(place, host, "rotate")
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


@services.command()
@arguments.of_target
@click.pass_obj
def url(project: Path, service: str, target: str) -> None:
    """Print the URL of SERVICE with the login of TARGET, for a tool of yours; it has a password."""
    place, host = arguments.found(project, service, target)
    console.emit_bytes(_credentials(place, host, "credentials").url.encode())


@services.command()
@arguments.of_target
@click.pass_obj
def shell(project: Path, service: str, target: str) -> None:
    """Open psql, mariadb or redis-cli on SERVICE, with the database of TARGET.

    It runs on the service's host, with a terminal when there is one; else it reads standard input:

    \b
      release services shell db production < schema.sql

    PostgreSQL and MariaDB stop at the first error of what they read so. The exit status is the client's.
    """
    from release.services import reach

    place, host = arguments.found(project, service, target)
    both = sys.stdin.isatty() and sys.stdout.isatty()
    sys.exit(host.run_attached(reach.BACKUP, "shell", place.name, terminal=both))


@services.command()
@click.argument("service", shell_complete=arguments.service_names)
@click.pass_obj
def upgrade(project: Path, service: str) -> None:
    """Say how to bring SERVICE to another version: what applies to what is there."""
    from release.services import databases, upgrades

    config = arguments.config(project)
    arguments.require_order(config, service)
    databases.require(config, service)
    declared = config.services[service]
    asked = databases.ask(config, [declared.hosts[0]])[declared.hosts[0]]
    if isinstance(asked, PackhorseError):
        raise asked
    version = next((each.server.version for each in asked if each.server.service == service), "")
    for line in upgrades.notes(config, service, version):
        console.echo(line)


@services.command()
@click.argument("service", shell_complete=arguments.service_names)
@click.argument("target", required=False, shell_complete=arguments.target_names)
@click.option(
    "--host",
    "hosts",
    multiple=True,
    metavar="HOST",
    help="On this host alone, which release.toml may not name.",
)
@arguments.yes
@click.pass_obj
def remove(project: Path, service: str, target: str | None, *, hosts: tuple[str, ...], yes: bool) -> None:
    """Remove databases of SERVICE (of TARGET) that are no longer in release.toml, after a backup of each.

    The backups stay on the host. What release.toml still declares is refused: detach it, and take it out.
    """
    from release.services import databases

    config = arguments.config(project)
    arguments.require_order(config, service, target)
    asked = databases.ask(config, hosts or databases.hosts(config))
    found = [
        row
        for row in databases.rows(config, asked)
        if row.found and row.found.server.service == service and target in (None, row.found.server.target)
    ]
    rows = [row for row in found if not row.place]
    declared = [row for row in found if row.place]
    if declared and not rows:
        raise PackhorseError(
            f"release.toml still declares {', '.join(row.name for row in declared)}.",
            f"Take {service} out of services of the target first; release services --plan says what is left.",
        )
    if not rows:
        failure = next((answer for answer in asked.values() if isinstance(answer, PackhorseError)), None)
        if failure:
            raise failure
        console.echo(
            f"No database of {service} is left on {', '.join(asked)}: there is nothing to do. "
            "One on another host: --host HOST",
            err=True,
        )
        return
    _remove_all(project, config, rows, yes=yes)


def _require_unused(project: Path, config: "ReleaseConfig", row: "Row") -> None:
    """Raise PackhorseError when the application has the URL of a database, on this host.

    Whoever has lost all hosts of the application may remove it, with a word.
    """
    server = row.found.server if row.found else None
    if server is None or server.app != config.app or server.target not in config.targets:
        return
    try:
        values = _variables(project, server.target)
    except PackhorseError as error:
        console.echo(f"Whether {server.target} uses {row.name} is not known: {error.message}", err=True)
        return
    there = f"@[{server.host}]:{server.port}/" if ":" in server.host else f"@{server.host}:{server.port}/"
    names = [name for name in _leading(values, row.name) if there in values[name]]
    if names:
        raise PackhorseError(
            f"{server.target} uses {row.name}: {', '.join(names)}.",
            f"Detach it first: release services detach {server.service} {server.target}",
        )


def _remove_all(project: Path, config: "ReleaseConfig", rows: "Sequence[Row]", *, yes: bool) -> None:
    """Remove databases, each after a last backup; none if one of them is in use (PackhorseError)."""
    from release.services import answers, reach

    if not rows:
        console.echo(f"There is nothing to remove. {_MORE}")
        return
    for row in rows:
        _require_unused(project, config, row)
    options.ask_first(
        f"Remove {', '.join(f'{row.name} on {row.host}' for row in rows)} with all data?", yes=yes
    )
    for row in rows:
        host = reach.host(config, row.host)
        kept = answers.read(
            answers.Made,
            host.ask(reach.BACKUP, "last-backup", {"name": row.name}, arguments.progress),
            host.name,
        )
        for path in kept.paths:
            console.echo(f"Backup: {host.name}:{path}")
        if not kept.paths:
            raise PackhorseError(
                f"{host.name} has made no backup of {row.name}.", "Look there; nothing was removed."
            )
        host.ask(reach.BACKUP, "forget", {"name": row.name})  # first: without the database it would be lost
        host.ask(reach.SERVICE, "remove", {"name": row.name})
        console.echo(f"Removed {row.name} on {host.name}.")


for each in backups.COMMANDS:
    services.add_command(each)
COMMANDS = (services,)
