"""A real mirror together with its fake upstream, and requests to it."""

import itertools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import requests

from tests.support.dists import Dist
from tests.support.servers import BIN, Mirror, running_mirror
from tests.support.upstream import JSON, Listed, Upstream

_NUMBERS = itertools.count()


def new_name(prefix: str) -> str:
    """A new project name: a mirror caches pages, so test cases cannot share one."""
    return f"{prefix}{next(_NUMBERS)}"


@dataclass(frozen=True)
class Mirrored:
    """A mirror and its upstream."""

    upstream: Upstream
    mirror: Mirror

    def page(self, project: str, index: str = "root/pypi") -> Any:  # noqa: ANN401 (JSON)
        """The JSON page of `project` as the mirror shows it."""
        url = f"{self.mirror.index_url(index)}{project}/"
        answer = requests.get(url, headers={"Accept": JSON}, timeout=30)
        assert answer.status_code == 200, f"{url}: {answer.status_code} {answer.text[:500]}"
        return answer.json()

    def entry(self, dist: Dist, index: str = "root/pypi") -> Any:  # noqa: ANN401 (JSON)
        """What the page of its project says about `dist`."""
        project = dist.filename.partition("-")[0].replace("_", "-")
        (found,) = (file for file in self.page(project, index)["files"] if file["filename"] == dist.filename)
        return found

    def publish(self, *dists: Dist | Listed) -> list[str]:
        """Put `dists` of one project on the upstream; where the mirror serves them. Counting starts then."""
        plain = [dist.dist if isinstance(dist, Listed) else dist for dist in dists]
        project = plain[0].filename.partition("-")[0].replace("_", "-")
        self.upstream.add(project, *dists)
        urls = [self.url_of(dist) for dist in plain]
        self.upstream.forget()
        return urls

    def restart(self, *options: str) -> None:
        """Stop the mirror, if it runs, and start it again with `options` of `mirror serve`."""
        self.mirror.run(BIN / "mirror", "stop")
        self.mirror.run(BIN / "mirror", "serve", "--background", *options, cwd=self.mirror.home)

    def url_of(self, dist: Dist, index: str = "root/pypi") -> str:
        """Where the mirror serves `dist`, without the fragment."""
        project = dist.filename.partition("-")[0].replace("_", "-")
        page = f"{self.mirror.index_url(index)}{project}/"
        return urljoin(page, str(self.entry(dist, index)["url"])).partition("#")[0]

    def upload(self, path: Path, index: str = "company/dev") -> None:
        """With a real twine."""
        user = index.partition("/")[0]
        login = ("--username", user, "--password", self.mirror.credentials[user])
        options = (
            "--non-interactive",
            "--disable-progress-bar",
            "--repository-url",
            f"{self.mirror.url}/{index}/",
        )
        self.mirror.run(BIN / "twine", "upload", *options, *login, path)

    def refresh(self, project: str) -> None:
        """Let the mirror ask its upstream now, as the button on devpi's page does."""
        url = f"{self.mirror.index_url('root/pypi')}{project}/refresh"
        answer = requests.post(url, auth=("root", self.mirror.credentials["root"]), timeout=30)
        assert answer.status_code == 200, answer.text

    def change_index(self, index: str, **settings: object) -> None:
        """Change keys of an index, as its administrator would."""
        login = ("root", self.mirror.credentials["root"])
        url = f"{self.mirror.url}/{index}"
        changes = [f"{key}={value}" for key, value in settings.items()]
        answer = requests.patch(
            url, json=changes, auth=login, headers={"Accept": "application/json"}, timeout=30
        )
        assert answer.status_code == 200, answer.text


@contextmanager
def mirror_of(
    upstream: Upstream,
    settings: str = "request_timeout = 2\n",
    place: Path | None = None,
    hosts: Sequence[Upstream] = (),
) -> Iterator[Mirrored]:
    """A mirror made for one upstream; `settings` are lines of mirror.toml, `hosts` may be led to."""
    named = ", ".join(f'"http://{host.address}:{host.port}"' for host in hosts)
    allowed = f"hosts = [{named}]\n" if hosts else ""
    with running_mirror(f'{settings}[upstream]\nurl = "{upstream.url}"\n{allowed}', place=place) as mirror:
        yield Mirrored(upstream, mirror)
