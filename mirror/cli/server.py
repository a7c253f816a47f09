"""Commands that create, start, stop and show the server: init, serve, stop, status, front."""

import os
from pathlib import Path

import click

from mirror.cli import options
from packhorse import console


@click.command()
@click.option(
    "--new-password",
    "renew",
    metavar="USER",
    multiple=True,
    shell_complete=options.users,
    help="Give this user of mirror.toml a new password. May be given several times.",
)
@click.pass_obj
def init(path: Path | None, renew: tuple[str, ...]) -> None:
    """Make the mirror match mirror.toml, and say what was changed.

    Creates the data of devpi-server, users with generated passwords (in credentials.json, readable
    by you alone) and indexes. May be run at any time, also while the mirror serves. Users and
    indexes that mirror.toml does not name are left alone. Without a mirror.toml, or with another one than
    last time that --config does not name, it refuses to take back what the last one has declared.

    If credentials.json was lost, MIRROR_INIT_ROOT_PASSWORD in the environment is taken as the
    password of root.
    """
    from mirror import config as settings
    from mirror import init as work

    config, file = options.config(path), options.config_file(path)
    missing = () if file.exists() else settings.places(options.folder().home)
    where = " or ".join(map(str, missing))
    console.echo(f"no {where}: all settings are the defaults" if missing else f"read {file}", err=True)
    root = os.environ.get("MIRROR_INIT_ROOT_PASSWORD")
    request = work.InitRequest(config, renew, root, missing, file, is_named=path is not None)
    changes = 0
    for sentence in work.run(request, options.folder(), lambda text: console.echo(text, err=True)):
        console.echo(sentence)
        changes += 1
    if not changes:
        console.echo("nothing to change")


@click.command()
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
@click.option("--background", is_flag=True, help="Return when it answers; its log is mirror/server.log.")
@click.pass_obj
def serve(path: Path | None, host: str | None, port: int | None, *, offline: bool, background: bool) -> None:
    """Serve the mirror until it is stopped (this process becomes devpi-server)."""
    from mirror.serving import server

    given = {"host": host, "port": port, "offline": offline or None}
    config = options.config_that_holds(
        path, {key: value for key, value in given.items() if value is not None}
    )
    if config.offline:
        console.echo("offline: no upstream is asked", err=True)
    if not background:
        server.serve(config, options.folder())
    started = server.serve_in_background(config, options.folder())
    console.echo(f"serving at {started.url} (process {started.pid})")


@click.command()
def stop() -> None:
    """Stop the mirror that serves; fine when none does."""
    from mirror.serving import stop as work

    stopped = work.stop(options.folder())
    console.echo(f"stopped {stopped.url} (process {stopped.pid})" if stopped else "no mirror serves")


@click.command()
@options.as_json
@click.pass_context
def status(context: click.Context, *, as_json: bool) -> None:
    """Show the mirror's address, what it holds, and whether its upstream answers.

    Exit status: 0 when it serves, 3 when it does not run (as `systemctl status`), 1 when it runs and does
    not answer.
    """
    from mirror.serving import status as work

    report = work.gather(options.folder())
    if as_json:
        console.emit_json(work.as_json(report))
    else:
        console.echo(work.as_text(report))
    context.exit(work.exit_code(report))


@click.command()
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
    from mirror.serving import front as work

    config, folder = options.config_that_holds(path), options.folder()
    if target == Path("-"):
        work.require_tls(config)
        console.echo(work.text(config, folder), nl=False)
        return
    for sentence in work.write(config, folder, target or folder.root / "nginx.conf"):
        console.echo(sentence)


COMMANDS = (init, serve, stop, status, front)
