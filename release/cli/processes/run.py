"""The commands that run something once on hosts: run, and jobs, which are scheduled."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from packhorse import console
from packhorse.errors import PackhorseError
from release.cli import options, target_command

if TYPE_CHECKING:
    from collections.abc import Mapping

    from release.agents.controller import Outcome
    from release.agents.schedule import HostState
    from release.cli.target_command import TargetCommand
    from release.oneoffs import run_output

FAILED = 255
"""The exit status when nothing was run, as of ssh; 126 and 127: the command cannot be run, as of a shell."""
MOST_JSON = 2**20


@click.command()
@target_command.argument
@click.argument(
    "command", nargs=-1, required=True, type=click.UNPROCESSED, metavar="-- COMMAND [ARGUMENT]..."
)
@click.option(
    "--tty/--no-tty",
    default=None,
    help="With a terminal, or without.  [default: with one if stdin and stdout are one]",
)
@click.option("--all-hosts", is_flag=True, help="On every host of the target, side by side.")
@click.option(
    "--release",
    type=int,
    metavar="N",
    shell_complete=target_command.releases,
    help="With release N.  [default: the current one]",
)
@click.option(
    "--json", "as_json", is_flag=True, help="Print output (1 MB of each stream) and status as JSON."
)
@click.pass_obj
def run(
    project: Path,
    target: str,
    command: tuple[str, ...],
    release: int | None,
    *,
    tty: bool | None,
    all_hosts: bool,
    as_json: bool,
) -> None:
    """Run COMMAND once on TARGET, with the code and configuration of its current release.

    On the first host that --limit and --skip leave, or with --all-hosts on each of them, with its name in
    front of each line. The command is not given to a shell; name one if you need it (-- sh -c 'a | b'). Its
    PATH begins with the release's virtualenv, and it starts where processes do.

    \b
      release run production -- flask shell
      release run production -- python manage.py migrate
      release run production -- pg_restore --dbname app < dump
      release run production --host web2.example.com -- bash
      release run production --all-hosts -- df -h /srv

    stdin is passed on, unless it is a terminal and the command gets none (then --no-tty passes it on). The
    exit status is the command's; 255 when it was not run, or was cut off. It ends with the connection: by
    SIGHUP, 5 s later SIGTERM, 5 s later SIGKILL. In a terminal, Enter ~ . leaves it. A deploy lets it go on,
    with the release that it has. Its output is in the log (release logs), unless it has a terminal.
    """
    try:
        asked = {"arguments": list(command), "release": release}
        status = _run(project, target, asked, tty=tty, all_hosts=all_hosts, as_json=as_json)
    except PackhorseError as error:
        error.exit_code = FAILED if error.exit_code == 1 else error.exit_code
        raise
    sys.exit(status)


def _run(
    project: Path,
    target: str,
    asked: "Mapping[str, Any]",
    *,
    tty: bool | None,
    all_hosts: bool,
    as_json: bool,
    alone: bool = False,
) -> int:
    """Let hosts run what is `asked`, and return the exit status; `alone`: without a terminal and input."""
    if tty and (all_hosts or as_json):
        option = "--all-hosts" if all_hosts else "--json"
        raise PackhorseError(f"There is no terminal with {option}.", "Leave --tty away.")
    both = sys.stdin.isatty() and sys.stdout.isatty()
    terminal = both and not (all_hosts or as_json or alone) if tty is None else tty
    begun = target_command.begin(project, target, most=None if all_hosts else 1)
    from release.deploy import requests
    from release.host.request import Run
    from release.oneoffs import attached, run_output

    request = requests.request(
        *(Run, begun.settings.app, begun.target, begun.home),
        target_name=begun.name,
        terminal=attached.terminal() if terminal else None,
        **asked,
    )
    output = _output(begun, terminal=terminal, as_json=as_json)
    typed = terminal and sys.stdin.isatty()
    has_input = not alone and (terminal or tty is False or not sys.stdin.isatty())
    source = sys.stdin.fileno() if has_input else None
    with begun.agents() as agents, console.raw_terminal(on=typed):
        outcome = attached.run(agents, dict.fromkeys(agents, request), output, source, typed=typed)
    output.finish()
    if isinstance(output, run_output.Collected):
        begun.emit_json(output.added(outcome))
    elif all_hosts:
        _summary(outcome)
    begun.finish(outcome)
    return next(filter(None, map(_status, outcome.hosts)), 0)


def _status(host: "HostState") -> int:
    """The exit status of the command on `host`. Raises PackhorseError when that cannot be one."""
    from release.agents.connection import checked_answer

    with checked_answer(host.name):
        return range(256).index((host.last or {})["status"])


def _output(command: "TargetCommand", *, terminal: bool, as_json: bool) -> "run_output.Output":
    from release.oneoffs import run_output

    hosts = command.target.hosts or [command.name]
    if as_json:
        return run_output.Collected(MOST_JSON)
    return run_output.Prefixed(hosts) if len(hosts) > 1 else run_output.Through(terminal=terminal)


def _summary(outcome: "Outcome") -> None:
    """Say on stderr what became of the command on each host."""
    for host in outcome.hosts:
        last = host.last or {}
        console.echo(
            f"{host.name}: {last.get('message') or 'ended with status ' + str(last.get('status'))}", err=True
        )


@click.group(cls=target_command.Group, subcommand_metavar="TARGET | COMMAND …")
def jobs() -> None:
    """Show the scheduled jobs of TARGET, or run one now.

    \b
      release jobs production                  which there are, how each ended last, when each is due
      release jobs run production cleanup      now

    \b
      [[targets.production.jobs]]              in release.toml: they come with a deploy
      name = "cleanup"
      schedule = "30 3 * * *"                  as cron, or as systemd: "daily", "Mon *-*-* 03:30"
      command = "python -m shop.cleanup"       as in a Procfile
      overlap = "forbid"                       default: not while it still runs; or "allow"
      timeout = 3600                           seconds, then it is told to end

    They run on the first host of the target, at its local time, and not while the application is stopped. One
    that was missed while the host was down runs once when it is up again. A rollback brings jobs back, too.
    """


@jobs.command()
@target_command.argument
@options.as_json
@click.pass_obj
def show(project: Path, target: str, *, as_json: bool) -> None:
    """Show the jobs of TARGET (release jobs TARGET does the same)."""
    from release.host.request import Jobs

    command = target_command.begin(project, target)
    target_command.report(command, Jobs, _listed, as_json=as_json)


def _listed(host: str, result: "Mapping[str, Any]") -> None:
    from release.inspect import job_table

    if not result["jobs"]:
        console.echo(f"{result['app']} on {host} has no jobs: [[targets.….jobs]] in release.toml.")
        return
    runs = "runs the jobs" if result["here"] else "runs none of them by itself"
    console.echo(f"{result['app']} on {host} {runs}:")
    target_command.table(job_table.HEAD, list(job_table.rows(result["jobs"])))


@jobs.command("run")
@target_command.argument
@click.argument("job", shell_complete=target_command.jobs)
@options.as_json
@click.pass_obj
def run_job(project: Path, target: str, job: str, *, as_json: bool) -> None:
    """Run JOB now, on the first host that --limit and --skip leave, with its output here and in its log.

    The exit status is the job's; 255 when it was not run.
    """
    try:
        status = _run(
            project,
            target,
            {"arguments": [], "job": job},
            tty=None,
            all_hosts=False,
            as_json=as_json,
            alone=True,
        )
    except PackhorseError as error:
        error.exit_code = FAILED if error.exit_code == 1 else error.exit_code
        raise
    sys.exit(status)


COMMANDS = (run, jobs)
