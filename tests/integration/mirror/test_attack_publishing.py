"""Attacks on trusted publishing, each with what the client saw: forged, borrowed and misused tokens."""

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from pymacaroons import Macaroon

from tests.support.dists import wheel
from tests.support.forged_tokens import ATTACKS, OTHER_EC, OTHER_RSA
from tests.support.issuer import DISCOVERY, KEYS, Issuer, jwk
from tests.support.mirror_and_upstream import Mirrored, mirror_of, new_name
from tests.support.publishing import AUDIENCE, OUTSIDE, exchange, publisher, seen, upload, upload_token
from tests.support.servers import BIN
from tests.support.upstream import Upstream


@pytest.fixture(scope="module")
def issuer() -> Iterator[Issuer]:
    with Issuer() as running:
        yield running


@pytest.fixture(scope="module")
def evil() -> Iterator[Issuer]:
    """An issuer of an attacker's, with keys of its own."""
    with Issuer() as running:
        running.keys = [jwk(OTHER_RSA, "rsa"), jwk(OTHER_EC, "ec")]
        yield running


@pytest.fixture(scope="module")
def mirrored(issuer: Issuer) -> Iterator[Mirrored]:
    """A mirror with company/dev and company/prod, and one publisher."""
    with Upstream() as upstream, mirror_of(upstream, OUTSIDE + publisher(issuer)) as made:
        yield made


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_token_that_is_not_the_declared_jobs_is_refused(
    mirrored: Mirrored, issuer: Issuer, evil: Issuer, attack: str
) -> None:
    """Each says why, to who sent it; nobody but the declared issuer is asked for keys."""
    make, words = ATTACKS[attack]
    address = f"192.0.2.{list(ATTACKS).index(attack)}"
    status, reason = seen(exchange(mirrored.mirror.url, make(issuer, evil), address=address))
    assert (status, reason[: len(words)]) == (422, words)
    assert not evil.asked
    assert set(issuer.asked) <= {DISCOVERY, KEYS}


def test_a_token_is_exchanged_once_also_after_a_restart(mirrored: Mirrored, issuer: Issuer) -> None:
    """Who reads a CI log finds one that was used; the note of it is on disk, without the token."""
    token = issuer.token(AUDIENCE)
    assert exchange(mirrored.mirror.url, token).status_code == 200
    words = (422, "This ID token was used before; each is good for one exchange.")
    assert seen(exchange(mirrored.mirror.url, token)) == words
    mirrored.restart()
    assert seen(exchange(mirrored.mirror.url, token)) == words


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{", b'"token"', b"[" * 5000, b'{"token": "' + b"x" * 40_000 + b'"}']
)
def test_a_body_that_is_no_request_is_refused_in_words(mirrored: Mirrored, body: bytes) -> None:
    """In the form that clients read."""
    url = f"{mirrored.mirror.url}/_/oidc/mint-token"
    answer = requests.post(url, data=body, headers={"X-Real-IP": "192.0.2.200"}, timeout=30)
    assert seen(answer)[0] == 422


def test_a_body_without_end_is_not_read(mirrored: Mirrored) -> None:
    """A large one would need a login, and an index at this address."""
    url = f"{mirrored.mirror.url}/_/oidc/mint-token"
    assert requests.post(url, data=b"x" * 200_000, timeout=30).status_code == 404


def test_an_address_with_a_newline_is_another_one(mirrored: Mirrored, issuer: Issuer) -> None:
    """The route's pattern matches it; nothing has verified the token then."""
    url, body = f"{mirrored.mirror.url}/_/oidc/mint-token%0A", {"token": issuer.token(AUDIENCE)}
    assert requests.post(url, json=body, timeout=30).status_code == 404


def test_an_upload_token_uploads_its_projects_to_its_index_and_does_nothing_else(
    mirrored: Mirrored, issuer: Issuer
) -> None:
    """Each of these is what a stolen one would be tried for."""
    url = mirrored.mirror.url
    token = upload_token(url, issuer)
    own, other = wheel("shop", "1.0"), wheel("other", "1.0")
    assert upload(url, token, own).status_code == 200
    refusals = {
        "another index": upload(url, token, wheel("shop", "2.0"), "company/prod"),
        "another project": upload(url, token, other),
        "a project that begins like one": upload(url, token, wheel("shopping", "1.0")),
        "a file of another project": upload(url, token, wheel("shop", "2.0"), name="other"),
        "registration": upload(url, token, wheel("shop", "3.0"), **{":action": "submit"}),
        "documentation": upload(url, token, wheel("shop", "3.0"), **{":action": "doc_upload"}),
    }
    login: Any = ("__token__", token)
    file = mirrored.url_of(own, "company/dev")
    push = {"name": "shop", "version": "1.0", "targetindex": "company/dev"}
    calls: dict[str, tuple[str, str, Any]] = {
        "delete a version": ("DELETE", f"{url}/company/dev/shop/1.0", None),
        "delete a project": ("DELETE", f"{url}/company/dev/shop", None),
        "delete a file": ("DELETE", file, None),
        "delete the index": ("DELETE", f"{url}/company/dev", None),
        "test results": ("POST", file, {"x": 1}),
        "yank": ("PUT", f"{url}/company/dev/shop/1.0/+yank", {}),
        "push": ("POST", f"{url}/company/dev", push),
        "push to another index": ("POST", f"{url}/company/dev", {**push, "targetindex": "company/prod"}),
        "push by its own method": ("PUSH", f"{url}/company/dev", push),
        "change the index": ("PATCH", f"{url}/company/dev", ["volatile=True"]),
        "a token of its own": ("POST", f"{url}/company/+token-create", {}),
        "a token for reading": ("POST", f"{url}/company/dev/+read-token", None),
        "the list of tokens": ("GET", f"{url}/company/+tokens", None),
        "change the user": ("PATCH", f"{url}/company", {"password": "long enough"}),
        "publishers": ("PUT", f"{url}/+publishers", {}),
        "users": ("GET", f"{url}/", None),
    }
    for name, (method, address, body) in calls.items():
        headers = {"Accept": "application/json"}
        refusals[name] = requests.request(method, address, json=body, auth=login, headers=headers, timeout=30)
    accepted = {
        name: answer.status_code for name, answer in refusals.items() if answer.status_code not in {401, 403}
    }
    assert accepted == {}
    assert refusals["another index"].reason == "Token denied access to index 'company/prod'"
    assert refusals["another project"].reason == "Token denied access to project 'other'"
    assert refusals["yank"].reason == "Token of a publisher can upload files, and do nothing else"
    assert requests.get(file, timeout=30).content == own.content


def test_an_upload_token_ends_after_minutes_and_cannot_be_widened(mirrored: Mirrored, issuer: Issuer) -> None:
    """Who has a macaroon can add limits, and take none away."""
    url = mirrored.mirror.url
    token = upload_token(url, issuer)
    expires = [text for text in caveats(token) if text.startswith("expires=")]
    assert [0 < int(text.removeprefix("expires=")) - time.time() <= 900 for text in expires] == [True]
    added = Macaroon.deserialize(token.removeprefix("devpi-"))
    added.add_first_party_caveat("publishers=everything")
    added.add_first_party_caveat("expires=never")
    dist = wheel(new_name("acme_"), "1.0")
    assert upload(url, f"devpi-{added.serialize()}", dist).status_code == 403
    ended = Macaroon.deserialize(token.removeprefix("devpi-"))
    ended.add_first_party_caveat(f"expires={int(time.time()) - 1}")
    answer = upload(url, f"devpi-{ended.serialize()}", dist)
    assert (answer.status_code, answer.reason[:17]) == (403, "Token expired at ")
    assert upload(url, token, dist).status_code == 200


def test_nobody_uploads_in_the_name_of_a_run(mirrored: Mirrored, issuer: Issuer) -> None:
    """Who has a token can add limits; that of a run limits nothing, and is in the audit log."""
    url, false, true = mirrored.mirror.url, new_name("false"), new_name("true")

    def named(token: str) -> str:
        added = Macaroon.deserialize(token.removeprefix("devpi-"))
        return f"devpi-{added.add_first_party_caveat(f'run={false}').serialize()}"

    create = (BIN / "mirror", "token", "create", "--index", "company/dev")
    ordinary = mirrored.mirror.run(*create).stdout.strip()
    answer = upload(url, named(ordinary), wheel("shop", "7.0"))
    assert (answer.status_code, answer.reason) == (403, "This token names a run, and is none of a CI job.")
    assert upload(url, ordinary, wheel("shop", "7.0")).status_code == 200
    of_job = upload_token(url, issuer, run_id=true)
    assert upload(url, named(of_job), wheel("shop", "7.1")).status_code == 200
    lines = mirrored.mirror.run(BIN / "mirror", "audit-log", "--json").stdout.splitlines()
    runs = [json.loads(line).get("run") for line in lines]
    assert (runs.count(false), runs.count(true)) == (0, 2)  # the login and the upload


def test_a_job_uploads_to_a_protected_index_and_reads_nothing_of_it(
    mirrored: Mirrored, issuer: Issuer
) -> None:
    """devpi asks for the right to read before all else."""
    url, root = mirrored.mirror.url, ("root", mirrored.mirror.credentials["root"])
    dist = wheel(new_name("acme_"), "1.0")
    requests.put(
        f"{url}/+readers", json={"company/dev": ["company"]}, auth=root, timeout=30
    ).raise_for_status()
    try:
        token = upload_token(url, issuer)
        assert upload(url, token, dist).status_code == 200
        pages = ("", "/+simple/", f"/+simple/{dist.filename.partition('-')[0]}/")
        login = ("__token__", token)
        found = [
            requests.get(f"{url}/company/dev{page}", auth=login, timeout=30).status_code for page in pages
        ]
        assert found == [403, 403, 403]
    finally:
        requests.put(f"{url}/+readers", json={}, auth=root, timeout=30).raise_for_status()


def caveats(token: str) -> list[str]:
    found = Macaroon.deserialize(token.removeprefix("devpi-")).caveats
    return [each.caveat_id_bytes.decode() for each in found]


def test_who_sends_hundreds_of_wrong_tokens_locks_nobody_out(mirrored: Mirrored, issuer: Issuer) -> None:
    """All jobs behind a replica, or a gateway, have its address; so has who logs in with a password."""
    url, address = mirrored.mirror.url, "192.0.2.250"
    assert {exchange(url, "x.y.z", address=address).status_code for _ in range(230)} == {422}
    assert exchange(url, issuer.token(AUDIENCE), address=address).status_code == 200
    body = {"user": "company", "password": mirrored.mirror.credentials["company"]}
    login = requests.post(f"{url}/+login", json=body, headers={"X-Real-IP": address}, timeout=60)
    assert login.status_code == 200


def test_no_token_is_in_a_log_or_on_disk(mirrored: Mirrored, issuer: Issuer) -> None:
    """Neither the ID token nor what it was exchanged for, when it was taken and when it was not."""
    taken, wrong = issuer.token(AUDIENCE), issuer.token(AUDIENCE, repository="evil/web")
    minted = exchange(mirrored.mirror.url, taken).json()["token"]
    assert exchange(mirrored.mirror.url, wrong).status_code == 422
    assert upload(mirrored.mirror.url, minted, wheel(new_name("acme_"), "1.0")).status_code == 200
    secret = [text.encode() for text in (taken.split(".")[1][:40], wrong.rpartition(".")[2], minted[-60:])]
    kept = [path for path in mirrored.mirror.home.rglob("*") if path.is_file()]
    assert any(path.name == "server.log" for path in kept)
    found = [path.name for path in kept for text in secret if text in path.read_bytes()]
    assert found == []
    events = mirrored.mirror.run(BIN / "mirror", "audit-log", "--json").stdout
    assert "evil/web" in events
