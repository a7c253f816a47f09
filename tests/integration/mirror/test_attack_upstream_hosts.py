"""Attacks by an upstream that leads the mirror to other hosts: services that its machine alone can reach."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
import requests

from tests.support import faults
from tests.support.dists import Dist, wheel
from tests.support.mirror_and_upstream import Mirrored, mirror_of, new_name
from tests.support.servers import BIN
from tests.support.upstream import Listed, Upstream


@pytest.fixture(scope="module")
def service() -> Iterator[Upstream]:
    """A service of the mirror's machine that nobody has named."""
    with Upstream() as service:
        yield service


@pytest.fixture(scope="module")
def attacked(service: Upstream) -> Iterator[Mirrored]:
    """A mirror whose upstream is hostile."""
    with Upstream() as upstream, mirror_of(upstream) as mirrored:
        yield mirrored
        assert service.connections == 0


@pytest.fixture
def secret(attacked: Mirrored, service: Upstream) -> Iterator[Dist]:
    """What the service answers to who reaches it."""
    dist = wheel(new_name("led"), "1.0")
    service.add(_project(dist), dist)
    yield dist
    attacked.upstream.heal()
    del service.projects[_project(dist)]


def _project(dist: Dist) -> str:
    return dist.filename.partition("-")[0]


def _is_refused(answer: requests.Response, service: Upstream, status: int = 502) -> bool:
    """Whether a client learns that there was something, and not where."""
    assert (str(service.port) in answer.text, service.connections) == (False, 0)
    return answer.status_code == status and "a host that this mirror does not ask" in answer.text


@pytest.mark.parametrize("hashed", [True, False])
@pytest.mark.parametrize(
    "server",
    [
        *("http://127.0.0.1", "http://localhost", "http://2130706433", "http://[::ffff:127.0.0.1]"),
        *("https://127.0.0.1", "https://localhost", "https://127.1", "https://[::1]"),
    ],
)
def test_a_page_that_names_files_of_this_machine(
    attacked: Mirrored,
    service: Upstream,
    secret: Dist,
    server: str,
    hashed: bool,  # noqa: FBT001 (a table)
) -> None:
    """Their content was shown to anybody; with a hash, whether somebody listens there."""
    listed = Listed(secret, hashes=None if hashed else {})
    attacked.upstream.add(_project(secret), listed)
    link = f"{server}:{service.port}{service.file_path(secret)}"
    own = f"../..{attacked.upstream.file_path(secret)}"
    attacked.upstream.style = "html"
    attacked.upstream.fail(
        f"/simple/{_project(secret)}/",
        lambda answer: replace(answer, body=answer.body.replace(own.encode(), link.encode())),
    )
    url = attacked.url_of(secret)
    assert _is_refused(requests.get(url, timeout=30), service)
    assert requests.head(url, timeout=30).status_code == 502
    if hashed:
        assert _is_refused(requests.get(f"{url}.metadata", timeout=30), service)


@pytest.mark.parametrize("what", ["page", "file", "metadata", "range"])
def test_a_redirect_to_this_machine(attacked: Mirrored, service: Upstream, secret: Dist, what: str) -> None:
    """Of a page, a file, a metadata file, and a part of a wheel without one."""
    upstream, project = attacked.upstream, _project(secret)
    upstream.style = "negotiated"
    upstream.metadata = what != "range"
    upstream.add(project, secret)
    url = attacked.url_of(secret) if what != "page" else f"{attacked.mirror.index_url('root/pypi')}{project}/"
    path = {"page": f"/simple/{project}/", "metadata": f"{upstream.file_path(secret)}.metadata"}.get(
        what, upstream.file_path(secret)
    )
    upstream.fail(path, faults.redirect(f"http://127.0.0.1:{service.port}{path}"))
    if what == "metadata":  # it can be had in another way: from the wheel
        upstream.fail(upstream.file_path(secret), faults.redirect(f"http://127.0.0.1:{service.port}/"))
    answer = requests.get(url if what in {"page", "file"} else f"{url}.metadata", timeout=30)
    assert _is_refused(answer, service, 503 if what == "page" else 502)


def test_a_redirect_of_the_list_of_projects(attacked: Mirrored, service: Upstream) -> None:
    """devpi asks for it by itself, when a person or a search lists the index."""
    attacked.change_index("root/pypi", mirror_no_project_list=False)
    attacked.upstream.fail("/simple/", faults.redirect(f"http://127.0.0.1:{service.port}/simple/"))
    answer = requests.get(attacked.mirror.index_url("root/pypi"), timeout=30)
    attacked.change_index("root/pypi", mirror_no_project_list=True)
    assert (answer.status_code, service.connections) == (503, 0)


def test_a_push_of_a_mirrored_file_takes_it_from_no_other_host(
    attacked: Mirrored, service: Upstream, secret: Dist
) -> None:
    """devpi fetches what it pushes by itself."""
    attacked.upstream.add(_project(secret), secret)
    attacked.upstream.files_elsewhere[secret.filename] = service
    attacked.page(_project(secret))
    answer = _push(attacked, "root/pypi", _project(secret), targetindex="company/dev")
    assert (answer.status_code >= 400, service.connections) == (True, 0)


def test_a_push_to_a_service_of_this_machine(
    attacked: Mirrored, service: Upstream, secret: Dist, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Any user may name the address, and is shown what it answers."""
    path = tmp_path_factory.mktemp("own") / secret.filename
    path.write_bytes(secret.content)
    attacked.upload(path)
    external = {"posturl": f"{service.url}", "username": "x", "password": "y"}
    answer = _push(attacked, "company/dev", _project(secret), **external)
    assert _is_refused(answer, service)


def _push(mirrored: Mirrored, index: str, project: str, **where: str) -> requests.Response:
    login = ("company", mirrored.mirror.credentials["company"])
    push = {"name": project, "version": "1.0", **where}
    return requests.request("POST", f"{mirrored.mirror.url}/{index}", json=push, auth=login, timeout=30)


def test_a_host_that_is_refused_is_named_to_who_runs_the_mirror() -> None:
    """With the line to write, which is all that it takes. A company's files may lie on a second host."""
    with Upstream() as upstream, Upstream() as second:
        dist = wheel("second", "1.0")
        for server in (upstream, second):
            server.add("second", dist)
        upstream.files_elsewhere[dist.filename] = second
        with mirror_of(upstream) as mirrored:
            url = mirrored.url_of(dist)
            assert requests.get(url, timeout=30).status_code == 502
            line = f'hosts = ["http://127.0.0.1:{second.port}"]'
            assert line in mirrored.mirror.run(BIN / "mirror", "status").stdout
            assert line in (mirrored.mirror.home / "mirror" / "server.log").read_text()
            config = mirrored.mirror.home / "mirror.toml"
            config.write_text(f"{config.read_text()}{line}\n")
            mirrored.restart()
            assert requests.get(url, timeout=30).content == dist.content
            assert "refused" not in mirrored.mirror.run(BIN / "mirror", "status").stdout
