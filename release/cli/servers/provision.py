"""The commands that prepare servers: provision, inventory."""

import contextlib
import re
from functools import partial
from pathlib import Path

import click

from packhorse import console, files
from packhorse.errors import PackhorseError
from release.cli import options, target_command

# Options with which ansible-playbook prepares nothing.
_ONLY_LOOKS = {"-C", "--syntax-check", "--list-hosts", "--list-tags", "--list-tasks"}


def _prepared(context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    """Names that `release provision` takes, for completion: services, the mirror, and targets."""
    from release.config import release_toml

    more: list[str] = []
    with contextlib.suppress(PackhorseError):
        config = release_toml.load(context.find_root().params["project"])
        more = [*config.services, *(["mirror"] if config.mirror else [])]
    fitting = [name for name in more if name.startswith(incomplete)]
    return sorted({*fitting, *target_command.names(context, incomplete)})


@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("target", shell_complete=_prepared)
@click.option("--limit", metavar="PATTERN", help="Only these hosts of TARGET, as Ansible has it.")
@click.option("--skip", multiple=True, metavar="HOST", help="Without this host, which may be down.")
@click.option("--check", is_flag=True, help="Change nothing: say what would be changed.")
@click.option("--diff", is_flag=True, help="Show what is changed inside of files.")
@options.index
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED, metavar="[ANSIBLE'S OPTIONS]...")
@click.pass_obj
def provision(
    project: Path,
    target: str,
    *,
    limit: str | None,
    skip: tuple[str, ...],
    check: bool,
    diff: bool,
    index: str | None,
    arguments: tuple[str, ...],
) -> None:
    """Prepare the hosts of TARGET: users, supervisor, nginx; first its databases, then its balancers.

    TARGET is one of release.toml; a service of it, for its hosts alone; `mirror` for the hosts of [mirror];
    or a host: in admin@web1.example.com, admin is who Ansible logs in as.

    May be run at any time, as often as you like: what is right stays as it is. At the end it says whose keys
    may deploy, the URL, and what comes next. Every other option goes to ansible-playbook, such as
    --ask-become-pass.
    """
    from release.agents import destinations
    from release.config import release_toml
    from release.provision import index_tokens, summary
    from release.provision import playbook as work

    config = release_toml.load(project, index=index)
    without = [host for value in skip for host in value.split(",") if host]
    if without:  # Ansible goes on with a host that is misspelled here
        destinations.selected(target, work.all_hosts(config, target), [], without)
    only_looks = check or bool(_ONLY_LOOKS & set(arguments))
    tokens = dict if only_looks else partial(index_tokens.of, config, target, files.home())
    flags = [*(["--check"] if check else []), *(["--diff"] if diff else []), *_limit(limit, without)]
    work.run(config, project, target, [*flags, *arguments], tokens)
    prepared = [host for host in work.all_hosts(config, target) if host not in without]
    prepared = [host for host in prepared if limit is None or host in re.split("[,:]", limit)]
    if prepared and not only_looks:
        own = [host for host in work.hosts(config, target) if host in prepared]
        for line in summary.lines(config, project, target, own):
            console.echo(line)


def _limit(limit: str | None, without: list[str]) -> list[str]:
    """Ansible's option for the hosts that --limit and --skip leave."""
    pattern = [limit or "all", *(f"!{host}" for host in without)]
    return ["--limit", ",".join(pattern)] if limit or without else []


@click.command()
@click.option("--list", "everything", is_flag=True, help="All groups and hosts.")
@click.option("--host", metavar="NAME", help="The variables of one host.")
@click.option("--target", metavar="[USER@]HOST", help="Also a host that release.toml has not.")
@options.index
@click.pass_obj
def inventory(
    project: Path, *, everything: bool, host: str | None, target: str | None, index: str | None
) -> None:
    """Print the hosts of release.toml as Ansible's dynamic inventory."""
    if everything == (host is not None):
        raise click.UsageError("Use either --list or --host NAME.")
    from release.config import release_toml
    from release.provision import inventory as work

    found = work.of(release_toml.load(project, index=index), project, target)
    known = found["_meta"]["hostvars"]
    if host is not None and host not in known:
        raise PackhorseError(
            f"There is no host {host} in release.toml.", "See them all: release inventory --list"
        )
    console.emit_json(work.literal(found if host is None else known[host]))


COMMANDS = (provision, inventory)
