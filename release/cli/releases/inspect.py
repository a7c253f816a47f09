"""The commands that look into releases: releases, show, diff, open, verify."""

import json
import os
import re
import secrets
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from packhorse import console
from packhorse.errors import PackhorseError
from release.cli import options, target_command

if TYPE_CHECKING:
    from release.agents.controller import Outcome
    from release.agents.schedule import HostState

HostResult = Mapping[str, Any]


@click.command()
@target_command.argument
@options.as_json
@click.pass_obj
def releases(project: Path, target: str, *, as_json: bool) -> None:
    """List the releases on TARGET: what changed, by whom and when, and what became of each."""
    command = target_command.begin(project, target)
    from release.host.request import Releases

    target_command.report(command, Releases, _releases, as_json=as_json)


def _releases(host: str, result: Mapping[str, Any]) -> None:
    console.echo(f"{result['app']} on {host}:")
    head = ["release", "version", "state", "changed", "by", "at", "reason"]
    target_command.table(head, [[row[key] for key in head] for row in result["releases"]])


@click.command()
@target_command.argument
@click.argument("release", required=False, type=int, metavar="[N]", shell_complete=target_command.releases)
@options.as_json
@click.pass_obj
def show(project: Path, target: str, release: int | None, *, as_json: bool) -> None:
    """Show what is in release N on TARGET (default: the current one), who made it, and what became of it.

    Version, commit, committer, artifact with its hash, index and signer, Python, processes, the names of
    variables (`release config list --reveal` has values), and dependencies with links to their changes.
    """
    command = target_command.begin(project, target)
    from release.host.request import Show

    outcome = target_command.ask(command, Show, releases=[release])
    if as_json:
        command.emit_json(outcome)
    else:
        _print_equal(outcome, _details)
    command.finish(outcome)


def _details(answer: HostResult) -> Iterable[str]:
    from release.inspect import comparison

    found = answer["releases"][0]
    yield f"Release {found['release']} of {answer['app']}:"
    yield from comparison.details(found)


@click.command()
@target_command.argument
@click.argument(
    "one", required=False, metavar="[N|TARGET]", shell_complete=target_command.releases_or_targets
)
@click.argument("other", required=False, type=int, metavar="[M]", shell_complete=target_command.releases)
@options.as_json
@click.pass_obj
def diff(project: Path, target: str, one: str | None, other: int | None, *, as_json: bool) -> None:
    """Show what is different between two releases: from N to M on TARGET, or between two targets.

    \b
      release diff production              from the release before to the current one
      release diff production 41           from release 41 to the current one
      release diff production 41 43        from 41 to 43
      release diff staging production      from what runs on staging to what runs on production

    Versions, commits, Python, dependencies (added +, changed ~, removed -) with links to their changes,
    processes, and variables: their names, never values.
    """
    if one is not None and not one.isdecimal():
        if other is not None:
            raise PackhorseError(f'"{one}" is no release.', f"Write: release diff {target} N {other}")
        _diff_targets(project, target, one, as_json=as_json)
        return
    command = target_command.begin(project, target)
    from release.host.request import Show

    wanted = [int(one), other] if one else [None]
    key = secrets.token_hex()
    outcome = target_command.ask(command, Show, releases=wanted, before=one is None, key=key)
    if as_json:
        console.emit_json({"target": target, "hosts": [_difference(host) for host in outcome.hosts]})
    else:
        _print_equal(outcome, _compared)
    command.finish(outcome)


def _difference(host: "HostState") -> dict[str, Any]:
    from release.deploy import outcome as outcomes
    from release.inspect import comparison

    known = outcomes.as_json(host)
    found = known.pop("releases", ())
    return {**known, "difference": comparison.difference(*found) if len(found) == 2 else None}


def _compared(answer: HostResult) -> Iterable[str]:
    from release.inspect import comparison

    found = answer["releases"]
    if len(found) < 2:
        return [f"Release {found[0]['release']} of {answer['app']}: there is no good one before it."]
    names = (f"release {found[0]['release']}", f"release {found[1]['release']}")
    return comparison.lines(comparison.difference(*found), names)


def _diff_targets(project: Path, one: str, other: str, *, as_json: bool) -> None:
    """Compare what the first hosts that answer, of two targets, have as current release."""
    from release.host.request import Show
    from release.inspect import comparison

    meta = click.get_current_context().meta
    if meta.get("release.limit") or meta.get("release.skip"):
        raise PackhorseError(
            "--limit and --skip choose among the hosts of one target, and these are two.",
            "Leave them away: of each target the first host that answers is compared.",
        )
    key = secrets.token_hex()
    commands = [target_command.begin(project, name) for name in (one, other)]
    found: list[tuple[str, HostResult]] = []
    for command in commands:
        outcome = target_command.ask(command, Show, releases=[None], key=key)
        if not outcome.results:
            command.finish(outcome)
        host, last = next(iter(outcome.results.items()))
        where = command.name if host == command.name else f"{command.name} ({host})"
        found.append((where, last["releases"][0]))
    (before, old), (after, new) = found
    difference = comparison.difference(old, new)
    if as_json:
        console.emit_json({"from": before, "to": after, "difference": difference})
        return
    names = (f"{before}: release {old['release']}", f"{after}: release {new['release']}")
    for line in comparison.lines(difference, names):
        console.echo(_one_line(line))


@click.command("open")
@target_command.optional_argument
@options.as_json
@click.pass_obj
def open_(project: Path, target: str | None, *, as_json: bool) -> None:
    """Open the public URL of TARGET in the browser, and print it; only print it where there is no display.

    Without a name it is the only target of release.toml, or `local` where there is none.
    """
    command = target_command.begin(project, target or _only_target(project))
    from release.host.request import Show

    outcome = target_command.ask(command, Show)
    currents = [last.get("current") for last in outcome.results.values()]
    urls = list(dict.fromkeys(current["url"] for current in currents if current and _is_url(current["url"])))
    if as_json:
        command.emit_json(outcome, urls=urls)
    elif urls:
        console.echo("\n".join(urls))
        _browse(urls[0])
    command.finish(outcome)
    if not urls:
        reason = "has no public URL" if any(currents) else "runs nothing"
        raise PackhorseError(
            f"{command.name} {reason}.",
            f"See what runs there, and where it listens: release status {command.name}",
        )


def _only_target(project: Path) -> str:
    from release.config import release_toml

    known = list(release_toml.load(project).targets)
    if len(known) > 1:
        raise PackhorseError("release.toml has several targets.", f"Name one: {', '.join(sorted(known))}")
    return known[0] if known else "local"


def _is_url(text: object) -> bool:
    """Whether a host names an address that a browser may be given."""
    return isinstance(text, str) and bool(re.fullmatch(r"https?://[A-Za-z0-9.:\[\]-]+/?", text))


def _browse(url: str) -> None:
    """Open `url` in a browser with a window; one in the terminal would take it over."""
    has_display = sys.platform == "darwin" or any(
        os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER")
    )
    if has_display:
        import webbrowser

        webbrowser.open(url)


def _print_equal(outcome: "Outcome", lines: Callable[[HostResult], Iterable[str]]) -> None:
    """Print what the hosts answer; those that answer the same together, as times are a host's own.

    Raises PackhorseError, after the others, for a host whose answer cannot be right: it may be compromised.
    """
    from release.agents.connection import checked_answer

    groups: dict[str, list[str]] = {}
    texts: dict[str, list[str]] = {}
    wrong = []
    for host, answer in outcome.results.items():
        try:
            with checked_answer(host):
                found = _timeless({key: answer[key] for key in ("app", "releases")})
                same = json.dumps(found, sort_keys=True)
                texts.setdefault(same, [_one_line(line) for line in lines(answer)])
                groups.setdefault(same, []).append(host)
        except PackhorseError as error:
            wrong.append(error)
    for same, hosts in groups.items():
        if len(outcome.hosts) > 1:
            console.echo(f"{', '.join(hosts)}:")
        for line in texts[same]:
            console.echo(line)
    if wrong:
        raise wrong[0]


def _timeless(value: Any) -> Any:  # noqa: ANN401 (JSON)
    if isinstance(value, dict):
        return {key: _timeless(each) for key, each in value.items() if key not in ("at", "made")}
    return [_timeless(each) for each in value] if isinstance(value, list) else value


def _one_line(text: str) -> str:
    """`text` without line breaks of its own: what an artifact says would look like something of ours."""
    return text.replace("\n", "\\n")


@click.command()
@target_command.argument
@options.wait
@options.as_json
@click.pass_obj
def verify(project: Path, target: str, *, wait: float, as_json: bool) -> None:
    """Compare the files of all releases on TARGET with what was installed; exit with 1 if one differs."""
    command = target_command.begin(project, target)
    from release.host.request import Verify

    target_command.report(command, Verify, _verified, as_json=as_json, lock_wait=wait)


def _verified(host: str, result: Mapping[str, Any]) -> None:
    numbers = ", ".join(map(str, result["releases"]))
    console.echo(f"{result['app']} on {host}: every file is as it was installed, in release {numbers}")


COMMANDS = (releases, show, diff, open_, verify)
