"""The legacy JSON API over a real mirror: what a page lists, and 503 where nobody knows."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.support.dists import sdist, wheel
from tests.support.mirror_and_upstream import Mirrored, mirror_of, new_name
from tests.support.upstream import Upstream


@pytest.fixture(scope="module")
def mirrored() -> Iterator[Mirrored]:
    """One mirror for all."""
    with Upstream() as upstream, mirror_of(upstream) as running:
        yield running


def get(mirrored: Mirrored, path: str, **headers: str) -> requests.Response:
    return requests.get(f"{mirrored.mirror.url}/{path}", headers=headers, timeout=30)


def document(mirrored: Mirrored, path: str) -> Any:  # noqa: ANN401 (JSON)
    answer = get(mirrored, path)
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "application/json"), answer.text
    return answer.json()


def test_projects_and_versions_have_a_document_on_each_index(mirrored: Mirrored) -> None:
    """With addresses that lead to the files, and the metadata of a wheel that nobody has downloaded."""
    name = new_name("legacy")
    mirrored.upstream.add(
        name, wheel(name, "1.0", requires=["helper>=2"]), wheel(name, "1.1"), sdist(name, "1.2")
    )
    public = document(mirrored, f"pypi/{name}/json")
    assert public["info"]["version"] == "1.2"
    assert set(public["releases"]) == {"1.0", "1.1", "1.2"}
    assert public == document(mirrored, f"root/pypi/{name}/json")
    of_team = document(mirrored, f"company/dev/{name}/1.0/json")
    assert of_team["info"]["requires_dist"] == ["helper>=2"]
    assert of_team == document(mirrored, f"company/dev/{name}/1.0.0/json/")
    (file,) = of_team["urls"]
    assert requests.get(file["url"], timeout=30).content == wheel(name, "1.0", requires=["helper>=2"]).content
    assert document(mirrored, f"pypi/{name}/1.0/json")["urls"] == of_team["urls"]
    assert get(mirrored, f"company/dev/{name.upper()}/json").json()["info"]["name"] == name


def test_a_document_says_once_that_its_type_is_not_to_be_guessed(mirrored: Mirrored) -> None:
    """Every answer gets that header where it leaves the server."""
    name = new_name("once")
    mirrored.upstream.add(name, wheel(name, "1.0"))
    answer = get(mirrored, f"pypi/{name}/json")
    assert answer.raw.headers.getlist("X-Content-Type-Options") == ["nosniff"]


def test_an_upload_is_in_the_very_next_document(mirrored: Mirrored, tmp_path: Path) -> None:
    """Renovate would otherwise take back what was released."""
    name = new_name("own")
    for version in ("1.0", "1.1"):
        dist = wheel(name, version, requires=["helper"])
        (tmp_path / dist.filename).write_bytes(dist.content)
        mirrored.upload(tmp_path / dist.filename)
        made = document(mirrored, f"company/dev/{name}/json")
        assert (made["info"]["version"], made["info"]["requires_dist"]) == (version, ["helper"])
    assert get(mirrored, f"pypi/{name}/json").status_code == 404, "a reserved name is nobody else's"


def test_a_client_that_has_it_is_told_so(mirrored: Mirrored) -> None:
    """With or without gzip."""
    name = new_name("again")
    mirrored.upstream.add(name, wheel(name, "1.0"))
    for coding in ("gzip", "identity"):
        first = get(mirrored, f"company/dev/{name}/json", **{"Accept-Encoding": coding})
        assert first.headers.get("Content-Encoding", "identity") == coding
        tag = {"Accept-Encoding": coding, "If-None-Match": first.headers["ETag"]}
        assert get(mirrored, f"company/dev/{name}/json", **tag).status_code == 304
        assert first.headers["Content-Security-Policy"] == "default-src 'none'"


@pytest.mark.parametrize("method", ["PUT", "DELETE", "POST"])
def test_writes_are_devpis_as_before(mirrored: Mirrored, method: str) -> None:
    """Nobody may delete anything by them."""
    name = new_name("written")
    mirrored.upstream.add(name, wheel(name, "1.0"))
    url = f"{mirrored.mirror.url}/root/pypi/{name}/json"
    assert requests.request(method, url, timeout=30).status_code in {403, 404, 405}
    assert document(mirrored, f"root/pypi/{name}/json")["info"]["version"] == "1.0"


def test_trouble_is_never_absence(mirrored: Mirrored) -> None:
    """A 404 lets tools take a dependency for gone. Last: the upstream is not asked for a while after this."""
    name, other = new_name("trouble"), new_name("other")
    for project in (name, other):
        mirrored.upstream.add(project, wheel(project, "1.0"))
    assert get(mirrored, f"company/dev/{new_name('missing')}/json").status_code == 404
    assert get(mirrored, f"company/dev/{other}/9.9/json").status_code == 404
    assert get(mirrored, "company/none/x/json").status_code == 404
    with mirrored.upstream.refusing():
        assert get(mirrored, f"company/dev/{name}/json").status_code == 503
        assert get(mirrored, f"pypi/{name}/1.0/json").status_code == 503
