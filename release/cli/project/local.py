"""The command that runs the project's Procfile on this machine: release local."""

import contextlib
import functools
import os
import queue
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import click

from packhorse import files
from packhorse.errors import PackhorseError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from release.local.environment import Environment
    from release.local.formation import LocalProcess
    from release.local.manager import LocalEvents


class _StartsByDefault(click.Group):
    """A group whose command `start` needs no name: `release local web=2` is `release local start web=2`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        helps = args and args[0] in ctx.help_option_names
        if not helps and (not args or args[0] not in self.commands):
            args = ["start", *args]
        return super().parse_args(ctx, args)

    def format_usage(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        formatter.write_usage(ctx.command_path, "[OPTIONS] [TYPE | TYPE=N]...")
        formatter.write_usage(ctx.command_path, "run [OPTIONS] CMD...")

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        self.commands["start"].format_options(ctx, formatter)
        self.format_commands(ctx, formatter)


@click.group(cls=_StartsByDefault)
def local() -> None:
    """Run the Procfile of this folder while you work on it: no build, no release, no server.

    \b
    release local                    all of the Procfile; Ctrl-C stops it
    release local web=2 worker=0     two of web, no worker
    release local web                web alone
    release local --watch            again whenever a file of the project changes
    release local run flask shell    one command with the same environment

    `web` is at http://127.0.0.1:5000, or the next free port; every process has a PORT of its own. A line of
    the Procfile works as on servers: without $PORT, web gets an open socket as descriptor 3, which gunicorn
    finds by itself. When one process ends, the others are stopped, and its exit status is the command's.

    The environment is that of your shell, then env of [targets.local], then .env. Programs of .venv in the
    project, or else of $VIRTUAL_ENV, come first. DATA_DIR is a folder below $PACKHORSE_HOME.

    This is not the target `local`: `release deploy local` installs a built version on this machine, as on a
    server, keeps it running below a supervisor, and `release logs local` shows what that writes.
    """


def _types(context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    """Process types of the Procfile, for completion; `run`, too, which is a command."""
    from release.local import formation

    with contextlib.suppress(PackhorseError):
        kinds = formation.read(context.find_root().params["project"])
        named = [kind for kind in kinds if kind != formation.RELEASE_PHASE]
        words = [*named, *(f"{kind}=" for kind in named), "run"]
        return [word for word in words if word.startswith(incomplete)]
    return []


_env_file = click.option(
    "-e",
    "--env-file",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Variables, as lines NAME=VALUE.  [default: .env in the project, if there is one]",
)


@local.command(hidden=True)
@click.argument("wanted", nargs=-1, metavar="[TYPE | TYPE=N]...", shell_complete=_types)
@click.option("--watch", is_flag=True, help="Restart all when a file of the project changes; keeps going.")
@click.option("--keep-going", is_flag=True, help="One that ends stays ended, and leaves the others running.")
@click.option(
    "--port",
    type=click.IntRange(1, 65535),
    default=5000,
    show_default=True,
    help="The port of web, or the first free one after it; the other processes have the next ones.",
)
@click.option("--release-phase", is_flag=True, help="Run `release:` of the Procfile first, to its end.")
@_env_file
@click.pass_context
def start(
    context: click.Context,
    wanted: tuple[str, ...],
    *,
    watch: bool,
    keep_going: bool,
    port: int,
    release_phase: bool,
    env_file: Path | None,
) -> None:
    """Run the Procfile of this folder."""
    from release.local import environment, formation, manager
    from release.local.output import ProcessOutput

    project: Path = context.obj
    commands = formation.read(project)
    chosen = formation.choose(commands, wanted)
    variables = functools.partial(environment.read, project, env_file, os.environ, files.home())
    shared = variables()
    events: LocalEvents = queue.SimpleQueue()

    def read_again() -> "tuple[list[LocalProcess], dict[str, str]]":
        return formation.again(processes, formation.read(project)), variables().variables

    with contextlib.ExitStack() as stack:
        processes = stack.enter_context(formation.with_ports(chosen, port, files.home()))
        output = ProcessOutput([process.name for process in processes], sys.stdout.fileno(), os.environ)
        for line in _introduction(shared, processes, port):
            output.say(line)
        run = functools.partial(manager.Manager, project, output=output, events=events)
        if release_phase:
            phase = run([formation.release_phase(commands)], shared.variables)
            if status := phase.run():
                context.exit(status)
        if watch:
            used = [project / "Procfile", env_file or project / environment.ENV_FILE]
            stack.enter_context(_watching(project, shared, used, events))
        reload = read_again if watch else None
        status = run(processes, shared.variables, keep_going=keep_going or watch, reload=reload).run()
    context.exit(status)


def _introduction(shared: "Environment", processes: "Sequence[LocalProcess]", port: int) -> "Iterator[str]":
    """Lines that say where the application is reached, and which Python and data it has."""
    for process in processes:
        if process.kind == "web":
            taken = f" ({port} is taken)" if process is processes[0] and process.port != port else ""
            yield f"{process.name}: http://127.0.0.1:{process.port}{taken}"
    place = shared.virtualenv
    yield f"Programs: {place / 'bin' if place else 'those of PATH, as there is no .venv'}"
    yield f"DATA_DIR: {shared.variables['DATA_DIR']}"


@contextlib.contextmanager
def _watching(
    project: Path, shared: "Environment", used: list[Path], events: "LocalEvents"
) -> "Iterator[None]":
    """Put changes of the project, and of the files that are `used`, into `events` inside the block."""
    from release.local import changes, manager

    over = threading.Event()
    without = [Path(shared.variables["DATA_DIR"]), *([shared.virtualenv] if shared.virtualenv else [])]

    def work() -> None:
        try:
            changes.watch(project, without, used, lambda paths: events.put(manager.Changed(paths)), over)
        except PackhorseError as error:
            events.put(manager.Failed(error))

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


@local.command("run", context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@_env_file
@click.argument("command", nargs=-1, required=True, metavar="CMD...", type=click.UNPROCESSED)
@click.pass_obj
def run_(project: Path, *, command: tuple[str, ...], env_file: Path | None) -> None:
    """Run one command with the environment of the processes, in the folder of the project.

    It has this terminal, gets signals itself, and its exit status is the result. Programs of .venv come
    first. No shell sees CMD; `release local run sh -c 'echo $DATA_DIR'` has one.
    """
    from release.local import environment

    shared = environment.read(project, env_file, os.environ, files.home())
    os.chdir(project)
    try:
        os.execvpe(command[0], command, shared.variables)  # noqa: S606  # to become the program is the purpose
    except OSError as error:
        where = f"{shared.virtualenv / 'bin'} and PATH" if shared.virtualenv else "PATH; there is no .venv"
        failure = PackhorseError(
            f"{command[0]}: {error.strerror} (looked in {where}).",
            "Name the program and its arguments as separate words: release local run flask shell",
        )
        failure.exit_code = 127 if isinstance(error, FileNotFoundError) else 126  # as sh(1) has it
        raise failure from error


COMMANDS = (local,)
