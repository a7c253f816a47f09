"""Shared by the commands on a target: complete its name, start agents on its hosts, print their answers."""

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from packhorse import console, files
from packhorse.errors import PackhorseError
from release.cli import options

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from release.agents.connection import AgentProcess, Destination
    from release.agents.controller import Outcome
    from release.config.release_toml import ReleaseConfig
    from release.config.target.target import Target
    from release.deploy.balancers import Balancers
    from release.deploy.progress import ShowEvent
    from release.host.request import Request


C = TypeVar("C", bound=Callable[..., object])


def names(context: click.Context, incomplete: str) -> list[str]:
    """The targets of the project, for completion, and if none fits, the hosts of ssh's configuration.

    A file that cannot be read completes nothing more.
    """
    from release.agents import ssh
    from release.config import release_toml

    known = {"local"}
    with contextlib.suppress(PackhorseError):
        known |= set(release_toml.load(context.find_root().params["project"]).targets)
    targets = sorted(name for name in known if name.startswith(incomplete))
    user, at, host = incomplete.rpartition("@")
    return targets or [f"{user}{at}{name}" for name in ssh.aliases() if name.startswith(host)]


class Group(click.Group):
    """A group whose own name with a target is its command `show`."""

    ignore_unknown_options = True  # they are those of `show`

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] in self.commands:
            return super().resolve_command(ctx, args)
        return "show", self.commands["show"], args

    def shell_complete(self, ctx: click.Context, incomplete: str) -> "list[CompletionItem]":
        from click.shell_completion import CompletionItem

        targets = names(ctx, incomplete)
        return [*super().shell_complete(ctx, incomplete), *map(CompletionItem, targets)]


def _hosts(context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    """The hosts of the target in the command line, for completion."""
    from release.config import release_toml

    with contextlib.suppress(PackhorseError):
        targets = release_toml.load(context.find_root().params["project"]).targets
        words = [context.params.get("target"), *context.args]  # click sorts no line that ends in an option
        hosts = [host for name in targets if name in words for host in targets[name].hosts or []]
        return [host for host in hosts if host.startswith(incomplete)]
    return []


def _typed(context: click.Context) -> str | None:
    """The target in the command line, for completion: click sorts no line that ends in an option."""
    target: str | None = context.params.get("target")
    return target or next((word for word in context.args if not word.startswith("-")), None)


def jobs(context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    """The jobs of the target in the command line, for completion."""
    from release.config import release_toml

    with contextlib.suppress(PackhorseError):
        settings = release_toml.load(context.find_root().params["project"])
        target = settings.targets.get(_typed(context) or "")
        return [job.name for job in target.jobs if job.name.startswith(incomplete)] if target else []
    return []


def releases(context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    """The good releases of the target in the command line, for completion, newest first; quickly, or none."""
    from release.inspect import completion

    with contextlib.suppress(PackhorseError):
        numbers = completion.releases(context.find_root().params["project"], _typed(context))
        return [str(number) for number in numbers if str(number).startswith(incomplete)]
    return []


def releases_or_targets(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    """Releases of the target in the command line, and the names of targets, for completion."""
    found = [] if incomplete.isdecimal() else _names(context, parameter, incomplete)
    return [*releases(context, parameter, incomplete), *found]


def versions(context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    """NAME==VERSION of the project on the index of the target in the command line; quickly, or none."""
    from release.inspect import completion

    with contextlib.suppress(PackhorseError):
        project, target = context.find_root().params["project"], context.params.get("target")
        known = completion.versions(project, target, incomplete)
        return [name for name in known if name.startswith(incomplete)]
    return []


def _choose(context: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> None:
    """Keep the hosts of --limit or --skip for `begin`, which every command with a target calls."""
    context.meta[f"release.{parameter.name}"] = [
        host for value in values for host in value.split(",") if host
    ]


def _names(context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    return names(context, incomplete)


target_name = click.argument("target", shell_complete=_names)


def argument(command: C) -> C:
    """Add TARGET, and --limit and --skip, which choose among its hosts."""
    return target_name(_choosing(command))


def optional_argument(command: C) -> C:
    """Argument TARGET, which may be left out."""
    return click.argument("target", required=False, shell_complete=_names)(_choosing(command))


def _choosing(command: C) -> C:
    shared: dict[str, Any] = {
        "multiple": True,
        "metavar": "HOST",
        "callback": _choose,
        "expose_value": False,
        "shell_complete": _hosts,
    }
    only = "Only this host of the target; several: --limit A --limit B."
    return click.option("--limit", "--host", "limit", help=only, **shared)(
        click.option("--skip", help="Without this host, which may be down.", **shared)(command)
    )


@dataclass(frozen=True)
class TargetCommand:
    """A command on the target `name`; `project` is the folder's, normalised.

    `home` is PACKHORSE_HOME; `began`: the start of the command, by time.monotonic().
    """

    name: str
    project: str
    settings: "ReleaseConfig"
    target: "Target"
    home: Path
    began: float
    early: "Mapping[Destination, AgentProcess]"  # agents started before anything else, closed by `stack`
    stack: contextlib.ExitStack
    left_out: Sequence[str] = ()  # hosts of the target that the command does not reach: --limit, --skip

    @property
    def first(self) -> str | None:
        """The first host of the target, also when the command does not reach it: it runs the jobs."""
        hosts = self.settings.target(self.name).hosts
        return hosts[0] if hosts else None

    @contextlib.contextmanager
    def agents(self) -> Iterator[dict[str, "AgentProcess"]]:
        """Host -> an agent there, which loads its modules while the request is being made."""
        from release.agents import connection, destinations

        here = connection.LocalDestination.below(self.home, self.name)
        needed = destinations.of_target(
            here, self.target.hosts, self.target.user, self.settings.app, self.settings.targets
        )
        with self.stack as stack:
            yield {
                name: self.early.get(destination) or stack.enter_context(connection.AgentProcess(destination))
                for name, destination in needed.items()
            }

    @contextlib.contextmanager
    def balancers(self, warn: "Callable[[str, str], object]") -> "Iterator[Balancers | None]":
        """Connections to the balancers in front of the target, None when it has none."""
        if not self.target.balancer:
            yield None
            return
        from release.agents import ssh
        from release.deploy import balancers

        app, names = self.settings.app, self.target.balancer.hosts
        there = {name: ssh.SshDestination(name, self.target.user or app, app) for name in names}
        hosts = self.settings.target(self.name).hosts or []
        with balancers.connected(there, balancers.led_to(app, self.name), hosts, warn) as found:
            yield found

    @property
    def seconds(self) -> float:
        """Seconds since the command began."""
        return time.monotonic() - self.began

    def emit_json(self, outcome: "Outcome", **more: object) -> None:
        """Print what every host answered, in one form for all commands, and `more`."""
        from release.deploy import outcome as outcomes

        hosts = [outcomes.as_json(host) for host in outcome.hosts]
        own = {"hosts": hosts, "left_out": list(self.left_out), "seconds": round(self.seconds, 2)}
        console.emit_json({"target": self.name, **more, **own})

    def finish(self, outcome: "Outcome") -> None:
        """Raise the error that the command ends with, if there is one."""
        from release.deploy import outcome as outcomes

        if error := outcomes.error(outcome, self.name, named=bool(self.target.hosts)):
            raise error


def begin(project: Path, name: str, index: str | None = None, most: int | None = None) -> TargetCommand:
    """Begin a command on the target `name` of the project, on the hosts that --limit and --skip leave.

    On the first `most` of them, None: on all. Raises PackhorseError when there is no such target, or host.
    """
    from release.agents import connection, destinations
    from release.config import unchecked

    began, home, meta = time.monotonic(), files.home(), click.get_current_context().meta
    limit, skip = meta.get("release.limit", []), meta.get("release.skip", [])
    with contextlib.ExitStack() as stack:
        # To check the settings takes as long as an agent's start, a fifth of a second: both at the same time.
        found = unchecked.read(project)
        expected = destinations.expected(found.tables, name, home)
        if "release.skip" in meta:
            expected = destinations.skippable(expected)
        early = {
            there: stack.enter_context(connection.AgentProcess(there))
            for there in [
                there for there in expected if there.name not in skip and (not limit or there.name in limit)
            ][:most]
        }
        from release.config import release_toml

        settings = release_toml.check(found, index)
        target = settings.target(name)
        _require_own_index(name, target)
        hosts = destinations.selected(name, target.hosts or [name], limit, skip)
        left_out = [host for host in target.hosts or [] if host not in hosts]
        target = target.model_copy(update={"hosts": hosts[:most] if target.hosts else None})
        return TargetCommand(
            name, found.name, settings, target, home, began, early, stack.pop_all(), left_out
        )


def _require_own_index(name: str, target: "Target") -> None:
    """Raise PackhorseError when --index names an index for a target that has its own."""
    given = click.get_current_context().get_parameter_source("index")
    if target.index and given is click.core.ParameterSource.COMMANDLINE:
        raise PackhorseError(
            f"{name} takes versions from {target.index} alone, as release.toml says.",
            f"Leave --index away; bring a version there: release promote NAME==VERSION --to {target.index}",
        )


@contextlib.contextmanager
def progress_of(agents: "Mapping[str, AgentProcess]") -> "Iterator[ShowEvent]":
    """Show the progress of `agents` inside the block, as much of it as the user wants."""
    from release.deploy import progress

    with progress.shown(list(agents), options.chosen_verbosity()) as show:
        for host, agent in agents.items():
            show(host, {"event": "command", "command": agent.destination.command()})
        yield show


def ask(
    command: TargetCommand,
    kind: "type[Request]",
    show: "ShowEvent | None" = None,
    *,
    together: bool = False,
    **fields: object,
) -> "Outcome":
    """Ask all hosts a request of `kind` with `fields`, each on its own.

    `together`: all that can be reached do it, or none.
    """
    from release.agents import controller, schedule
    from release.deploy import requests

    several = len(command.target.hosts or []) > 1
    fields["gates"] = schedule.LOCK_GATES if together and several else []
    request = requests.request(
        kind, command.settings.app, command.target, command.home, target_name=command.name, **fields
    )
    with contextlib.ExitStack() as stack:
        agents = stack.enter_context(command.agents())
        shown = show or stack.enter_context(progress_of(agents))
        batch = len(agents) if request.gates else None
        return controller.run(agents, dict.fromkeys(agents, request), shown, batch)


def report(
    command: TargetCommand,
    kind: "type[Request]",
    each: Callable[[str, Mapping[str, Any]], None],
    *,
    as_json: bool,
    together: bool = False,
    **fields: object,
) -> None:
    """Ask all hosts (see `ask`), and print what they answer, by `each` (host, answer) or as JSON.

    Raises the error of the first host that has none.
    """
    outcome = ask(command, kind, None, together=together, **fields)
    if as_json:
        command.emit_json(outcome)
    else:
        print_each(outcome, each)
    command.finish(outcome)


def print_each(outcome: "Outcome", each: Callable[[str, Mapping[str, Any]], None]) -> None:
    """Print what every host answered, by `each` (host, answer).

    Raises PackhorseError, after the others, for a host whose answer cannot be right: it may be compromised.
    """
    from release.agents.connection import checked_answer

    wrong = []
    for host, last in outcome.results.items():
        try:
            with checked_answer(host):
                each(host, last)
        except PackhorseError as error:
            wrong.append(error)
    if wrong:
        raise wrong[0]


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print columns."""
    texts = [[console.printable(str(cell)) for cell in row] for row in [head, *rows]]
    widths = [max(map(len, column)) for column in zip(*texts, strict=True)]
    for row in texts:
        console.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
