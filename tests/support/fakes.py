"""Fakes of a company index and of a process runner, for unit tests of `release`."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from packhorse.process import Finished
from release.context import Context
from release.index import JSON, Response

INDEX = "http://pypi.example.com/company/dev"


class FakeIndex:
    """A company index that holds `files` (filename -> (URL as its page has it, sha256)) of every project.

    `configs`: name of an index -> its configuration as devpi has it; without any the server is no devpi.
    """

    def __init__(
        self,
        files: Mapping[str, tuple[str, str]] | None = None,
        *,
        exists: bool = True,
        configs: Mapping[str, Mapping[str, object]] | None = None,
    ) -> None:
        self.files, self.exists, self.configs = files, exists, configs or {}

    def __call__(self, url: str, accept: str) -> Response:
        """GET of a project's page, or of the index itself."""
        if accept == "application/json":
            name = "/".join(url.partition("?")[0].split("/")[-2:])
            body = json.dumps({"type": "indexconfig", "result": self.configs[name]}) if self.configs else ""
            return Response(url, 200 if self.exists else 404, body=body.encode())
        if self.files is None:
            return Response(url, 404)
        entries = [
            {"filename": filename, "url": where, "hashes": {"sha256": sha256}}
            for filename, (where, sha256) in self.files.items()
        ]
        return Response(url, 200, "OK", JSON, json.dumps({"files": entries}).encode())


class FakeRunner:
    """Runs nothing: remembers commands and environments, and answers each with `act`."""

    def __init__(self, act: Callable[[list[str]], Finished] = lambda _: Finished(0, "", "")) -> None:
        self.commands: list[list[str]] = []
        self.environments: list[dict[str, str]] = []
        self._act = act

    def __call__(
        self,
        command: Sequence[str],
        *,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
        timeout: float | None = None,  # noqa: ARG002  # it takes no time
    ) -> Finished:
        """Do as process.run would."""
        assert cwd is None or cwd.is_dir()
        self.commands.append(list(command))
        self.environments.append(dict(env or {}))
        return self._act(list(command))


def a_context(tmp_path: Path, *, index: FakeIndex | None = None, run: FakeRunner | None = None) -> Context:
    """A context with an empty PACKHORSE_HOME, in which everything works unless told otherwise."""
    return Context(INDEX, tmp_path / "home", run or FakeRunner(), index or FakeIndex())
