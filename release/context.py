"""The context of a command on a project: the company index, PACKHORSE_HOME, processes and HTTP."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from packhorse import files, process
from release import index, reading
from release.config import company_index, release_toml


@dataclass(frozen=True)
class Context:
    """The company index (its URL), PACKHORSE_HOME, a way to run processes, and HTTP.

    `sdists`, `build_requires`, `files` and `build_environment` are as in release.toml; without `signers`
    nothing has to be signed. `read_token`: one for installers, as `reading.Reader.token`. `values`: target ->
    its `env`; `pythons`: what its targets ask for; `static`: the folder of [static]. With `check`, a build
    imports what the Procfile names.
    """

    index_url: str
    home: Path
    run: process.Runner
    get: index.Get = index.get
    read_token: Callable[[], str | None] = lambda: None
    sdists: Collection[str] = ()
    build_requires: Collection[str] = ()
    files: Collection[str] = ()
    build_environment: Collection[str] = ()
    signers: Sequence[str] = ()
    values: Mapping[str, Mapping[str, str]] = field(default_factory=dict, repr=False)
    pythons: Collection[str] = ()
    static: str | None = None
    check: bool = False

    @property
    def environment(self) -> dict[str, str]:
        """The environment of everything that installs: the company index and nothing else.

        Build backends of strangers see it: of a login it has the token alone that reads for an hour.
        """
        url = company_index.simple_url(self.index_url)
        return {**self.plain_environment, **reading.uv_variables(url, self.read_token())}

    @property
    def plain_environment(self) -> dict[str, str]:
        """The same for what installs nothing."""
        url = company_index.simple_url(self.index_url)
        return process.installer_environment(url, self.home, self.build_environment)


def of_project(project: Path, index_option: str | None) -> Context:
    """The context of the project in folder `project`; `index_option` (or $RELEASE_INDEX) goes first.

    Raises PackhorseError.
    """
    home, settings = files.home(), release_toml.load(project, index=index_option)
    url = company_index.of_project(settings, home)
    reader = reading.of([url], home)
    return Context(
        url,
        home,
        process.run,
        reader.get,
        reader.token,
        sdists=settings.sdists,
        build_requires=settings.build_requires,
        files=settings.files,
        build_environment=settings.build_environment,
        signers=settings.required_signers,
        values={name: target.env for name, target in settings.targets.items()},
        static=settings.static.folder if settings.static else None,
        pythons={
            *([settings.python] if settings.python else []),  # of hosts that are no declared target's
            *(target.python for target in settings.targets.values() if target.python),
        },
    )
