"""What a mirror shows when its upstream is in trouble: what is cached, or 503; never a guess."""

import itertools
import time
from collections.abc import Iterator
from typing import Literal
from urllib.parse import urljoin

import pytest
import requests

from tests.support import faults
from tests.support.broken_pages import CASES, FAULTS
from tests.support.dists import wheel
from tests.support.mirror_and_upstream import Mirrored, mirror_of
from tests.support.servers import wait_until
from tests.support.upstream import JSON, Upstream

EXPIRY = 1  # seconds, instead of devpi's 30 minutes
INDEXES = ("root/pypi", "company/dev")  # the mirror itself, and one that inherits over another
STALE = "X-Packhorse-Stale"
NUMBERS = itertools.count()  # failures are remembered per project: each case has its own


@pytest.fixture(scope="module")
def _expiring() -> Iterator[Mirrored]:
    with Upstream() as upstream, mirror_of(upstream, "request_timeout = 2\n") as mirrored:
        mirrored.change_index("root/pypi", mirror_cache_expiry=EXPIRY)
        yield mirrored


@pytest.fixture
def expiring(_expiring: Mirrored) -> Iterator[Mirrored]:
    """A mirror that asks its upstream again after a second, and whose upstream is well at the beginning."""
    _expiring.upstream.reset()
    _expiring.upstream.add("healthy", wheel("healthy", "1.0"))
    wait_until("the mirror sees the upstream", lambda: get(_expiring, "healthy").status_code == 200)
    wait_until("the mirror trusts the upstream", lambda: STALE not in get(_expiring, "healthy").headers)
    yield _expiring
    _expiring.upstream.reset()


def get(mirrored: Mirrored, project: str, index: str = "root/pypi", **headers: str) -> requests.Response:
    """The page of `project`, as JSON when nothing else is asked for."""
    url = f"{mirrored.mirror.index_url(index)}{project}/"
    return requests.get(url, headers={"Accept": JSON, **headers}, timeout=30)


def new_project(mirrored: Mirrored) -> str:
    """A project that no mirror has heard of."""
    name = f"demo-{next(NUMBERS)}"
    mirrored.upstream.add(name, wheel(name, "1.0"), wheel(name, "2.0"))
    return name


@pytest.mark.parametrize(("fault", "style"), CASES)
def test_trouble_upstream_is_never_shown_as_an_answer(expiring: Mirrored, fault: str, style: str) -> None:
    """Stock devpi says 404, or shows what is left of the list, here and to every index that inherits."""
    expiring.upstream.style = "json" if style == "json" else "html"
    expiring.upstream.etags = False  # else an unchanged page needs no body that could be spoiled
    cached, unknown = new_project(expiring), new_project(expiring)
    before = {index: get(expiring, cached, index) for index in INDEXES}
    assert all(page.status_code == 200 for page in before.values())
    for project in (cached, unknown):
        expiring.upstream.fail(f"/simple/{project}/", FAULTS[fault])
    time.sleep(EXPIRY + 0.2)
    for index in INDEXES:
        page = get(expiring, cached, index)
        assert (page.status_code, page.json()) == (200, before[index].json())
        assert EXPIRY <= int(page.headers[STALE]) < 60
        refusal = get(expiring, unknown, index)
        assert refusal.status_code == 503, refusal.text
        assert int(refusal.headers["Retry-After"]) > 0
        assert refusal.headers["Cache-Control"] == "no-store"


def test_a_page_that_comes_in_drops_is_shown_when_all_of_it_is_here(expiring: Mirrored) -> None:
    """Until then nobody is kept waiting for longer than the time limit, and it is asked for once."""
    project = new_project(expiring)
    expiring.upstream.add(project, *(wheel(project, f"{number}.1") for number in range(20)))
    expiring.upstream.fail(f"/simple/{project}/", faults.trickle(0.5))
    assert get(expiring, project).status_code == 503, "it did not wait for all of the page"
    wait_until("it is here", lambda: get(expiring, project).status_code == 200)
    assert len(get(expiring, project).json()["files"]) == 22
    assert expiring.upstream.count(f"/simple/{project}/") == 1


def test_trouble_that_ends_is_forgotten_within_seconds(expiring: Mirrored) -> None:
    """pip and uv try again for about that long."""
    cached, unknown = new_project(expiring), new_project(expiring)
    get(expiring, cached)
    with expiring.upstream.refusing():
        time.sleep(EXPIRY + 0.2)
        assert get(expiring, unknown).status_code == 503
        assert STALE in get(expiring, cached).headers
    wait_until("new pages come", lambda: get(expiring, unknown).status_code == 200)
    wait_until("old pages are news", lambda: STALE not in get(expiring, cached).headers)


def test_while_nobody_answers_upstream_the_mirror_answers_at_once(expiring: Mirrored) -> None:
    """One request may find out by waiting; the others must not."""
    projects = [new_project(expiring) for _ in range(20)]
    for project in projects:
        get(expiring, project)
    expiring.upstream.fail("/simple/*", faults.hang())
    time.sleep(EXPIRY + 0.2)
    get(expiring, projects[0])  # waits, and finds out
    began = time.monotonic()
    pages = [get(expiring, project) for project in projects[1:]]
    unknown = [get(expiring, new_project(expiring)).status_code for _ in range(5)]
    assert time.monotonic() - began < 20, "24 requests, each of which would wait for 2 s"
    assert all(page.status_code == 200 and STALE in page.headers for page in pages)
    assert unknown == [503] * 5


def test_not_found_is_what_the_upstream_says_is_not_found(expiring: Mirrored) -> None:
    """Also of a project that it had: a mirror does not keep alive what was taken down."""
    project = new_project(expiring)
    assert get(expiring, "no-such-project").status_code == 404
    assert get(expiring, "no-such-project", "company/dev").status_code == 404
    assert get(expiring, project).status_code == 200
    del expiring.upstream.projects[project]
    time.sleep(EXPIRY + 0.2)
    assert get(expiring, project).status_code == 404
    assert get(expiring, project, "company/dev").status_code == 404


def test_a_project_that_is_new_upstream_is_found_within_seconds(expiring: Mirrored) -> None:
    """devpi remembers a 404 for half an hour."""
    name = f"demo-{next(NUMBERS)}"
    assert get(expiring, name).status_code == 404
    expiring.upstream.add(name, wheel(name, "1.0"))
    wait_until("it is there", lambda: get(expiring, name).status_code == 200)


def test_a_release_that_is_new_upstream_is_shown_after_the_expiry(expiring: Mirrored) -> None:
    """And what has not changed costs the upstream no page."""
    project = new_project(expiring)
    path = f"/simple/{project}/"
    first = get(expiring, project, "company/dev")
    time.sleep(EXPIRY + 0.2)
    again = get(expiring, project, "company/dev")
    assert again.headers["ETag"] == first.headers["ETag"]
    assert [
        seen.headers.get("if-none-match") is None for seen in expiring.upstream.requests if seen.path == path
    ] == [
        True,
        False,
    ]
    expiring.upstream.add(project, wheel(project, "3.0"))
    time.sleep(EXPIRY + 0.2)
    assert get(expiring, project, "company/dev").json()["versions"] == ["1.0", "2.0", "3.0"]


def test_a_page_older_than_the_one_we_have_changes_nothing(expiring: Mirrored) -> None:
    """Behind a content delivery network an old page may follow a new one; its serial tells."""
    project = new_project(expiring)
    path = f"/simple/{project}/"
    before = expiring.upstream.answer(path, {"accept": JSON})
    expiring.upstream.add(project, wheel(project, "3.0"))
    assert get(expiring, project).json()["versions"] == ["1.0", "2.0", "3.0"]
    expiring.upstream.fail(path, faults.swapped(before))
    time.sleep(EXPIRY + 0.2)
    assert get(expiring, project).json()["versions"] == ["1.0", "2.0", "3.0"]


def test_many_who_ask_for_a_new_project_at_once_cost_one_request(expiring: Mirrored) -> None:
    """Stock devpi tells some of them that there is no such project."""
    from concurrent.futures import ThreadPoolExecutor

    project = new_project(expiring)
    with ThreadPoolExecutor(20) as pool:
        indexes = itertools.islice(itertools.cycle(INDEXES), 20)
        answers = list(pool.map(lambda index: get(expiring, project, index), indexes))
    assert [answer.status_code for answer in answers] == [200] * 20
    assert expiring.upstream.count(f"/simple/{project}/") == 1


def test_nothing_of_a_client_reaches_the_upstream(expiring: Mirrored) -> None:
    """Neither its login, nor its cookies, nor what its user agent tells about it."""
    secrets = {"Authorization": "Basic c2VjcmV0OnNlY3JldA==", "Cookie": "secret=1", "X-Devpi-Auth": "secret"}
    project = new_project(expiring)
    expiring.upstream.forget()
    answer = get(
        expiring, project, "company/dev", **secrets, **{"User-Agent": "pip/26.0 secret", "X-Secret": "1"}
    )
    assert answer.status_code == 200
    (seen,) = expiring.upstream.requests
    assert "secret" not in str(seen).lower()
    assert not {"authorization", "cookie", "x-devpi-auth"} & set(seen.headers)


def test_another_upstream_is_believed_from_the_next_request_on(expiring: Mirrored) -> None:
    """Nothing that the old one said counts any more: not its freshness, not its serials, not its 404."""
    project, unknown = new_project(expiring), f"demo-{next(NUMBERS)}"
    for _ in range(5):
        new_project(expiring)  # serials of the old upstream are higher
    assert get(expiring, project, "company/dev").json()["versions"] == ["1.0", "2.0"]
    assert get(expiring, unknown).status_code == 404
    with Upstream() as other:
        other.add(project, wheel(project, "7.0"))
        other.add(unknown, wheel(unknown, "7.0"))
        expiring.change_index("root/pypi", mirror_url=other.url)
        try:
            assert get(expiring, project, "company/dev").json()["versions"] == ["7.0"]
            assert get(expiring, unknown).json()["versions"] == ["7.0"]
        finally:
            expiring.change_index("root/pypi", mirror_url=expiring.upstream.url)
    assert get(expiring, project, "company/dev").json()["versions"] == ["1.0", "2.0"]


def test_a_list_of_projects_is_whole_or_not_given(expiring: Mirrored) -> None:
    """Stock devpi gives the few names that it has cached when the upstream does not answer."""
    new_project(expiring)
    url = expiring.mirror.index_url("root/pypi")

    def names() -> set[str]:
        page = requests.get(url, headers={"Accept": JSON}, timeout=30)
        assert page.status_code == 200, page.text
        return {project["name"] for project in page.json()["projects"]}

    expiring.change_index("root/pypi", mirror_no_project_list="False")
    try:
        expiring.upstream.fail("/simple/", faults.status(500))
        assert requests.get(url, headers={"Accept": JSON}, timeout=30).status_code == 503
        expiring.upstream.heal()
        assert names() == set(expiring.upstream.projects)
        time.sleep(EXPIRY + 0.2)  # now the upstream says 304
        assert names() == set(expiring.upstream.projects)
        for fault in (faults.status(500), faults.garbage):
            expiring.upstream.fail("/simple/", fault)
            time.sleep(EXPIRY + 0.2)
            assert names() == set(expiring.upstream.projects)
    finally:
        expiring.change_index("root/pypi", mirror_no_project_list="True")


@pytest.mark.parametrize(("style", "status"), [("json", 200), ("html", 503)])
def test_an_upstream_without_projects_is_told_from_one_that_gives_no_list(
    expiring: Mirrored, style: Literal["json", "html"], status: int
) -> None:
    """The page about an index says so; ours has a list in HTML that might as well be of a captive portal."""
    expiring.upstream.projects.clear()
    expiring.upstream.style = style
    name, root = f"root/test{next(NUMBERS)}", ("root", expiring.mirror.credentials["root"])
    url = f"{expiring.mirror.url}/{name}"
    index = {"type": "mirror", "mirror_url": expiring.upstream.url}
    plain = {"Accept": "application/json"}
    requests.put(url, json=index, auth=root, timeout=30).raise_for_status()
    try:
        page = requests.get(url, headers=plain, timeout=30)
        assert page.status_code == status
        assert page.status_code == 503 or page.json()["result"]["projects"] == []
    finally:
        requests.delete(url, auth=root, timeout=30).raise_for_status()


def test_a_project_that_is_deleted_from_a_mirror_is_asked_for_anew(expiring: Mirrored) -> None:
    """Page and files: somebody wants to be rid of what is cached; so is one who deletes the index."""
    project = new_project(expiring)
    name, root = f"root/test{next(NUMBERS)}", ("root", expiring.mirror.credentials["root"])
    url = f"{expiring.mirror.url}/{name}"
    index = {"type": "mirror", "mirror_url": expiring.upstream.url, "mirror_no_project_list": True}
    plain = {"Accept": "application/json"}

    def asked() -> int:
        """Questions for the page until now, after one more to the mirror."""
        page = expiring.page(project, name)
        assert page["versions"] == ["1.0", "2.0"]
        address = urljoin(expiring.mirror.index_url(name) + "x/", page["files"][0]["url"])
        assert requests.get(address, timeout=30).ok
        return sum(seen.path == f"/simple/{project}/" for seen in expiring.upstream.requests)

    assert requests.put(url, json=index, auth=root, timeout=30).ok
    first = asked()
    assert asked() == first
    done = requests.delete(f"{url}/{project}", auth=root, headers=plain, timeout=30)
    assert done.status_code == 200, done.text
    files = expiring.mirror.home / "mirror" / "server" / "+files" / name
    assert [path for path in files.rglob("*") if path.is_file()] == []
    assert asked() == first + 1
    assert requests.delete(url, auth=root, headers=plain, timeout=30).ok
    assert requests.get(expiring.mirror.index_url(name) + f"{project}/", timeout=30).status_code == 404
    assert requests.put(url, json=index, auth=root, timeout=30).ok
    assert asked() == first + 2
