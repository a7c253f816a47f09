"""A user with own indexes on a real mirror: uploads, and project pages in every form."""

import gzip
import itertools
import json
import re
from dataclasses import dataclass
from typing import Any

import requests

from tests.support.dists import Dist
from tests.support.mirror_and_upstream import Mirrored
from tests.support.upstream import JSON

NUMBERS = itertools.count()
AGENTS = ("pip/26.3", "uv/0.13.8", "Mozilla/5.0")
ACCEPTS = (JSON, "text/html", "application/vnd.pypi.simple.v1+html;q=0.9, text/html;q=0.1")
ENCODINGS = ("gzip", "identity")


@dataclass(frozen=True)
class Team:
    """A user with own indexes: `prod` has the mirror as base, `dev` has prod, `other` has none."""

    mirrored: Mirrored
    name: str

    def index(self, index: str) -> str:
        return f"{self.name}/{index}"

    def call(self, method: str, path: str, **more: Any) -> requests.Response:  # noqa: ANN401 (requests' own)
        """A request of the team's user."""
        headers = {"Accept": "application/json", **more.pop("headers", {})}
        url = f"{self.mirrored.mirror.url}/{path}"
        answer = requests.request(method, url, auth=(self.name, "pw"), headers=headers, timeout=30, **more)
        assert answer.status_code < 400, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer

    def upload(self, dist: Dist, index: str = "dev", **more: str) -> None:
        """As twine does it, with `more` fields in the form."""
        name, version = dist.filename.removesuffix(".tar.gz").split("-")[:2]
        form = {":action": "file_upload", "metadata_version": "2.1", "name": name, "version": version}
        form |= more
        files = {"content": (dist.filename, dist.content)}
        self.call("POST", f"{self.index(index)}/", data=form, files=files)

    def shown(self, project: str, index: str = "dev") -> list[str]:
        """The file names on the page of `project`, which must be the same in every form."""
        pages = {
            self._names(project, index, agent, accept, encoding)
            for agent, accept, encoding in itertools.product(AGENTS, ACCEPTS, ENCODINGS)
        }
        assert len(pages) == 1, pages
        return list(*pages)

    def file(self, project: str, filename: str, index: str = "dev") -> Any:  # noqa: ANN401 (JSON)
        """What the JSON page says about a file."""
        page = self.mirrored.page(project, self.index(index))
        return next(file for file in page["files"] if file["filename"] == filename)

    def _names(self, project: str, index: str, agent: str, accept: str, encoding: str) -> tuple[str, ...]:
        url = f"{self.mirrored.mirror.index_url(self.index(index))}{project}/"
        headers = {"User-Agent": agent, "Accept": accept, "Accept-Encoding": encoding}
        with requests.get(url, headers=headers, timeout=30, stream=True) as answer:
            body = answer.raw.read()
        assert answer.headers.get("Content-Encoding", "identity") == encoding or answer.status_code == 404
        if answer.status_code == 404:
            return ("404",)
        assert answer.status_code == 200
        # nginx does not know the length of what it decompresses; it says the end in another way.
        assert answer.headers.get("Content-Length", str(len(body))) == str(len(body))
        text = (gzip.decompress(body) if encoding == "gzip" else body).decode()
        if accept == JSON:
            return tuple(sorted(file["filename"] for file in json.loads(text)["files"]))
        return tuple(sorted(re.findall(r">([^<]+)</a>", text)))


def new_team(mirrored: Mirrored) -> Team:
    """A team that nobody has heard of."""
    name = f"team{next(NUMBERS)}"
    url, root = mirrored.mirror.url, ("root", mirrored.mirror.credentials["root"])

    def put(path: str, **settings: object) -> None:
        answer = requests.put(f"{url}/{path}", json=settings, auth=root, timeout=30)
        assert answer.status_code in {200, 201}, answer.text

    put(name, password="pw")
    put(f"{name}/prod", bases=["root/pypi"], acl_upload=[name])
    put(f"{name}/dev", bases=[f"{name}/prod"], acl_upload=[name])
    put(f"{name}/other", acl_upload=[name])
    return Team(mirrored, name)
