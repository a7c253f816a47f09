"""What both versions of the API promise: URLs, tokens, conditional requests, errors as problem+json."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sample_app.config import Settings
from sample_app.extensions import db
from sample_app.models import ADMIN, MEMBER, Link, Role, Tag, Token, User, now
from sqlalchemy import func, select
from werkzeug.test import TestResponse

from sample_app import board, create_app

GOOD = {"url": "https://example.com/", "title": "Example"}
VERSIONS = pytest.mark.parametrize("version", ["v1", "v2"])


def add_user(name: str = "ann", role: str = MEMBER, *, confirmed: bool = True) -> dict[str, str]:
    """Sign somebody up; the header with which a program acts for them."""
    user = User(email=f"{name}@example.com", name=name, password_hash="unused")
    user.role = db.session.scalars(select(Role).where(Role.name == role)).one()
    user.confirmed_at = now() if confirmed else None
    token, secret = Token.make(user, "test")
    db.session.add(token)
    db.session.commit()
    return {"Authorization": f"Bearer {secret}"}


@pytest.fixture
def ann(app: Flask) -> dict[str, str]:  # noqa: ARG001  # her row is in the application's database
    """The token of a member."""
    return add_user()


def post(client: FlaskClient, who: dict[str, str], **fields: object) -> TestResponse:
    """Post a link to version 1."""
    answer = client.post("/api/v1/links", json=GOOD | fields, headers=who)
    assert answer.status_code == 201, answer.text
    return answer


def check_problem(answer: TestResponse, status: int) -> dict[str, object]:
    """The members that RFC 9457 names."""
    assert (answer.status_code, answer.mimetype) == (status, "application/problem+json")
    found: dict[str, object] = answer.get_json()
    assert found["status"] == status
    assert found["title"]
    assert found["detail"]
    return found


@VERSIONS
def test_everything_is_found_from_the_index(client: FlaskClient, version: str, ann: dict[str, str]) -> None:
    """A client knows one URL."""
    for url in client.get(f"/api/{version}/").get_json()["links"].values():
        assert url.startswith(f"/api/{version}/")
        assert client.get(url, headers=ann).status_code == 200


def test_a_link_is_posted_read_changed_archived_and_deleted(client: FlaskClient, ann: dict[str, str]) -> None:
    """The life of a resource, each step with what the one before answered."""
    made = post(client, ann, tags=["Web Dev", "python"], note="why")
    url, etag = made.headers["Location"], made.headers["ETag"]
    read = client.get(url)
    assert read.get_json() == made.get_json()
    assert read.headers["ETag"] == etag
    assert read.get_json()["tags"] == ["python", "web-dev"]
    changed = client.patch(url, json={"title": "New"}, headers=ann | {"If-Match": etag})
    assert changed.get_json()["title"] == "New"
    same = {name: read.get_json()[name] for name in ("title", "updated_at")}
    assert changed.get_json() | same == read.get_json()
    archived = client.patch(
        url,
        json={"archived": True, "tags": []},
        headers=ann | {"If-Match": changed.headers["ETag"], "Content-Type": "application/merge-patch+json"},
    )
    assert (archived.get_json()["archived"], archived.get_json()["tags"]) == (True, [])
    assert client.get("/api/v1/links").get_json()["items"] == []
    assert len(client.get("/api/v1/links?archived=true").get_json()["items"]) == 1
    deleted = client.delete(url, headers=ann | {"If-Match": archived.headers["ETag"]})
    assert (deleted.status_code, deleted.data) == (204, b"")
    check_problem(client.get(url), 404)


def test_pages_are_linked_in_the_body_and_in_headers(client: FlaskClient, ann: dict[str, str]) -> None:
    """Links keep the filter, and going along them shows every link once."""
    for number in range(5):
        post(client, ann, title=f"{number} of many", tags=["odd" if number % 2 else "even"])
    seen, url = [], "/api/v1/links?tag=even&search=many&per_page=2"
    while url:
        answer = client.get(url)
        links = answer.get_json()["links"]
        assert links["self"] == url
        for relation in {"first", "prev", "next"} & {name for name in links if links[name]}:
            assert f'<{links[relation]}>; rel="{relation}"' in answer.headers.getlist("Link")
        seen += [link["title"][0] for link in answer.get_json()["items"]]
        url = links["next"]
    assert seen == ["4", "2", "0"]
    assert client.get(links["prev"]).get_json()["links"]["next"] == links["self"]


def test_a_cursor_shows_no_link_twice_when_others_are_posted(
    client: FlaskClient, ann: dict[str, str]
) -> None:
    """What counted pages can't do."""
    for number in range(4):
        post(client, ann, title=str(number))
    first = client.get("/api/v2/links?per_page=2").get_json()
    post(client, ann, title="4")
    second = client.get(first["links"]["next"]).get_json()
    assert [link["title"] for link in first["items"] + second["items"]] == ["3", "2", "1", "0"]
    assert second["links"]["next"] is None


def test_tags_are_words_in_version_1_and_objects_in_version_2(
    client: FlaskClient, ann: dict[str, str]
) -> None:
    """The same link, and each version takes what it shows."""
    fields = GOOD | {"tags": [{"name": "Python"}]}
    made = client.post("/api/v2/links", json=fields, headers=ann)
    tag = {"name": "python", "links": {"self": "/api/v2/tags/python"}}
    assert made.get_json()["tags"] == [tag]
    assert client.get("/api/v1/links/1").get_json()["tags"] == ["python"]
    assert client.get("/api/v2/tags/python").get_json() == tag | {"count": 1}
    headers = ann | {"If-Match": made.headers["ETag"]}
    changed = client.patch("/api/v2/links/1", json={"tags": [{"name": "db"}]}, headers=headers)
    assert [tag["name"] for tag in changed.get_json()["tags"]] == ["db"]
    assert client.get("/api/v2/tags").get_json()["items"][0]["name"] == "db"
    check_problem(client.post("/api/v1/links", json=fields, headers=ann), 422)


@VERSIONS
def test_users_see_who_they_are_and_the_names_of_others(
    client: FlaskClient, version: str, ann: dict[str, str]
) -> None:
    """Addresses are nobody else's business, and names are for those who have a token."""
    me = client.get(f"/api/{version}/me", headers=ann).get_json()
    assert (me["email"], me["role"], me["confirmed"]) == ("ann@example.com", MEMBER, True)
    seen = client.get(me["links"]["self"], headers=add_user("bob"))
    assert seen.get_json() == {"id": me["id"], "name": "ann", "links": me["links"]}
    check_problem(client.get(me["links"]["self"]), 401)
    check_problem(client.get(f"/api/{version}/users/99", headers=ann), 404)


def test_readers_get_304_for_what_they_have(client: FlaskClient, ann: dict[str, str]) -> None:
    """Lists and documents, too; one change later it is all sent."""
    post(client, ann)
    for url in ("/api/v1/links", "/api/v1/links/1", "/api/v2/links", "/api/v1/openapi.json", "/api/v1/"):
        etag = client.get(url).headers["ETag"]
        again = client.get(url, headers={"If-None-Match": f'"other", W/{etag}'})
        assert (again.status_code, again.data, again.headers["ETag"]) == (304, b"", etag)
        assert again.headers["Cache-Control"] == "no-cache"
        assert client.get(url, headers={"If-Match": etag}).status_code == 200
        check_problem(client.get(url, headers={"If-Match": '"other"'}), 412)
    etag = client.get("/api/v1/links").headers["ETag"]
    post(client, ann)
    assert client.get("/api/v1/links", headers={"If-None-Match": etag}).status_code == 200


def test_a_change_names_the_state_that_it_is_meant_for(client: FlaskClient, ann: dict[str, str]) -> None:
    """Of two people who have read the same, the second one must look again."""
    url, etag = (made := post(client, ann)).headers["Location"], made.headers["ETag"]
    for send in (
        client.delete,
        lambda url, headers: client.patch(url, headers=headers, json={"title": "New"}),
    ):
        check_problem(send(url, headers=ann), 428)
        for wrong in ('"other"', f"W/{etag}", "", "*, x", "\xff"):
            check_problem(send(url, headers=ann | {"If-Match": wrong}), 412)
    assert client.patch(url, json={"tags": ["one"]}, headers=ann | {"If-Match": etag}).status_code == 200
    check_problem(client.patch(url, json={"tags": ["two"]}, headers=ann | {"If-Match": etag}), 412)
    assert client.delete(url, headers=ann | {"If-Match": "*"}).status_code == 204


def test_a_change_of_fields_and_list_is_one(client: FlaskClient, ann: dict[str, str]) -> None:
    """Nobody sees, or is left with, half of it."""
    url = post(client, ann).headers["Location"]
    for count, archived in enumerate([True, False], 2):
        fields = {"archived": archived, "title": f"Title {count}"}
        changed = client.patch(url, json=fields, headers=ann | {"If-Match": "*"}).get_json()
        assert {name: changed[name] for name in fields} == fields
        assert db.session.scalars(select(Link.version)).one() == count


@pytest.mark.parametrize(
    "url",
    [
        "https://example.com:65000/",
        "https://example.com/ä",
        "https://exämple.com/",
        "http://my_host/",
        "https://[::1]/",
    ],
)
def test_every_address_that_the_board_takes_may_be_sent(
    client: FlaskClient, ann: dict[str, str], url: str
) -> None:
    """A client can send back what it has got, and what people can post."""
    assert post(client, ann, url=url).get_json()["url"] == url


@pytest.mark.parametrize("change", [{"tags": ["mine"]}, {"title": "mine"}, {"archived": True}, None])
def test_a_change_between_check_and_write_is_not_lost(
    app: Flask, client: FlaskClient, ann: dict[str, str], monkeypatch: pytest.MonkeyPatch, change: object
) -> None:
    """The database decides, also where only the tags differ."""
    url, etag = (made := post(client, ann)).headers["Location"], made.headers["ETag"]
    may_change = board.may_change

    def and_somebody_else_writes(user: User, link: Link) -> bool:
        with app.app_context():
            other = db.session.get_one(Link, link.id)
            board.change(other, url=other.url, title=other.title, tags=["theirs"])
        return may_change(user, link)

    monkeypatch.setattr(board, "may_change", and_somebody_else_writes)
    headers = ann | {"If-Match": etag}
    lost = client.patch(url, json=change, headers=headers) if change else client.delete(url, headers=headers)
    check_problem(lost, 412)
    assert client.get(url).get_json()["tags"] == ["theirs"]


def test_a_change_is_not_lost_when_both_add_the_same_tag(
    app: Flask, client: FlaskClient, ann: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second try, which finds that tag, must not forget which state the change is meant for."""
    url, etag = (made := post(client, ann)).headers["Location"], made.headers["ETag"]
    add = vars(board)["_add"]

    def after_somebody_else(tag: Tag) -> Tag:
        monkeypatch.setattr(board, "_add", add)
        with app.app_context():
            board.change(db.session.get_one(Link, 1), **GOOD | {"title": "theirs"}, tags=[tag.name])
        added: Tag = add(tag)
        return added

    monkeypatch.setattr(board, "_add", after_somebody_else)
    changes = {"title": "mine", "tags": ["new"]}
    check_problem(client.patch(url, json=changes, headers=ann | {"If-Match": etag}), 412)
    assert client.get(url).get_json()["title"] == "theirs"


def test_a_token_is_needed_for_changes_and_a_wrong_one_is_refused_everywhere(
    client: FlaskClient, ann: dict[str, str]
) -> None:
    """401 says which kind of token is wanted (RFC 6750)."""
    post(client, ann)
    for answer in (
        client.post("/api/v1/links", json=GOOD),
        client.patch("/api/v1/links/1", json={}),
        client.delete("/api/v2/links/1"),
        client.get("/api/v1/me"),
    ):
        check_problem(answer, 401)
        assert answer.headers["WWW-Authenticate"] == 'Bearer realm="Link board API"'
    good = ann["Authorization"].split()[1]
    for wrong in (
        "Bearer",
        "Bearer x",
        f"Basic {good}",
        "Basic YTpi",
        good,
        f"Bearer {good}x",
        "Bearer \xff",
        "Bearer a=b",
    ):
        answer = client.get("/api/v1/links", headers={"Authorization": wrong})
        check_problem(answer, 401)
        assert answer.headers["WWW-Authenticate"].startswith('Bearer realm="Link board API", error=')
    assert client.get("/api/v1/me", headers={"Authorization": f"bearer {good}"}).status_code == 200


def test_a_session_opens_nothing(client: FlaskClient, ann: dict[str, str]) -> None:
    """Else any site could have a browser change things: these URLs need no CSRF token."""
    post(client, ann)
    with client.session_transaction() as session:
        session["_user_id"], session["_fresh"] = "1", True
    check_problem(client.post("/api/v1/links", json=GOOD), 401)
    check_problem(client.delete("/api/v1/links/1", headers={"If-Match": "*"}), 401)
    check_problem(client.get("/api/v1/me"), 401)
    foreign = client.get("/api/v1/links", headers={"Origin": "https://example.org"})
    assert not [name for name in foreign.headers.keys() if name.startswith("Access-Control")]  # noqa: SIM118


def test_members_change_their_own_links_only(client: FlaskClient, ann: dict[str, str]) -> None:
    """Administrators change all, and who hasn't confirmed the address changes none."""
    post(client, ann)
    for name in ("bob", "new"):
        who = add_user(name, confirmed=name == "bob") | {"If-Match": "*"}
        check_problem(client.patch("/api/v1/links/1", json={"title": "mine"}, headers=who), 403)
        check_problem(client.delete("/api/v2/links/1", headers=who), 403)
    check_problem(client.post("/api/v1/links", json=GOOD, headers=who), 403)
    admin = add_user("root", ADMIN) | {"If-Match": "*"}
    assert client.patch("/api/v1/links/1", json={"title": "ours"}, headers=admin).status_code == 200


def test_errors_are_for_programs_wherever_they_arise_below_api(
    client: FlaskClient, ann: dict[str, str]
) -> None:
    """Also where no route was found; elsewhere they are pages."""
    for path in (
        "/api",
        "/api/",
        "/api/v3/links",
        "/api/v1/links/",
        "/api/v1/links/x",
        f"/api/v1/links/{2**31}",
    ):
        check_problem(client.get(path), 404)
    for path in (
        "/api/v1/links/01",
        "/api/v1/links/" + "9" * 5000,
        "/api/v1/tags/%00",
        "/api/v2/users/0",
        "/api/v1/tags/%ED%A0%80",
    ):
        check_problem(client.get(path, headers=ann), 404)
    wrong = client.put("/api/v1/links")
    check_problem(wrong, 405)
    assert set(wrong.allow) == {"GET", "HEAD", "OPTIONS", "POST"}  # type: ignore[arg-type]
    check_problem(client.open("/api/v1/links/1", method="TRACE"), 405)
    assert client.get("/nothing").mimetype == "text/html"
    assert client.get("/apis").mimetype == "text/html"


def test_what_nobody_foresaw_is_a_500_without_details(
    app: Flask, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As problem+json, too."""
    app.config.update(TESTING=False, PROPAGATE_EXCEPTIONS=False)
    monkeypatch.setattr(board, "query", lambda **_: 1 / 0)
    assert "division" not in str(check_problem(client.get("/api/v1/links"), 500))


def test_answers_are_json_for_those_who_take_it(client: FlaskClient, ann: dict[str, str]) -> None:
    """406 otherwise, before anything is changed."""
    for accepted in ("application/json", "*/*", "application/*;q=0.1", "text/html, */*;q=0.1"):
        assert client.get("/api/v1/links", headers={"Accept": accepted}).status_code == 200
    for refused in ("text/html", "application/json;q=0", "application/xml, image/*"):
        check_problem(client.get("/api/v1/links", headers={"Accept": refused}), 406)
    check_problem(client.post("/api/v1/links", json=GOOD, headers=ann | {"Accept": "text/html"}), 406)
    assert db.session.scalar(select(func.count()).select_from(Link)) == 0


@pytest.mark.parametrize(
    ("status", "body", "media_type"),
    [
        (415, b"{}", "text/plain"),
        (415, b"title=x", "application/x-www-form-urlencoded"),
        (415, b"{}", "application/merge-patch+json"),
        (415, b"{}", ""),
        (400, b"", "application/json"),
        (400, b"{", "application/json"),
        (400, b'{"url": "https://example.com/", "title": "a", "title": "b"}', "application/json"),
        (400, b"[" * 100_000, "application/json"),
        (400, b'{"a":' * 100_000, "application/json"),
        (400, b'{"url": "\xff"}', "application/json"),
        (400, '{"url": "x"}'.encode("utf-16"), "application/json"),
        (400, b"9" * 5000, "application/json"),
        (422, b"[]", "application/json"),
        (422, b"null", "application/json"),
        (422, b"NaN", "application/json"),
        (422, b"{}", "application/json; charset=utf-8"),
        (413, b'{"title": "' + b"x" * 2**21 + b'"}', "application/json"),
    ],
)
def test_bodies_that_are_no_json_are_refused(
    client: FlaskClient, ann: dict[str, str], status: int, body: bytes, media_type: str
) -> None:
    """Each with the status that says what to mend."""
    check_problem(client.post("/api/v1/links", data=body, content_type=media_type, headers=ann), status)


@pytest.mark.parametrize(
    ("pointer", "fields"),
    [
        ("#/url", {"url": "javascript:alert(1)"}),
        ("#/url", {"url": "https://ann:secret@example.com/"}),
        ("#/url", {"url": "https://example.com/\0"}),
        ("#/url", {"url": "https://example.com/\n"}),
        ("#/url", {"url": "https://example.com\\@example.org"}),
        ("#/url", {"url": "https://example.com/" + "x" * 2000}),
        ("#/title", {"title": ""}),
        ("#/title", {"title": " "}),
        ("#/title", {"title": "a\0b"}),
        ("#/title", {"title": "\ud800"}),
        ("#/title", {"title": 7}),
        ("#/title", {"title": None}),
        ("#/title", {"title": "x" * 201}),
        ("#/note", {"note": "\x1b[2J"}),
        ("#/tags", {"tags": "python"}),
        ("#/tags", {"tags": ["x"] * 11}),
        ("#/tags/1", {"tags": ["x", 1e999]}),
        ("#/tags/0", {"tags": ["a,b"]}),
        ("#/tags/0", {"tags": [[["x"]]]}),
        ("#/user_id", {"user_id": 1}),
        ("#", {"\ud800": 1}),
        ("#/a~1b~0", {"a/b~": 1}),
    ],
)
def test_every_value_at_fault_is_named(
    client: FlaskClient, ann: dict[str, str], pointer: str, fields: dict[str, object]
) -> None:
    """As a JSON pointer into the body (RFC 6901), for a new link and for a change."""
    post(client, ann)
    for found in (
        client.post("/api/v1/links", json=GOOD | fields, headers=ann),
        client.patch("/api/v1/links/1", json=fields, headers=ann | {"If-Match": "*"}),
    ):
        errors = check_problem(found, 422)["errors"]
        assert [error["pointer"] for error in errors] == [pointer]  # type: ignore[attr-defined]


def test_a_flood_of_faults_is_cut(client: FlaskClient, ann: dict[str, str]) -> None:
    """The answer stays small."""
    fields = {f"{number}" * 100: number for number in range(2000)}
    assert len(client.post("/api/v1/links", json=fields, headers=ann).data) < 10_000


@pytest.mark.parametrize(
    ("parameter", "query"),
    [
        ("page", "page=0"),
        ("page", "page=-1"),
        ("page", "page=x"),
        ("page", "page="),
        ("page", "page=1.0"),
        ("page", "page=+1"),
        ("page", "page=1_0"),
        ("page", "page=\u0663"),
        ("page", "page=" + "9" * 5000),
        ("page", "page=1&page=2"),
        ("per_page", "per_page=101"),
        ("archived", "archived=maybe"),
        ("search", "search=" + "x" * 201),
        ("cursor", "cursor=00000001"),
        ("_external", "_external=1"),
    ],
)
def test_every_parameter_at_fault_is_named(client: FlaskClient, parameter: str, query: str) -> None:
    """What isn't known is an error, too: a typo in a filter must not show everything."""
    errors = check_problem(client.get(f"/api/v1/links?{query}"), 422)["errors"]
    assert [error["parameter"] for error in errors] == [parameter]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "cursor", ["", "x", "80000000", "-0000001", "7" * 5000, "\0" * 8, "7fffffffffffffff"]
)
def test_a_cursor_that_nobody_was_given_is_refused(client: FlaskClient, cursor: str) -> None:
    """And the largest possible one is only a large number."""
    check_problem(client.get("/api/v2/links", query_string={"cursor": cursor}), 422)
    assert client.get("/api/v2/links?cursor=7fffffff").status_code == 200


@pytest.mark.parametrize(
    "query", ["search=%00", "tag=%00x", "search=%ED%A0%80", "search=%25_%5C", "page=100000"]
)
def test_any_text_may_be_searched(client: FlaskClient, query: str) -> None:
    """Databases refuse some of it, and then there is nothing to be found."""
    assert client.get(f"/api/v1/links?{query}").get_json()["items"] == []


@pytest.fixture
def limited(tmp_path: Path) -> Iterator[FlaskClient]:
    """The API for three requests in a minute."""
    made = create_app(Settings(environment="testing", data_dir=tmp_path, api_rate=3))
    made.test_cli_runner().invoke(args=["deploy"])
    with made.app_context():
        yield made.test_client()
        db.session.remove()
        db.engine.dispose()


def test_requests_are_limited_for_each_user_and_address(limited: FlaskClient) -> None:
    """Making up tokens doesn't help, and the answer says how long to wait."""
    ann, bob = add_user("ann"), add_user("bob")
    statuses = [limited.get("/api/v1/me", headers=ann).status_code for _ in range(4)]
    assert statuses == [200, 200, 200, 429]
    refused = limited.get("/api/v2/me", headers=ann)
    check_problem(refused, 429)
    assert 0 < int(refused.headers["Retry-After"]) <= 60
    assert limited.get("/api/v1/me", headers=bob).status_code == 200
    guesses = [
        limited.get("/api/v1/me", headers={"Authorization": f"Bearer {n}"}).status_code for n in range(4)
    ]
    assert guesses == [401, 401, 401, 429]
    assert limited.get("/healthz").status_code == 200


def test_the_end_of_version_1_is_announced_when_it_is_set(tmp_path: Path, client: FlaskClient) -> None:
    """RFC 9745 and RFC 8594; version 2 goes on."""
    assert "Sunset" not in client.get("/api/v1/").headers
    settings = {"environment": "testing", "data_dir": tmp_path, "api_v1_sunset": "2027-06-30"}
    told = create_app(Settings.model_validate(settings)).test_client()
    headers = told.get("/api/v1/").headers
    assert (headers["Deprecation"], headers["Sunset"]) == ("@1795651200", "Wed, 30 Jun 2027 00:00:00 GMT")
    assert "Sunset" not in told.get("/api/v2/").headers


@VERSIONS
def test_each_version_has_its_document(client: FlaskClient, version: str) -> None:
    """With its own paths and models."""
    document = client.get(f"/api/{version}/openapi.json").get_json()
    assert document["servers"] == [{"url": f"/api/{version}"}]
    assert document["info"]["version"] == f"{version[1:]}.0.0"
    parameters = {each["name"] for each in document["paths"]["/links"]["get"]["parameters"]}
    assert ("cursor" in parameters, "page" in parameters) == (version == "v2", version == "v1")
