"""Files of a mirror that has not seen, or has lost, the pages that list them."""

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
import requests

from tests.support import faults
from tests.support.dists import Dist, sdist, wheel
from tests.support.mirror_and_upstream import Mirrored, new_name
from tests.support.upstream import Listed

LARGE = 400_000  # bytes: more than is held back until the hash is known
CASES = [("GET", "", {}), ("HEAD", "", {}), ("GET", "", {"Range": "bytes=10-19"}), ("GET", ".metadata", {})]


def url_of(mirrored: Mirrored, dist: Dist) -> str:
    """Where a mirror has `dist`, as a lock says that was made through it."""
    return f"{mirrored.mirror.url}/root/pypi/+f/{dist.sha256[:3]}/{dist.sha256[3:16]}/{dist.filename}"


def unseen(mirrored: Mirrored) -> tuple[str, Dist]:
    """A wheel of a project that the mirror has never heard of, and its address."""
    dist = wheel(new_name("unseen"), "1.0", padding=LARGE)
    mirrored.upstream.add(dist.filename.partition("-")[0], dist)
    return url_of(mirrored, dist), dist


def get(url: str, **headers: str) -> requests.Response:
    return requests.get(url, headers=headers, timeout=30)


def asked(mirrored: Mirrored) -> list[str]:
    """The paths that the upstream was asked for, in turn."""
    return [seen.path for seen in mirrored.upstream.requests]


@pytest.mark.parametrize(("method", "suffix", "headers"), CASES)
def test_the_page_is_asked_for_when_a_file_is(
    mirrored: Mirrored, method: str, suffix: str, headers: dict[str, str]
) -> None:
    """After the loss of a disk, the locks that name this mirror install."""
    url, dist = unseen(mirrored)
    answer = requests.request(method, f"{url}{suffix}", headers=headers, timeout=30)
    assert answer.status_code == (206 if headers else 200), answer.text
    if method == "HEAD":
        assert answer.headers["Content-Length"] == str(len(dist.content))
    elif headers:
        assert answer.content == dist.content[10:20]
    else:
        assert answer.content == (dist.metadata if suffix else dist.content)
    assert asked(mirrored).count(f"/simple/{dist.filename.partition('-')[0]}/") == 1
    assert get(url).content == dist.content


@pytest.mark.parametrize("name", ["{}-b-1.0.tar.gz", "{}-1-1.0.tar.gz", "{}-1.0-1.zip", "{}_b-dev.tar.gz"])
@pytest.mark.parametrize("short", [True, False])
def test_an_sdist_is_found_whose_name_says_two_things(
    mirrored: Mirrored,
    name: str,
    short: bool,  # noqa: FBT001 (parametrised)
) -> None:
    """Version 1.0 of a-1 and version 1-1.0 of a have the same file name."""
    filename = name.format(new_name("ambiguous"))
    project = filename.partition("-")[0] if short else filename.rpartition("-")[0]
    dist = replace(sdist("ambiguous", "1.0"), filename=filename)
    mirrored.upstream.upload_times = False  # our upstream reads versions out of names, for that
    mirrored.upstream.add(project, dist)
    answer = get(url_of(mirrored, dist))
    if project == filename.partition("-")[0] and "-b-" in name:
        assert answer.status_code == 404  # there is no version "b-1.0"
    else:
        assert answer.content == dist.content


def test_a_file_without_a_hash_is_found_where_it_was(mirrored: Mirrored) -> None:
    """Its address says where the upstream has it."""
    dist = wheel(new_name("hashless"), "1.0")
    project = dist.filename.partition("-")[0]
    mirrored.upstream.add(project, Listed(dist, hashes={}))
    place = f"http_127.0.0.1_{mirrored.upstream.port}_files"
    assert get(f"{mirrored.mirror.url}/root/pypi/+e/{place}/{dist.filename}").content == dist.content
    assert asked(mirrored) == [f"/simple/{project}/", mirrored.upstream.file_path(dist)]


def test_a_file_whose_project_was_deleted_here_is_asked_for_anew(mirrored: Mirrored) -> None:
    """Its entry is known to have been there; the upstream has it all the same."""
    url, dist = unseen(mirrored)
    assert get(url).content == dist.content
    project = dist.filename.partition("-")[0]
    address = f"{mirrored.mirror.url}/root/pypi/{project}?force"
    login = ("root", mirrored.mirror.credentials["root"])
    assert requests.delete(address, auth=login, headers={"Accept": "application/json"}, timeout=30).ok
    mirrored.upstream.forget()
    assert get(url).content == dist.content
    assert asked(mirrored) == [f"/simple/{project}/", mirrored.upstream.file_path(dist)]


def test_twenty_who_want_files_of_one_unknown_project_ask_for_its_page_once(mirrored: Mirrored) -> None:
    """uv asks for all files of a lock at once."""
    name = new_name("together")
    dists = [wheel(name, f"{number}.0") for number in range(5)]
    mirrored.upstream.add(name, *dists)
    mirrored.upstream.fail(f"/simple/{name}/", faults.delayed(0.5))
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda dist: get(url_of(mirrored, dist)), dists * 4))
    assert [answer.content for answer in answers] == [dist.content for dist in dists] * 4
    assert sorted(asked(mirrored)) == sorted([f"/simple/{name}/", *map(mirrored.upstream.file_path, dists)])


def test_not_found_is_what_the_upstream_does_not_list(mirrored: Mirrored) -> None:
    """And it is asked once, however often clients come back."""
    listed, other, nothing = (wheel(new_name("nothing"), "1.0") for _ in range(3))
    project = listed.filename.partition("-")[0]
    mirrored.upstream.add(project, listed)
    no_file = url_of(mirrored, replace(other, filename=listed.filename))  # another hash
    for address in (no_file, url_of(mirrored, nothing)):
        for suffix in ("", ".metadata", ""):
            assert get(f"{address}{suffix}").status_code == 404
    assert asked(mirrored) == [f"/simple/{project}/", f"/simple/{nothing.filename.partition('-')[0]}/"]


@pytest.mark.parametrize("fault", [faults.status(500), faults.status(429, Retry_After="9"), faults.garbage])
def test_trouble_with_the_page_is_503_and_can_be_repeated(mirrored: Mirrored, fault: faults.Fault) -> None:
    """The file may well exist. A page that failed is not asked for again by each who comes."""
    url, dist = unseen(mirrored)
    page = f"/simple/{dist.filename.partition('-')[0]}/"
    mirrored.upstream.fail(page, fault)
    for address in (url, f"{url}.metadata", url):
        answer = get(address)
        assert (answer.status_code, "Retry-After" in answer.headers) == (503, True)
        assert answer.headers["Cache-Control"] == "no-store"
    assert mirrored.upstream.count(page) == 1


def test_trouble_is_said_in_json_to_those_who_prefer_it(mirrored: Mirrored) -> None:
    """devpi's client shows the message to its user; everybody else gets text, which is no HTML."""
    url, dist = unseen(mirrored)
    mirrored.upstream.fail(f"/simple/{dist.filename.partition('-')[0]}/", faults.status(500))
    for address in (url, f"{url}.metadata"):
        answer = requests.get(address, headers={"Accept": "application/json"}, timeout=30)
        assert (answer.status_code, "answered 500" in answer.json()["message"]) == (503, True)
        answer = requests.get(address, headers={"Accept": "text/html"}, timeout=30)
        assert answer.headers["Content-Type"] == "text/plain; charset=UTF-8"


def test_an_old_page_that_lists_it_not_is_no_proof(mirrored: Mirrored) -> None:
    """The file may be newer than what is cached: asked for again it is found, and never denied."""
    old, new, newest = (wheel("growing", f"{number}.0") for number in range(3))
    mirrored.publish(old)
    mirrored.change_index("root/pypi", mirror_cache_expiry=1)
    try:
        mirrored.upstream.add("growing", new)
        time.sleep(1.2)
        assert get(url_of(mirrored, new)).content == new.content
        mirrored.upstream.add("growing", newest)
        mirrored.upstream.fail("/simple/growing/", faults.status(500))
        time.sleep(1.2)
        refused = get(url_of(mirrored, newest))
        assert (refused.status_code, "500" in refused.text) == (503, True)
        assert get(url_of(mirrored, old)).content == old.content
    finally:
        mirrored.change_index("root/pypi", mirror_cache_expiry=1800)


@pytest.mark.parametrize(
    "path",
    [
        "+f/abc/1234567890123/..-1.0.tar.gz",
        "+f/abc/1234567890123/a%00b-1.0.tar.gz",
        "+f/abc/1234567890123/a%3Fb-1.0.tar.gz",
        "+f/abc/1234567890123/%C3%A4-1.0-py3-none-any.whl",
        f"+f/abc/1234567890123/{'a' * 300}-1.0.tar.gz",
        "+f/abc/%2E%2E/a-1.0.tar.gz",
        "+f/abc/a-1.0.tar.gz",
        "+f/a/b/c/d/a-1.0.tar.gz",
        "+e/a-1.0.tar.gz",
        "+f/abc/1234567890123/a.tar.gz",
    ],
)
def test_nothing_is_asked_for_an_address_that_cannot_be_one(mirrored: Mirrored, path: str) -> None:
    """Strangers must not make the mirror send what they like."""
    assert get(f"{mirrored.mirror.url}/root/pypi/{path}").status_code == 404
    assert asked(mirrored) == []


def test_an_address_that_is_no_text_is_refused(mirrored: Mirrored) -> None:
    """devpi's log would break off over it, with 500."""
    for path in ("+f/abc/1234567890123/%FF-1.0.tar.gz", "+simple/%FF/", "%FF"):
        assert get(f"{mirrored.mirror.url}/root/pypi/{path}").status_code == 400
