"""Project pages over HTTP: forms, addresses, caching, and what real clients make of them."""

import hashlib
import itertools
import json
from typing import Literal

import pytest
import requests

from tests.support.dists import wheel
from tests.support.mirror_and_upstream import Mirrored
from tests.support.servers import BIN
from tests.support.upstream import JSON, Listed

NUMBERS = itertools.count()
HTML = "application/vnd.pypi.simple.v1+html"


def new_project(mirrored: Mirrored, *files: Listed) -> str:
    """A project that no mirror has heard of."""
    name = f"page-{next(NUMBERS)}"
    mirrored.upstream.add(name, *(files or [wheel(name, "1.0"), wheel(name, "2.0")]))
    return name


def get(mirrored: Mirrored, project: str, path: str = "", **headers: str) -> requests.Response:
    """The page below company/dev, without following redirects."""
    url = f"{mirrored.mirror.index_url('company/dev')}{project}/{path}"
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    return requests.get(url, headers=headers, timeout=30, allow_redirects=False)


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        (None, "text/html; charset=utf-8"),
        ("*/*", "text/html; charset=utf-8"),
        (JSON, JSON),
        (HTML, f"{HTML}; charset=utf-8"),
        (f"{JSON};q=0.1, text/html", "text/html; charset=utf-8"),
        ("application/vnd.pypi.simple.latest+json", JSON),
        ("application/json", JSON),
    ],
)
def test_a_page_has_the_form_that_was_asked_for(
    mirrored: Mirrored, accept: str | None, content_type: str
) -> None:
    """PEP 691, the first time and from the store."""
    project = new_project(mirrored)
    for _ in range(2):
        page = get(mirrored, project, **({"Accept": accept} if accept else {"Accept": ""}))
        assert (page.status_code, page.headers["Content-Type"]) == (200, content_type)
        assert page.headers["Vary"] == "Accept, Accept-Encoding"
        assert page.headers["Cache-Control"] == "no-cache"


def test_a_form_that_we_have_not_is_refused(mirrored: Mirrored) -> None:
    """A client that cannot read what it gets would report nonsense."""
    assert get(mirrored, new_project(mirrored), Accept="image/png").status_code == 406


def test_the_format_can_be_part_of_the_address(mirrored: Mirrored) -> None:
    """PEP 691, for browsers."""
    page = get(
        mirrored, new_project(mirrored), path=f"?format={JSON.replace('+', '%2B')}", Accept="text/html"
    )
    assert page.headers["Content-Type"] == JSON


@pytest.mark.parametrize("agent", ["pip/26.3", "Mozilla/5.0"])
@pytest.mark.parametrize(
    "path",
    [
        "+simple/Page.{n}/",
        "+simple/page-{n}",
        "+simple/PAGE_{n}",
        "+simple/page-{n}?format=x",
        "+simple//page-{n}/",
        "+simple//Page_{n}",
    ],
)
def test_unusual_spellings_lead_to_the_one_address(mirrored: Mirrored, path: str, agent: str) -> None:
    """PEP 503: a normalised name, a slash at the end."""
    number = new_project(mirrored).removeprefix("page-")
    url = f"{mirrored.mirror.url}/company/dev/{path.format(n=number)}"
    answer = requests.get(url, headers={"User-Agent": agent}, timeout=30, allow_redirects=False)
    assert answer.status_code == 302
    query = "?format=x" if "?" in path else ""
    assert answer.headers["Location"] == f"{mirrored.mirror.index_url('company/dev')}page-{number}/{query}"


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        ("image/png", "text/html; charset=UTF-8"),
        ("*/*", "text/html; charset=UTF-8"),
        ("application/json", JSON),
        (JSON, JSON),
    ],
)
def test_the_list_of_projects_has_a_content_type_that_exists(
    mirrored: Mirrored, accept: str, content_type: str
) -> None:
    """devpi says "text_html" to those whom it cannot please, which no client can read."""
    answer = requests.get(mirrored.mirror.index_url("company/prod"), headers={"Accept": accept}, timeout=30)
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, content_type)


@pytest.mark.parametrize("style", ["json", "html"])
def test_a_project_without_files_is_no_missing_project(
    mirrored: Mirrored, style: Literal["json", "html"]
) -> None:
    """All of its releases were deleted, or none was ever made."""
    mirrored.upstream.style = style
    name = f"page-{next(NUMBERS)}"
    mirrored.upstream.add(name)
    for _ in range(2):
        page = mirrored.page(name, "company/dev")
        assert (page["name"], page["files"], page["versions"]) == (name, [], [])


@pytest.mark.parametrize(
    "name", ["a" * 300, "..", "%2E%2E", "-", "_a_", "a%00b", "%C3%A4", "@example.com", "a%2Fb"]
)
@pytest.mark.parametrize("index", ["root/pypi", "company/dev"])
def test_a_name_that_no_project_can_have_is_not_asked_for(mirrored: Mirrored, index: str, name: str) -> None:
    """Some are no file's name either, and were an error of ours."""
    url = f"{mirrored.mirror.url}/{index}/+simple/{name}/"
    answer = requests.Session().send(_as_written(url), timeout=30, allow_redirects=False)
    assert answer.status_code in {302, 400, 404}
    assert mirrored.upstream.requests == []


def _as_written(url: str) -> requests.PreparedRequest:
    """requests would resolve the dots."""
    request = requests.Request("GET", url).prepare()
    request.url = url
    return request


@pytest.mark.parametrize("method", ["PUT", "POST", "DELETE", "PATCH"])
def test_a_page_and_a_file_cannot_be_written(mirrored: Mirrored, method: str) -> None:
    """devpi answers them like GET, within a transaction for which everyone waits who writes."""
    project = new_project(mirrored)
    page = f"{mirrored.mirror.index_url('root/pypi')}{project}/"
    assert requests.request(method, page, timeout=30).status_code == 405
    if method in {"PUT", "PATCH"}:
        file = f"{mirrored.mirror.url}/root/pypi/+f/abc/0123456789abc/{project}-1.0.tar.gz"
        assert requests.request(method, file, timeout=30).status_code == 405
    assert mirrored.upstream.requests == []


def test_installers_find_the_page_without_the_part_that_says_simple(mirrored: Mirrored) -> None:
    """As with stock devpi: `--index-url http://…/company/dev`."""
    project = new_project(mirrored)
    url = f"{mirrored.mirror.url}/company/dev/{project}/"
    page = requests.get(url, headers={"User-Agent": "pip/26.3", "Accept": JSON}, timeout=30)
    assert page.json()["name"] == project


def test_links_are_relative_and_lead_to_the_files(mirrored: Mirrored) -> None:
    """A mirror is reached under several names: behind nginx, by its address, through a tunnel."""
    dist = wheel("page-links", "1.0")
    mirrored.upstream.add("page-links", dist)
    assert "://" not in mirrored.entry(dist, "company/dev")["url"]
    assert requests.get(mirrored.url_of(dist, "company/dev"), timeout=30).content == dist.content


def test_who_has_the_page_is_told_so(mirrored: Mirrored) -> None:
    """pip and uv ask each time; most answers have no body."""
    project = new_project(mirrored)
    first = get(mirrored, project, Accept=JSON)
    for etag in (first.headers["ETag"], f"W/{first.headers['ETag']}", f'"x", {first.headers["ETag"]}', "*"):
        again = get(mirrored, project, Accept=JSON, If_None_Match=etag)
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["ETag"] == first.headers["ETag"]
    assert get(mirrored, project, Accept=JSON, If_None_Match='"x"').status_code == 200
    since = first.headers["Last-Modified"]
    assert get(mirrored, project, Accept=JSON, If_Modified_Since=since).status_code == 304


def test_every_form_and_coding_has_its_own_etag(mirrored: Mirrored) -> None:
    """A strong ETag means the same bytes; what is decompressed has a weak one, as nginx gives it."""
    project = new_project(mirrored)
    etags = {
        get(mirrored, project, Accept=accept, Accept_Encoding=coding).headers["ETag"]
        for accept in (JSON, "text/html")
        for coding in ("gzip", "identity")
    }
    assert len(etags) == 4
    assert sorted(etag[:2] for etag in etags if etag.endswith('"')) == 2 * ['"6'] + 2 * ["W/"]


def test_head_says_what_get_would(mirrored: Mirrored) -> None:
    """From the first request on."""
    project = new_project(mirrored)
    url = f"{mirrored.mirror.index_url('company/dev')}{project}/"
    heads = [requests.head(url, headers={"Accept": JSON}, timeout=30) for _ in range(2)]
    page = get(mirrored, project, Accept=JSON)
    for head in heads:
        assert (head.status_code, head.content) == (200, b"")
        assert head.headers["ETag"] == page.headers["ETag"]
        assert head.headers["Content-Length"] == page.headers["Content-Length"]


def test_connections_are_kept_between_pages(mirrored: Mirrored) -> None:
    """Stock devpi closes the connection after each page, because it does not know its length."""
    project = new_project(mirrored)
    with requests.Session() as session:
        url = f"{mirrored.mirror.index_url('company/dev')}{project}/"
        answers = [session.get(url, timeout=30) for _ in range(3)]
    assert all("close" not in answer.headers.get("Connection", "") for answer in answers)


def test_everything_that_upstream_said_is_passed_on(mirrored: Mirrored) -> None:
    """PEP 592, 658, 691, 700, 740, 792."""
    dist = wheel("page-whole", "1.0", requires_python=">=3.8")
    listed = Listed(
        dist,
        yanked="bad data",
        requires_python=">=3.8",
        provenance="https://example.com/provenance",
        hashes={"sha256": dist.sha256, "blake2b": hashlib.blake2b(dist.content).hexdigest()},
    )
    mirrored.upstream.add("page-whole", listed, status={"status": "archived", "reason": "old"})
    theirs = json.loads(mirrored.upstream.answer("/simple/page-whole/", {"accept": JSON}).body)
    ours = mirrored.page("page-whole", "company/dev")
    for page in (theirs, ours):
        page["files"][0].pop("url")
    assert ours == theirs


def test_of_html_everything_that_html_can_say_is_passed_on(mirrored: Mirrored) -> None:
    """Without sizes the page does not promise them."""
    mirrored.upstream.style = "html"
    dist = wheel("page-html", "1.0")
    listed = Listed(dist, yanked="", requires_python=">=3.8")
    mirrored.upstream.add("page-html", listed)
    page = mirrored.page("page-html", "company/dev")
    (file,) = page["files"]
    assert page["meta"]["api-version"] == "1.0"
    assert (file["yanked"], file["requires-python"], file["hashes"]) == (
        True,
        ">=3.8",
        {"sha256": dist.sha256},
    )
    assert set(file["core-metadata"]) == {"sha256"}
    assert "size" not in file


def test_uv_and_pip_ask_whether_a_page_has_changed(mirrored: Mirrored) -> None:
    """The second time they get 304, and after an upload the new page."""
    project = new_project(mirrored)
    wanted = mirrored.mirror.home / "wanted.in"
    wanted.write_text(project)
    index = ("--index-url", mirrored.mirror.index_url("company/dev"))

    def uv() -> str:
        return mirrored.mirror.run(BIN / "uv", "pip", "compile", "--no-header", wanted, *index).stdout

    assert f"{project}==2.0" in uv()
    assert f"{project}==2.0" in uv()
    mirrored.upstream.add(project, wheel(project, "3.0"))
    mirrored.refresh(project)
    assert f"{project}==3.0" in uv()
    pip = (BIN / "python", "-m", "pip", "index", "versions", "--pre", project, *index)
    assert "3.0" in mirrored.mirror.run(*pip).stdout


def test_uv_and_pip_can_leave_out_what_is_too_new(mirrored: Mirrored) -> None:
    """A cooldown against fresh, malicious releases works from upload-time alone."""
    name = f"page-{next(NUMBERS)}"
    old = Listed(wheel(name, "1.0"), upload_time="2024-01-01T00:00:00.000000Z")
    new = Listed(wheel(name, "2.0"), upload_time="2026-01-01T00:00:00.000000Z")
    mirrored.upstream.add(name, old, new)
    wanted = mirrored.mirror.home / "cooldown.in"
    wanted.write_text(name)
    index = ("--index-url", mirrored.mirror.index_url("company/dev"))
    uv = (
        BIN / "uv",
        "pip",
        "compile",
        "--no-header",
        "--exclude-newer",
        "2025-01-01T00:00:00Z",
        wanted,
        *index,
    )
    assert f"{name}==1.0" in mirrored.mirror.run(*uv).stdout
    options = ("--no-deps", "--dest", mirrored.mirror.home, "--uploaded-prior-to", "2025-01-01T00:00:00Z")
    pip = (BIN / "python", "-m", "pip", "download", "--no-cache-dir", *options, *index, name)
    said = mirrored.mirror.run(*pip).stdout
    assert "1.0" in said
    assert "2.0" not in said


def test_a_refresh_lets_the_next_client_ask_the_upstream_and_asks_nothing_itself(mirrored: Mirrored) -> None:
    """devpi asked within the one write transaction that there is: a slow upstream held up all uploads."""
    project = new_project(mirrored)
    assert len(get(mirrored, project, Accept=JSON).json()["files"]) == 2
    added = wheel(project, "3.0")
    mirrored.upstream.add(project, wheel(project, "1.0"), wheel(project, "2.0"), added)
    mirrored.upstream.forget()
    login = ("company", mirrored.mirror.credentials["company"])
    url = f"{mirrored.mirror.index_url('company/dev')}{project}/refresh"
    answer = requests.post(url, auth=login, timeout=30, allow_redirects=False)
    assert (answer.status_code, mirrored.upstream.count(f"/simple/{project}/")) == (302, 0)
    page = requests.get(answer.headers["Location"], headers={"Accept": JSON}, timeout=30).json()
    assert added.filename in [file["filename"] for file in page["files"]]
    assert mirrored.upstream.count(f"/simple/{project}/") == 1


def test_a_refresh_also_asks_for_what_the_upstream_had_not(mirrored: Mirrored) -> None:
    """That is remembered for a minute; who has just published upstream does not wait for it to pass."""
    project = f"page-{next(NUMBERS)}"
    assert get(mirrored, project).status_code == 404
    mirrored.upstream.add(project, wheel(project, "1.0"))
    assert get(mirrored, project).status_code == 404
    login = ("company", mirrored.mirror.credentials["company"])
    url = f"{mirrored.mirror.index_url('company/dev')}{project}/refresh"
    assert requests.post(url, auth=login, timeout=30, allow_redirects=False).status_code == 302
    assert get(mirrored, project).status_code == 200
