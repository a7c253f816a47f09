"""The `release` command: its options, and its commands by the sections of its help."""

import itertools
from pathlib import Path

import click

from packhorse import console
from release.cli import options
from release.cli.config import commands as config
from release.cli.index import login, upload, versions
from release.cli.processes import application, logs, maintenance, ps, run
from release.cli.project import build, local, new
from release.cli.releases import assets, deploy, inspect
from release.cli.servers import doctor, firewall, provision, ssh
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


COMMANDS = itertools.chain(
    *((new.new,), local.COMMANDS, build.COMMANDS),
    *(login.COMMANDS, upload.COMMANDS, versions.COMMANDS),
    *(deploy.COMMANDS, inspect.COMMANDS, assets.COMMANDS),
    config.COMMANDS,
    *(application.COMMANDS, ps.COMMANDS, maintenance.COMMANDS, logs.COMMANDS, run.COMMANDS),
    services.COMMANDS,
    *(provision.COMMANDS, (firewall.firewall, doctor.doctor, ssh.ssh)),
)
for command in COMMANDS:
    cli.add_command(command)
cli.add_command(new.new, "init")  # what other tools call it


def main() -> None:
    """Run the `release` command."""
    console.run(cli)
