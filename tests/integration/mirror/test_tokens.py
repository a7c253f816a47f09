"""Users and tokens: made by `mirror user` and `mirror token`, used by real tools, attacked."""

import base64
import json
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from pymacaroons import Macaroon

from tests.support import documents
from tests.support.dists import Dist, wheel
from tests.support.mirror_and_upstream import Mirrored, mirror_of, new_name
from tests.support.servers import BIN, completed
from tests.support.upstream import Upstream

JSON = {"Accept": "application/json"}


@pytest.fixture(scope="module")
def mirrored() -> Iterator[Mirrored]:
    """A mirror with company/dev and company/prod."""
    with Upstream() as upstream, mirror_of(upstream) as made:
        yield made


def _mirror(mirrored: Mirrored, *arguments: str, status: int = 0) -> Any:  # noqa: ANN401 (its output)
    return mirrored.mirror.run(BIN / "mirror", *arguments, status=status)


def _add_user(mirrored: Mirrored, name: str, password: str) -> Any:  # noqa: ANN401 (its output)
    """With the password on standard input, as a script does it."""
    command = [str(BIN / "mirror"), "user", "add", name]
    return subprocess.run(
        command,
        env=mirrored.mirror.environment,
        input=f"{password}\n",
        capture_output=True,
        text=True,
        check=False,
    )


def _token(mirrored: Mirrored, *options: str) -> str:
    return str(_mirror(mirrored, "token", "create", *options).stdout.strip())


@pytest.fixture(scope="module")
def of_dev(mirrored: Mirrored) -> str:
    """A token that may upload one project to company/dev."""
    return _token(mirrored, "--index", "company/dev", "--project", "shop", "--expires", "1d")


def _upload(mirrored: Mirrored, token: str, dist: Dist, index: str = "company/dev", **more: str) -> Any:  # noqa: ANN401
    name, version = dist.filename.split("-")[:2]
    form = {":action": "file_upload", "metadata_version": "2.1", "name": name, "version": version, **more}
    files = {"content": (dist.filename, dist.content)}
    url = f"{mirrored.mirror.url}/{index}/"
    return requests.post(url, data=form, files=files, auth=("__token__", token), timeout=30, headers=JSON)


def _push(mirrored: Mirrored, token: str, index: str, method: str = "POST", **body: str) -> Any:  # noqa: ANN401
    url = f"{mirrored.mirror.url}/{index}"
    return requests.request(method, url, json=body, auth=("__token__", token), timeout=30, headers=JSON)


def test_twine_and_uv_upload_with_a_token_and_pip_installs_with_it(
    mirrored: Mirrored, of_dev: str, tmp_path: Path
) -> None:
    """As their users do: the user __token__, the token from the environment. Files of bases come, too."""
    mirrored.upstream.add("base", wheel("base", "1.0"))
    one, two = wheel("shop", "1.0", requires=["base"]), wheel("shop", "2.0", requires=["base"])
    for dist in (one, two):
        (tmp_path / dist.filename).write_bytes(dist.content)
    url = f"{mirrored.mirror.url}/company/dev/"
    login = ("env", "TWINE_USERNAME=__token__", f"TWINE_PASSWORD={of_dev}")
    options = ("--non-interactive", "--disable-progress-bar", "--repository-url", url)
    mirrored.mirror.run(*login, BIN / "twine", "upload", *options, tmp_path / one.filename)
    uv = ("env", f"UV_PUBLISH_TOKEN={of_dev}", BIN / "uv", "publish", "--publish-url", url)
    mirrored.mirror.run(*uv, tmp_path / two.filename)
    index = mirrored.mirror.index_url("company/dev").replace("://", f"://__token__:{of_dev}@")
    pip = (BIN / "python", "-m", "pip", "install", "--target", tmp_path / "x", "shop")
    mirrored.mirror.run("env", f"PIP_INDEX_URL={index}", *pip)
    assert {path.name for path in (tmp_path / "x").iterdir()} >= {"shop", "base"}


def test_a_token_of_one_project_and_index_reaches_no_other(mirrored: Mirrored, of_dev: str) -> None:
    """By upload, registration, push, test results, yank, deletion, settings, or as a login."""
    url = mirrored.mirror.url
    other = wheel(new_name("other"), "1.0")
    name = other.filename.partition("-")[0]
    _upload_as_company(mirrored, other)
    _upload_as_company(mirrored, wheel("shop", "7.0"))
    assert _upload(mirrored, of_dev, wheel(name, "2.0")).status_code == 403
    assert _upload(mirrored, of_dev, wheel("shop", "3.0"), "company/prod").status_code == 403
    assert _upload(mirrored, of_dev, wheel(name, "3.0"), **{":action": "submit"}).status_code == 403
    pushes = [
        {"name": name, "version": "1.0", "targetindex": "company/dev"},
        {"name": "shop", "version": "7.0", "targetindex": "company/prod"},
        {
            "name": "shop",
            "version": "7.0",
            "posturl": "http://127.0.0.1:9/",
            "username": "a",
            "password": "b",
        },
    ]
    for body in pushes:
        for method, index in (("POST", "company/dev"), ("POST", "company/dev/"), ("PUSH", "company/dev")):
            assert _push(mirrored, of_dev, index, method, **body).status_code == 403, (body, method, index)
    login = ("__token__", of_dev)
    file = mirrored.url_of(other, "company/dev")
    refused: list[tuple[str, str, Any]] = [
        ("DELETE", f"{url}/company/dev/shop", None),
        ("DELETE", f"{url}/company/dev/shop/7.0", None),
        ("DELETE", file, None),
        ("POST", file, {"x": 1}),
        ("PUT", f"{url}/company/dev/{name}/1.0/+yank", {}),
        ("PATCH", f"{url}/company/dev", {"volatile": False}),
        ("PATCH", f"{url}/company", {"password": "another one"}),
        ("PUT", f"{url}/company/new", {}),
        ("POST", f"{url}/company/+token-create", {}),
        ("GET", f"{url}/company/+tokens", None),
        ("GET", f"{url}/", None),
        ("GET", f"{url}/+status", None),
    ]
    for method, address, body in refused:
        refusal = requests.request(method, address, json=body, auth=login, timeout=30, headers=JSON)
        assert refusal.status_code == 403, (method, address)
    session = requests.post(
        f"{url}/+login", json={"user": "company", "password": of_dev}, timeout=30, headers=JSON
    )
    assert session.status_code == 401
    assert name in mirrored.page(name, "company/dev")["name"]


def _upload_as_company(mirrored: Mirrored, dist: Dist) -> None:
    name, version = dist.filename.split("-")[:2]
    form = {":action": "file_upload", "metadata_version": "2.1", "name": name, "version": version}
    login = ("company", mirrored.mirror.credentials["company"])
    files = {"content": (dist.filename, dist.content)}
    answer = requests.post(
        f"{mirrored.mirror.url}/company/dev/", data=form, files=files, auth=login, timeout=30
    )
    assert answer.status_code == 200, answer.text


def test_a_token_of_two_indexes_promotes_between_them(mirrored: Mirrored) -> None:
    """What a job needs that releases: nothing else leads to company/prod."""
    promoter = _token(mirrored, "--index", "company/dev", "--index", "company/prod", "--project", "shop")
    assert _upload(mirrored, promoter, wheel("shop", "8.0")).status_code == 200
    body = {"name": "Shop", "version": "8.0", "targetindex": "company/prod"}
    assert _push(mirrored, promoter, "company/dev", **body).status_code == 200
    assert [file["filename"][:8] for file in mirrored.page("shop", "company/prod")["files"]] == ["shop-8.0"]


def test_a_push_that_looks_like_a_form_needs_a_login_all_the_same(mirrored: Mirrored) -> None:
    """devpi takes a body for a push when its field :action is empty, and asks for no login itself."""
    text = json.dumps({"name": "shop", "version": "1.0", "posturl": "http://127.0.0.1:9/", "x": "&:action=&"})
    form = {"Content-Type": "application/x-www-form-urlencoded", **JSON}
    for path in ("company/dev", "company/dev/"):
        answer = requests.post(f"{mirrored.mirror.url}/{path}", data=text, headers=form, timeout=30)
        assert answer.status_code == 401, answer.text


def test_who_is_refused_is_told_why_in_the_status_line(mirrored: Mirrored, of_dev: str) -> None:
    """twine and uv show nothing else of an answer; a name in it may come from the form."""
    refused = _upload(mirrored, of_dev, wheel("otherlib", "1.0"))
    assert refused.reason == "Token denied access to project 'otherlib'"
    odd = _upload(mirrored, of_dev, wheel("otherlib", "1.0"), name="other\r\nX-Evil: 1")
    assert (odd.status_code, "X-Evil" in odd.headers) == (403, False)
    assert (
        _upload(mirrored, of_dev[:-4] + "AAAA", wheel("shop", "1.5")).reason
        == "This token is not valid here."
    )


def test_a_token_narrowed_in_the_form_of_the_public_index_is_refused(mirrored: Mirrored, of_dev: str) -> None:
    """devpi-tokens verifies such caveats, and then cannot list them: a 500."""
    narrowed = Macaroon.deserialize(of_dev.removeprefix("devpi-")).add_first_party_caveat('[1, ["shop"]]')
    token = f"devpi-{narrowed.serialize()}"
    refused = _push(mirrored, token, "company/dev", name="shop", version="1.0", targetindex="company/dev")
    assert (refused.status_code, refused.reason) == (
        403,
        "This token has limits that this server does not know.",
    )


def test_no_token_deletes_by_force_what_an_index_keeps(mirrored: Mirrored) -> None:
    """`?force` of devpi is for the owner of an index that is not volatile, with a password."""
    options = ("--index", "company/prod", "--index", "company/dev", "--may", "upload", "--may", "delete")
    token = _token(mirrored, *options)
    assert _upload(mirrored, token, wheel("kept", "1.0"), "company/prod").status_code == 200
    for address in ("company/prod/kept/1.0", "company/prod/kept"):
        for query in ("?force", "?force=1", ""):
            url = f"{mirrored.mirror.url}/{address}{query}"
            assert (
                requests.delete(url, auth=("__token__", token), timeout=30, headers=JSON).status_code == 403
            )
    assert mirrored.page("kept", "company/prod")["files"]


def test_what_root_alone_may_do_no_token_of_root_may(mirrored: Mirrored) -> None:
    """A token that root made for uploads, and that CI leaks."""
    mirrored.change_index("company/dev", **{"acl_upload+": "root"})
    of_root = _token(mirrored, "--index", "company/dev", "--user", "root")
    for method, path in (("GET", "/+reserved"), ("PUT", "/+reserved/flask"), ("DELETE", "/+reserved/shop")):
        answer = requests.request(
            method, f"{mirrored.mirror.url}{path}", auth=("__token__", of_root), timeout=30, headers=JSON
        )
        assert answer.status_code == 403, (method, path)


def test_a_token_ends_when_it_is_revoked_or_its_user_removed(mirrored: Mirrored) -> None:
    """At once: nothing of it is cached."""
    assert _add_user(mirrored, "anna", "long enough").returncode == 0
    mirrored.change_index("company/dev", **{"acl_upload+": "anna"})
    of_anna = _token(mirrored, "--index", "company/dev", "--user", "anna")
    of_company = json.loads(_mirror(mirrored, "token", "create", "--index", "company/dev", "--json").stdout)
    name = new_name("ends")
    for number, token in enumerate((of_anna, of_company["token"])):
        assert _upload(mirrored, token, wheel(name, f"1.{number}")).status_code == 200
    listed = json.loads(_mirror(mirrored, "token", "list", "--json").stdout)
    assert of_company["id"] in {row["id"] for row in listed}
    assert "token" not in {key for row in listed for key in row}
    _mirror(mirrored, "token", "revoke", of_company["id"])
    _mirror(mirrored, "user", "remove", "anna", "--yes")
    for token in (of_anna, of_company["token"], of_company["token"][:-3] + "AAA"):
        answer = _upload(mirrored, token, wheel(name, "2.0"))
        assert answer.status_code == 403, answer.text
        assert answer.reason == "This token was revoked, or is of another user or server."


def test_a_token_lives_over_a_restart_and_reads_go_on_with_a_wrong_one(mirrored: Mirrored) -> None:
    """Public pages need no login; an old token in pip.conf stops nobody's work."""
    token = _token(mirrored, "--index", "company/dev", "--expires", "never")
    mirrored.restart()
    name = new_name("later")
    assert _upload(mirrored, token, wheel(name, "1.0")).status_code == 200
    stale = ("__token__", token[:-4] + "AAAA")
    page = f"{mirrored.mirror.index_url('company/dev')}{name}/"
    for url in (page, mirrored.url_of(wheel(name, "1.0"), "company/dev")):
        assert requests.get(url, auth=stale, timeout=30).status_code == 200


def test_a_password_is_changed_and_the_mirror_goes_on_with_it(mirrored: Mirrored) -> None:
    """`mirror init` and `release upload` take the one of credentials.json."""
    made = _mirror(mirrored, "user", "password", "company", "--generate").stdout.strip()
    assert mirrored.mirror.credentials["company"] == made
    _upload_as_company(mirrored, wheel(new_name("changed"), "1.0"))
    assert "password" not in _mirror(mirrored, "init").stdout
    assert "fewer than 8 characters" in _add_user(mirrored, "bert", "short").stderr
    rows = json.loads(_mirror(mirrored, "user", "list", "--json").stdout)
    assert {row["name"] for row in rows} >= {"company", "root"}
    refused = _mirror(mirrored, "user", "remove", "company", status=1)
    assert "Give --yes" in refused.stderr


def test_names_that_the_server_knows_are_completed(mirrored: Mirrored) -> None:
    """Of users, tokens and reserved names; nobody types an id."""
    _token(mirrored, "--index", "company/dev")
    name = new_name("reserved")
    _mirror(mirrored, "reserve", name)
    ids = {row["id"] for row in json.loads(_mirror(mirrored, "token", "list", "--json").stdout)}
    assert ids
    assert completed(mirrored.mirror.environment, "mirror token revoke ") == ids
    assert completed(mirrored.mirror.environment, f"mirror release-name {name[:-2]}") >= {name}
    assert "company" in completed(mirrored.mirror.environment, "mirror user remove com")


def test_users_make_tokens_of_their_own_and_of_nobody_else(mirrored: Mirrored) -> None:
    """With the devpi client's commands; only root may change users, and devpi-tokens asks for that right."""
    url = mirrored.mirror.url
    assert _add_user(mirrored, "carl", "long enough").returncode == 0
    body = {"user": "carl", "password": "long enough"}
    proof = requests.post(f"{url}/+login", json=body, timeout=30, headers=JSON).json()["result"]["password"]
    login = {"X-Devpi-Auth": base64.b64encode(f"carl:{proof}".encode()).decode(), **JSON}
    for owner, status in (("carl", 200), ("company", 403)):
        made = requests.post(f"{url}/{owner}/+token-create", json={}, headers=login, timeout=30)
        assert made.status_code == status


def test_the_commands_of_the_page_work(mirrored: Mirrored, tmp_path: Path) -> None:
    """docs/accounts.md, from top to bottom; nothing but the token is on stdout."""
    (tmp_path / "mirror.toml").write_text((mirrored.mirror.home / "mirror.toml").read_text())
    for block in documents.blocks("accounts.md"):
        if block.language == "toml":
            (tmp_path / "mirror.toml").write_text(block.text)
            continue
        if block.filename:  # an example; test_a_token_ends_… revokes one
            continue
        # Named, as it is not the mirror.toml that this mirror was made with.
        settings = (f"PATH={BIN}:/usr/bin:/bin", f"MIRROR_CONFIG={tmp_path / 'mirror.toml'}")
        mirrored.mirror.run("env", *settings, "sh", "-ec", documents.script(block.text), cwd=tmp_path)
    assert {stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("token", "promoter")} == {0o600}
    promoter = (tmp_path / "promoter").read_text().strip()
    assert _upload(mirrored, promoter, wheel("shop", "9.0")).status_code == 200
    indexes = json.loads(_mirror(mirrored, "status", "--json").stdout)["indexes"]
    assert [index["bases"] for index in indexes] == [["company/prod"], ["root/pypi"], []]
