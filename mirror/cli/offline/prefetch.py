"""Commands that prepare for work without the upstream: prefetch, verify."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mirror.cli import options
from packhorse import console

if TYPE_CHECKING:
    from mirror.lockfiles.lock import Lock
    from mirror.offline.prefetch import Result
    from mirror.offline.resolve import Unresolved
    from mirror.offline.storage import StoredFiles
    from mirror.serving.running import Running

_PLATFORM_NAMES = "linux-x86_64, musl-aarch64, macos-arm64, windows-x86_64, …"


def of_locks(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the arguments and options that say which files of which locks are meant."""
    for add in reversed(
        [
            click.argument(
                "files", metavar="FILE_OR_REQUIREMENT…", type=click.Path(), nargs=-1, required=True
            ),
            click.option(
                "--python",
                "pythons",
                metavar="VERSION",
                multiple=True,
                help="Files for this Python, such as 3.12; repeat it for several  [default: this Python]",
            ),
            click.option(
                "--platform",
                "platforms",
                metavar="NAME",
                multiple=True,
                shell_complete=options.platforms,
                help=f"Files for this platform: {_PLATFORM_NAMES} or a wheel's tag such as"
                " manylinux_2_28_x86_64; repeat it for several  [default: this machine]",
            ),
            click.option("--all-files", is_flag=True, help="Every file of each version, for all platforms."),
            click.option(
                "--allow-builds",
                is_flag=True,
                help="Let uv build sdists to learn what they depend on: this runs programs of their authors.",
            ),
            options.index("Where to look  [default: company/dev, else root/pypi]"),
            options.as_json,
        ]
    ):
        command = add(command)
    return command


_ONLINE = "Run the command again when the mirror serves without --offline."
_REACHED = "`mirror status` says whether the upstream answers; run the command again when it does."
_CORRECT = "Correct the lock where the index has no such file; `mirror why NAME` says what policies withhold"


@dataclass(frozen=True)
class Fetched:
    """The files that the options of `of_locks` asked for, and whether they are in the cache."""

    lock: "Lock"
    results: "list[Result | Unresolved]"
    index_url: str
    here: "StoredFiles"
    mirror: "Running"

    def require_all(self) -> None:
        """Raise PackhorseError that names every file that is not in the cache."""
        from mirror.offline import report, storage
        from packhorse.errors import PackhorseError

        failures = report.failures(self.results)
        if not failures:
            return
        offline, hint = "", f"{_CORRECT}. {storage.MEND}, and run the command again."
        if self.mirror.offline:
            offline, hint = "This mirror is offline: ", _ONLINE
        elif report.is_out_of_reach(self.results):
            hint = _REACHED
        raise PackhorseError(f"{offline}{report.missing(self.results)}.", hint, detail="\n".join(failures))


def fetch(path: Path | None, given: Mapping[str, Any]) -> Fetched:
    """Bring what the options of `of_locks` ask for into the cache, with a progress bar."""
    from mirror import indexes
    from mirror.lockfiles import environments, reader
    from mirror.offline import prefetch as work
    from mirror.offline import storage
    from mirror.offline.resolve import Place
    from mirror.serving import running
    from packhorse.errors import PackhorseError

    targets = environments.wanted(given["pythons"], given["platforms"])
    lock = reader.read_for(given["files"], targets)
    mirror = running.find(options.folder())
    index = given["index"] or options.config(path).default_index
    bases = indexes.bases(indexes.read(mirror.api))
    if index not in bases:
        raise PackhorseError(
            f"The mirror has no index {index}.", f"Name one with --index: {', '.join(sorted(bases))}"
        )
    names = indexes.chain(index, bases)
    here = storage.StoredFiles(options.folder(), names)
    index_url = work.index_url(mirror, index)
    place = Place(index_url, offline=mirror.offline, builds=given["allow_builds"], login=mirror.login)
    where = "this mirror, which is offline," if mirror.offline else "the index"
    results: list[Result | Unresolved] = []
    with mirror.client(work.SILENCE) as client, console.transfer("Fetching") as (found, received):
        prefetch = work.Prefetch(index_url, here, client, every=given["all_files"], where=where)
        for event in work.fill(lock, targets, place, prefetch):
            match event:
                case work.Found(size):
                    found(size)
                case work.Received(size):
                    received(size)
                case _:
                    results.append(event)
    return Fetched(lock, results, index_url, here, mirror)


@click.command()
@of_locks
@click.pass_obj
def prefetch(path: Path | None, /, *, as_json: bool, **wanted: Any) -> None:  # noqa: ANN401 (of_locks)
    """Bring every file that locks or requirements need into the cache.

    \b
    FILE is a pylock.toml, requirements.txt, uv.lock, poetry.lock, pdm.lock or Pipfile.lock:
      mirror prefetch uv.lock
      mirror prefetch requirements.txt --python 3.11 --python 3.12 --platform linux-x86_64
      mirror prefetch "flask>=3" gunicorn==23.0.0
      uv export | mirror prefetch -

    All groups and extras of a lock count. uv resolves what has no version, or no hash, against the
    index. Of each version come the wheels that the Pythons and platforms take, or the sdist where
    there is none, with what it needs to be built. Hashes in a lock are checked. What is here
    already is checked, and not downloaded again: start it again after an interruption, and it goes
    on. Exit status 1 when a file is missing in the end. Needs the mirror to serve.
    """
    from mirror.offline import report

    fetched = fetch(path, wanted)
    lock, results = fetched.lock, fetched.results
    if as_json:
        console.emit_json(report.as_json(results, lock.elsewhere))
    else:
        for each in lock.elsewhere:
            console.echo(f"left out {each}", err=True)
        console.echo(report.as_text(results))
    fetched.require_all()


@click.command()
@of_locks
@click.pass_obj
def verify(path: Path | None, /, *, as_json: bool, **wanted: Any) -> None:  # noqa: ANN401 (of_locks)
    """Tell whether all files are here that locks or requirements install.

    \b
      mirror verify uv.lock
      mirror verify requirements.txt --python 3.12 --platform linux-x86_64

    Takes what `mirror prefetch` takes, and looks at the disk only: the mirror may be stopped or
    offline, and its upstream is not asked. Every file is read, and compared with its hash. Exit
    status 1 when something is missing, or broken. Policies are not looked at: `mirror why` says
    what they withhold.
    """
    import shlex

    from mirror.lockfiles import environments, reader
    from mirror.offline import storage
    from mirror.offline import verify as work
    from packhorse.errors import PackhorseError

    targets = environments.wanted(wanted["pythons"], wanted["platforms"])
    lock = reader.read_for(wanted["files"], targets)
    if not options.folder().initialised():
        raise PackhorseError(f"{options.folder().root}: there is no mirror.", "Make one with `mirror init`.")
    here = _stored(path, wanted["index"])
    verification = work.Verification(here, every=wanted["all_files"], builds=wanted["allow_builds"])
    results = list(verification.run(lock, targets))
    if as_json:
        console.emit_json(work.as_json(results))
    else:
        console.echo(work.as_text(results))
    if missing := [each for each in results if each.problem]:
        again = f"`mirror prefetch {shlex.join(wanted['files'])}`, and the same options"
        raise PackhorseError(
            "This does not install from what is here: "
            f"{len(missing)} of {len(results)} files are missing or broken.",
            f"Bring what is missing with {again}. {storage.MEND}.",
            detail="\n".join(map(str, missing)),
        )


def _stored(path: Path | None, index: str | None) -> "StoredFiles":
    """The files of an index, or of the default one, and of those that it inherits from by mirror.toml."""
    from mirror.config import UPSTREAM_INDEX
    from mirror.offline import storage
    from packhorse.errors import PackhorseError

    config, folder = options.config_that_holds(path, keys={"indexes"}), options.folder()
    name = index or config.default_index
    if name not in {UPSTREAM_INDEX, *config.indexes} and not (folder.files / name).is_dir():
        raise PackhorseError(
            f"mirror.toml has no index {name}, and nothing is stored for it.",
            f"Name one with --index: {', '.join([*config.indexes, UPSTREAM_INDEX])}",
        )
    return storage.StoredFiles(folder, storage.indexes(config, name))


COMMANDS = (prefetch, verify)
