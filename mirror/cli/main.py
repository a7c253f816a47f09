"""Command lines in, one call each, results out: the `mirror` command."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from packhorse import console, files

if TYPE_CHECKING:
    from mirror.config import MirrorConfig
    from mirror.state import Folder

HELP = """Run the company index: a caching mirror of the public index, and your own packages.

\b
Start with:
  mirror init                  make it, in $PACKHORSE_HOME (default ~/.packhorse)
  mirror serve --background    start it, and come back when it answers
  mirror status                see where it is and what it holds
  pip install --index-url http://127.0.0.1:3141/company/dev/+simple/ flask

Everything has a default; mirror.toml (see mirror.example.toml) changes it.

\b
Completion of commands and options, for bash (zsh and fish likewise):
  eval "$(_MIRROR_COMPLETE=bash_source mirror)"
"""


@click.group(
    help=HELP, context_settings={"auto_envvar_prefix": "MIRROR", "help_option_names": ["-h", "--help"]}
)
@click.option(
    "--config",
    "path",
    envvar="MIRROR_CONFIG",
    type=click.Path(dir_okay=False, exists=True, path_type=Path),
    show_envvar=True,
    help="The settings  [default: ./mirror.toml, else $PACKHORSE_HOME/mirror.toml; neither is needed]",
)
@click.version_option(package_name="packhorse", message="packhorse %(version)s")
@click.pass_context
def cli(context: click.Context, path: Path | None) -> None:
    context.obj = path


@cli.command()
@click.option(
    "--new-password",
    "renew",
    metavar="USER",
    multiple=True,
    help="Give this user of mirror.toml a new password. May be given several times.",
)
@click.pass_obj
def init(path: Path | None, renew: tuple[str, ...]) -> None:
    """Make the mirror match mirror.toml, and say what was changed.

    Creates the data of devpi-server, users with generated passwords (in credentials.json, readable
    by you alone) and indexes. May be run at any time, also while the mirror serves. Users and
    indexes that mirror.toml does not name are left alone.

    If credentials.json was lost, MIRROR_INIT_ROOT_PASSWORD in the environment is taken as the
    password of root.
    """
    from mirror import init as work

    wishes = work.Wishes(_load(path), renew, os.environ.get("MIRROR_INIT_ROOT_PASSWORD"))
    changes = 0
    for sentence in work.run(wishes, _folder(), lambda text: click.echo(text, err=True)):
        click.echo(sentence)
        changes += 1
    if not changes:
        click.echo("nothing to change")


@cli.command()
@click.option("--host", show_envvar=True, help="Address to listen on, instead of `host` in mirror.toml.")
@click.option(
    "--port",
    type=click.IntRange(1, 65535),
    show_envvar=True,
    help="Port to listen on, instead of `port` in mirror.toml.",
)
@click.option(
    "--offline", is_flag=True, show_envvar=True, help="Serve what is in the cache, and ask no upstream."
)
@click.option("--background", is_flag=True, help="Come back when it answers; its log is mirror/server.log.")
@click.pass_obj
def serve(path: Path | None, host: str | None, port: int | None, *, offline: bool, background: bool) -> None:
    """Serve the mirror until it is stopped (this process becomes devpi-server)."""
    from mirror import server

    given = {"host": host, "port": port, "offline": offline or None}
    config = _load(path, {key: value for key, value in given.items() if value is not None})
    if not background:
        server.serve(config, _folder())
    options = ["--host", config.host, "--port", str(config.port), *(["--offline"] if config.offline else [])]
    settings = ["--config", str(path)] if path else []
    started = server.serve_in_background(
        config, _folder(), [sys.executable, "-Im", "mirror", *settings, "serve", *options]
    )
    click.echo(f"serving at {started.url} (process {started.pid})")


_index = click.option(
    "--index", metavar="USER/NAME", show_envvar=True, help="The index of uploads  [default: company/dev]"
)


@cli.command()
@click.argument("release", metavar="NAME==VERSION")
@_index
@click.option("--reason", metavar="TEXT", help="Shown by installers to those who pinned it.")
@click.pass_obj
def yank(path: Path | None, release: str, index: str | None, reason: str | None) -> None:
    """Withdraw a release of your own: installers no longer choose it, those who pinned it still get it.

    It can be taken back with `mirror unyank`. Nothing is deleted (PEP 592).
    """
    from mirror import yanking

    api = yanking.connect(_folder())
    click.echo(yanking.yank(api, index or _load(path).default_index, release, reason))


@cli.command()
@click.argument("release", metavar="NAME==VERSION")
@_index
@click.pass_obj
def unyank(path: Path | None, release: str, index: str | None) -> None:
    """Let installers choose a release again that was yanked."""
    from mirror import yanking

    api = yanking.connect(_folder())
    click.echo(yanking.unyank(api, index or _load(path).default_index, release))


@cli.command()
def stop() -> None:
    """Stop the mirror that serves; fine when none does."""
    from mirror import server

    stopped = server.stop(_folder())
    click.echo(f"stopped {stopped.url} (process {stopped.pid})" if stopped else "no mirror serves")


@cli.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--index", metavar="USER/NAME", help="Where to look  [default: company/dev, else root/pypi]")
@click.pass_obj
def prefetch(path: Path | None, file: Path, index: str | None) -> None:
    """Bring every file that a lock needs on this Python and platform into the cache.

    FILE is a pylock.toml or a requirements.txt in which every line is pinned. Hashes in it are
    checked. Needs the mirror to serve.
    """
    from mirror import locks
    from mirror import prefetch as work

    wanted = locks.read(file)
    index_url = work.index_url(_folder(), index or _load(path).default_index)
    results = []
    with console.progress(f"{file.name}:", len(wanted)) as step:
        for result in work.fetch_all(wanted, index_url):
            results.append(result)
            step()
    click.echo(work.summary(results))


@cli.command()
@click.argument("target", type=click.Path(file_okay=False, path_type=Path))
@click.option("--keep", type=click.IntRange(1), default=7, show_default=True, help="How many backups stay.")
def backup(target: Path, keep: int) -> None:
    """Make a backup in the folder TARGET, also while the mirror serves.

    Best on another disk: on the mirror's own, files are links, which the loss of the disk takes too.
    """
    from datetime import UTC, datetime

    from mirror import backup as work

    click.echo(work.make(_folder(), target.absolute(), keep, datetime.now(UTC)))


@cli.command()
@click.argument("backup", type=click.Path(exists=True, file_okay=False, path_type=Path))
def restore(backup: Path) -> None:
    """Make the mirror of BACKUP, a folder that `mirror backup` made, again, where there is none."""
    from mirror import backup as work

    work.restore(_folder(), backup)
    click.echo(f"restored {_folder().root} from {backup}")


@cli.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def status(context: click.Context, *, as_json: bool) -> None:
    """Say where the mirror is, what it holds, and whether its upstream answers.

    Exit status: 0 when it serves, 3 when it does not run (as `systemctl status`), 1 for trouble.
    """
    from mirror import status as work

    report = work.gather(_folder())
    if as_json:
        console.emit_json(work.as_json(report))
    else:
        click.echo(work.as_text(report))
    context.exit(work.exit_code(report))


@cli.command()
@click.option(
    "-o",
    "--output",
    "target",
    type=click.Path(dir_okay=False, allow_dash=True, path_type=Path),
    help="Where to write it, - for stdout.  [default: mirror/nginx.conf in $PACKHORSE_HOME]",
)
@click.pass_obj
def front(path: Path | None, target: Path | None) -> None:
    """Write nginx's configuration: pages and files from disk, everything else from devpi-server.

    It is tested with `nginx -t` first. What is cached is installed even while devpi-server is
    stopped. [front] in mirror.toml says where nginx listens, and which certificate it shows.
    """
    from mirror import front as work

    config, folder = _load(path), _folder()
    if target == Path("-"):
        click.echo(work.text(config, folder), nl=False)
        return
    for sentence in work.write(config, folder, target or folder.root / "nginx.conf"):
        click.echo(sentence)


def _folder() -> "Folder":
    from mirror.state import Folder

    return Folder(files.home())


def _load(path: Path | None, given: dict[str, object] | None = None) -> "MirrorConfig":
    from mirror import config

    return config.load(path or config.find(files.home()), given)


def main() -> None:
    """Run the `mirror` command."""
    console.run(cli)
