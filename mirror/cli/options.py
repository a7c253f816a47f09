"""Shared by several commands: the mirror's folder and settings, options, completion in the shell."""

import contextlib
from collections.abc import Callable, Collection, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from packhorse import files
from packhorse.errors import PackhorseError

if TYPE_CHECKING:
    from mirror.api import Api
    from mirror.config import MirrorConfig
    from mirror.state import Folder

C = TypeVar("C", bound=Callable[..., object])
Complete = Callable[[click.Context, click.Parameter, str], list[str]]

as_json = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")


def _complete(find: Callable[[Path | None], Iterable[str]]) -> Complete:
    """Completion by the names that `find` finds, given --config; by none where something is wrong."""

    def complete(context: click.Context, _parameter: click.Parameter, begun: str) -> list[str]:
        with contextlib.suppress(PackhorseError):
            found = find(context.find_root().params.get("path"))
            return sorted(name for name in found if name.startswith(begun))
        return []

    return complete


def _users(_path: Path | None) -> Iterable[str]:
    from mirror.accounts import users as work

    return (row["name"] for row in work.listing(api()))


def _tokens(_path: Path | None) -> Iterable[str]:
    from mirror.accounts import tokens as work

    return (row["id"] for row in work.listing(api()))


def _reserved(_path: Path | None) -> Iterable[str]:
    from mirror.packages import reserve

    return reserve.records(api())


def _platforms(_path: Path | None) -> Iterable[str]:
    from mirror.lockfiles import environments

    return environments.PLATFORMS


indexes = _complete(lambda path: {*config(path).indexes, "root/pypi"})
users = _complete(_users)
tokens = _complete(_tokens)
reserved = _complete(_reserved)
platforms = _complete(_platforms)


def index(text: str, name: str = "index", *, required_ones: bool = False) -> Callable[[C], C]:
    """The option `--index` with the help `text`, for the parameter `name`; `required_ones`: one or more."""
    return click.option(
        "--index",
        name,
        metavar="USER/NAME",
        multiple=required_ones,
        required=required_ones,
        show_envvar=True,
        shell_complete=indexes,
        help=text,
    )


def folder() -> "Folder":
    """The mirror's folder in $PACKHORSE_HOME."""
    from mirror.state import Folder

    return Folder(files.home())


def api() -> "Api":
    """The API of the running mirror, as root. Raises PackhorseError when none runs."""
    from mirror.serving import running

    return running.connect(folder())


def config(path: Path | None, given: dict[str, object] | None = None) -> "MirrorConfig":
    """The settings in `path` (None: where they are by default), overridden by `given`."""
    from mirror import config as settings

    return settings.load(config_file(path), given)


def config_file(path: Path | None) -> Path:
    """The settings file: `path`, or where it is by default; it need not exist."""
    from mirror import config as settings

    return path or settings.find(files.home())


def config_that_holds(
    path: Path | None, given: dict[str, object] | None = None, keys: Collection[str] | None = None
) -> "MirrorConfig":
    """Settings to go by: as `config`, but of the file that `mirror init` read, unless `path` names one.

    Raises PackhorseError for another file whose settings differ; `keys` are those that count (None: all).
    """
    from mirror import last_settings

    found = config(path)
    if path is None:
        last_settings.require_same(folder(), config_file(path), found, keys)
    return config(path, given) if given else found


def note_of_difference(path: Path | None, what: str, in_force: object, declared: object) -> str:
    """Lines below settings `in_force`, such as "policies", when mirror.toml declares others; or ""."""
    from mirror import last_settings

    if in_force == declared:
        return ""
    last = None if path else last_settings.of_another_file(folder(), config_file(path))
    if last is not None:
        return f"\n\nthese are of {last.file}, which `mirror init` has read last, and not of this folder"
    return f"\n\nmirror.toml declares other {what} than these, which are in force: `mirror init` applies it."
