"""The `release` command: the group, and build, lock and upload."""

import dataclasses
import itertools
from pathlib import Path

import click

from packhorse import console
from release.cli import options
from release.cli.config import commands as config
from release.cli.index import login, versions
from release.cli.processes import application, logs, maintenance, ps, run
from release.cli.project import local, new
from release.cli.releases import assets, deploy, inspect
from release.cli.servers import doctor, firewall, provision
from release.cli.services import commands as services

SECTIONS = {
    "On this machine": ("new", "local", "build", "lock"),
    "Company index": ("login", "logout", "upload", "promote", "pipeline"),
    "Releases": ("deploy", "rollback", "releases", "show", "diff", "open", "verify", "assets"),
    "Configuration": ("config",),
    "Processes": ("status", "ps", "scale", "start", "stop", "maintenance", "logs", "run", "jobs", "journal"),
    "Databases": ("services",),
    "Servers": ("provision", "firewall", "doctor", "ssh", "inventory"),
}


class _Sections(click.Group):
    """A group whose help lists its commands by what they are about."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        width = max(map(len, self.list_commands(ctx)))
        for title, names in SECTIONS.items():
            with formatter.section(title):
                rows = [(name, self.commands[name]) for name in names]
                limit = formatter.width - width - 4  # indent and gap
                formatter.write_dl(
                    [(name.ljust(width), command.get_short_help_str(limit)) for name, command in rows]
                )


@click.group(
    cls=_Sections,
    context_settings={"auto_envvar_prefix": "RELEASE", "help_option_names": ["-h", "--help"]},
)
@click.option(
    "-C",
    "--project",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    default=".",
    show_default=True,
    show_envvar=True,
    help="Folder of the project, with its pyproject.toml and release.toml.",
)
@options.verbosity
@click.version_option(package_name="packhorse", message="packhorse %(version)s")
@click.pass_context
def cli(context: click.Context, project: Path) -> None:
    """Build a Python project, upload it to the company index, and run it on your servers.

    \b
    In the folder of a web application:
      release new             Procfile, release.toml and what else it lacks
      release local           run it here while you work on it: no build, no server
      release build           wheel and sdist, with the lock of all dependencies inside
      release upload          to the company index
      release deploy local    on this machine as on a server: install, start, probe, switch; says the URL
      release logs local -f   what it writes

    Servers are targets of release.toml (release deploy production), or hosts as ssh knows them (release
    provision admin@web1.example.com, release deploy web1.example.com). They are reached by ssh, with your
    ~/.ssh/config or the file $RELEASE_SSH_CONFIG, your agent and your known_hosts.

    Everything has a default; release.toml (see release.example.toml) changes it.

    \b
    Completion of commands, options and targets, for bash (zsh and fish likewise):
      eval "$(_RELEASE_COMPLETE=bash_source release)"
    """
    context.obj = project.absolute()


GROUPS = (
    *(local.COMMANDS, login.COMMANDS, versions.COMMANDS, deploy.COMMANDS, config.COMMANDS),
    *(application.COMMANDS, logs.COMMANDS, ps.COMMANDS, provision.COMMANDS),
    *(maintenance.COMMANDS, services.COMMANDS),
    *(inspect.COMMANDS, run.COMMANDS, assets.COMMANDS),
)
for command in (new.new, *itertools.chain(*GROUPS), doctor.doctor, firewall.firewall):
    cli.add_command(command)
cli.add_command(new.new, "init")  # what other tools call it


def main() -> None:
    """Run the `release` command."""
    console.run(cli)


@cli.command()
@click.option("--sdist", is_flag=True, help="Build the sdist.  [default: sdist and wheel]")
@click.option("--wheel", is_flag=True, help="Build the wheel.  [default: sdist and wheel]")
@click.option(
    "--check/--no-check",
    default=True,
    help="Import what the Procfile names from the wheel: a second, a minute at most.  [default: check]",
)
@options.sign
@options.outdir
@options.index
@options.as_json
@click.pass_obj
def build(
    project: Path,
    *,
    sdist: bool,
    wheel: bool,
    check: bool,
    sign: Path | None,
    outdir: Path | None,
    index: str | None,
    as_json: bool,
) -> None:
    """Build the project, lock its dependencies, stamp both into the artifacts.

    A project without a Procfile is a library: it is built for the upload, without a lock. Build requirements
    and dependencies come from the company index. The same commit gives the same bytes.
    """
    from release import context as contexts
    from release.build import artifacts as builder
    from release.build import source_tree as projects

    projects.pyproject(project)  # without one there is nothing to build, whatever the index
    selected = {builder.SDIST: sdist, builder.WHEEL: wheel}
    kinds = [kind for kind in selected if selected[kind]] or list(selected)
    context = dataclasses.replace(contexts.of_project(project, index), check=check)
    with console.working(f"Building {project.name}"):
        result = builder.build(project, outdir or project / "dist", kinds, context, sign)
    if result.library:
        console.echo("There is no Procfile: this is a library, to be uploaded and not deployed.", err=True)
    if result.lock_is_new:
        console.echo(f"{result.lock} is new: commit it.", err=True)
    if result.manifest.dirty:
        console.echo("The project has changes that are not committed; the manifest says so.", err=True)
    for warning in result.warnings:
        console.echo(f"Warning: {warning}", err=True)
    if as_json:
        console.emit_json(result.as_json())
    else:
        for item in result.artifacts:
            console.echo(f"{_short(item.path)}  {item.size / 1000:.1f} kB  sha256 {item.sha256}")


@cli.command()
@click.option("--upgrade", is_flag=True, help="Take the newest versions that the dependencies allow.")
@click.option(
    "--requirements", is_flag=True, help="Change nothing: print the lock as requirement lines for pip and uv."
)
@options.index
@click.pass_obj
def lock(project: Path, *, upgrade: bool, requirements: bool, index: str | None) -> None:
    """Make or renew pylock.toml: every dependency with version and hashes, for every Python and platform.

    Versions stay as they are as long as they fit; --upgrade moves them.
    """
    from release import context as contexts
    from release.build import lock as locks
    from release.build import sdists
    from release.build import source_tree as projects

    if requirements:
        console.echo("\n".join(locks.requirement_lines(project)))
        return
    projects.pyproject(project)
    context = contexts.of_project(project, index)
    with console.working(f"Locking {project.name}"):
        changed = locks.renew(project, context, upgrade=upgrade)
        changed += sdists.lock_requirements(project, context, renew=True, upgrade=upgrade)
    console.echo("\n".join(changed) or "pylock.toml fits: nothing has changed.")


@cli.command()
@click.argument("artifacts", nargs=-1, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--username", metavar="NAME", help="Who uploads.  [env var: TWINE_USERNAME; default: index owner]"
)
@options.sign
@options.outdir
@options.index
@options.as_json
@click.pass_obj
def upload(
    project: Path,
    *,
    artifacts: tuple[Path, ...],
    username: str | None,
    sign: Path | None,
    outdir: Path | None,
    index: str | None,
    as_json: bool,
) -> None:
    """Bring ARTIFACTS to the company index; by default the version that was built last.

    The password comes from $TWINE_PASSWORD, from the keyring (release login), or from the mirror of this
    machine.
    """
    from release import context as contexts
    from release import credentials, signing
    from release.build import source_tree
    from release.upload import twine as uploader

    paths = artifacts or uploader.last_built(outdir or project / "dist", source_tree.version(project))
    context = contexts.of_project(project, index)
    if sign:
        for path in paths:
            signing.sign(path, sign)
    with console.working(f"Uploading to {context.index_url}"):
        done = uploader.upload(
            paths, lambda: credentials.of_user(context.index_url, context.home, username), context
        )
    if as_json:
        console.emit_json(
            {"index": context.index_url, "artifacts": [dataclasses.asdict(item) for item in done]}
        )
    else:
        for item in done:
            console.echo(
                f"{item.filename}  {'uploaded' if item.new else 'was there already, with the same bytes'}"
            )


def _short(path: Path) -> Path:
    """`path` as seen from here, when it lies below."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
