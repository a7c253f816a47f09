"""Attacks on trusted publishing, each with what the client saw: forged, borrowed and misused tokens."""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any

import jwt
import pytest
import requests
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from pymacaroons import Macaroon

from tests.support.dists import wheel
from tests.support.issuer import DISCOVERY, EC_KEY, KEYS, RSA_KEY, Issuer, jwk, public_pem
from tests.support.mirror_and_upstream import Mirrored, mirror_of, new_name
from tests.support.publishing import AUDIENCE, OUTSIDE, exchange, publisher, seen, upload, upload_token
from tests.support.servers import BIN
from tests.support.upstream import Upstream

NOT_VALID = "This ID token is not valid here: "
OTHER_RSA, OTHER_EC = rsa.generate_private_key(65537, 2048), ec.generate_private_key(ec.SECP256R1())
Make = Callable[[Issuer, Issuer], object]  # a token, of the declared issuer and another one


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


def part(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def signed_by_public_key(issuer: Issuer, _: Issuer) -> str:
    """HS256 with what everybody has as the secret (CVE-2015-9256 and such)."""
    head = f"{part({'alg': 'HS256', 'typ': 'JWT', 'kid': 'rsa'})}.{part(issuer.claims(AUDIENCE))}"
    digest = hmac.digest(public_pem(RSA_KEY), head.encode(), hashlib.sha256)
    return f"{head}.{base64.urlsafe_b64encode(digest).rstrip(b'=').decode()}"


def forged(issuer: Issuer, **header: object) -> str:
    """All claims as they should be, signed with another key."""
    return jwt.encode(issuer.claims(AUDIENCE), OTHER_RSA, "RS256", headers={"kid": "rsa", **header})


def with_header(issuer: Issuer, algorithm: str = "RS256", key: Any = RSA_KEY, **header: object) -> str:  # noqa: ANN401
    return jwt.encode(issuer.claims(AUDIENCE), key, algorithm, headers=header)


def raw(issuer: Issuer, header: object, **claims: object) -> str:
    """A token as JSON has it, signed by the issuer: PyJWT makes none with claims of wrong types."""
    head = f"{part(header)}.{part({**issuer.claims(AUDIENCE), **claims})}"
    signature = jwt.algorithms.RSAAlgorithm(jwt.algorithms.RSAAlgorithm.SHA256).sign(head.encode(), RSA_KEY)
    return f"{head}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"


def typed(**claims: object) -> Make:
    return lambda issuer, _: raw(issuer, {"alg": "RS256", "kid": "rsa"}, **claims)


def claimed(**claims: Any) -> Make:  # noqa: ANN401 (JSON)
    return lambda issuer, _: issuer.token(AUDIENCE, **claims)


def now(seconds: int) -> int:
    return int(time.time()) + seconds


def timed(**seconds: int) -> Make:
    """Claims that are times, counted from when the token is made: the test may run an hour after this."""

    def make(issuer: Issuer, _: Issuer) -> object:
        claims: dict[str, Any] = {claim: now(span) for claim, span in seconds.items()}
        return issuer.token(AUDIENCE, **claims)

    return make


UNDECLARED = "The token is valid, but no publisher is declared for it: "
UNSIGNED = f"{NOT_VALID}it is not signed by RS256 or ES256 with a key that it names."
MALFORMED = f"{NOT_VALID}it is malformed."
NO_TOKEN = 'The body is no JSON object with an ID token in "token".'
FORK = "evil/web/.github/workflows/release.yml@refs/tags/v1.0"
OTHER_BRANCH = "acme/web/.github/workflows/release.yml@refs/heads/evil"
# What is sent, and the beginning of what the client saw; always with status 422.
ATTACKS: Mapping[str, tuple[Make, str]] = MappingProxyType(
    {
        "of another repository": (claimed(repository="evil/web"), f'{UNDECLARED}repository "evil/web"'),
        "of a repository in other case": (claimed(repository="Acme/Web"), UNDECLARED),
        "of a repository in other case with the right workflow": (
            claimed(
                repository="Acme/Web",
                job_workflow_ref="acme/web/.github/workflows/release.yml@refs/tags/v1.0",
            ),
            UNDECLARED,
        ),
        "of a repository with a suffix": (claimed(repository="acme/web-evil"), UNDECLARED),
        "of a repository with a prefix": (claimed(repository="evil/acme/web"), UNDECLARED),
        "of a repository with a space": (claimed(repository="acme/web "), UNDECLARED),
        "of another workflow": (
            claimed(job_workflow_ref="acme/web/.github/workflows/test.yml@refs/tags/v1.0"),
            UNDECLARED,
        ),
        "of a workflow in a fork": (claimed(job_workflow_ref=FORK), UNDECLARED),
        "of a fork": (claimed(repository="evil/web", job_workflow_ref=FORK), UNDECLARED),
        "of a workflow on another branch": (claimed(job_workflow_ref=OTHER_BRANCH), UNDECLARED),
        "of a workflow with a longer name": (
            claimed(job_workflow_ref="acme/web/.github/workflows/release.yml.evil@refs/tags/v1.0"),
            UNDECLARED,
        ),
        "without a workflow": (claimed(job_workflow_ref=None), UNDECLARED),
        "without ref and sha": (claimed(ref=None, sha=None, job_workflow_ref="x@None"), UNDECLARED),
        "expired": (timed(iat=-900, nbf=-900, exp=-60), f"{NOT_VALID}it has expired."),
        "not yet valid": (timed(nbf=300), f"{NOT_VALID}it is not valid yet."),
        "issued in the future": (timed(iat=300), f"{NOT_VALID}it is not valid yet."),
        "valid for a year": (timed(exp=365 * 86400), f"{NOT_VALID}it has no id, or is valid for"),
        "algorithm none": (
            lambda issuer, _: jwt.encode(issuer.claims(AUDIENCE), "", "none", headers={"kid": "rsa"}),
            UNSIGNED,
        ),
        "algorithm None": (
            lambda issuer, _: f"{part({'alg': 'None', 'kid': 'rsa'})}.{part(issuer.claims(AUDIENCE))}.",
            UNSIGNED,
        ),
        "without a signature": (
            lambda issuer, _: f"{issuer.token(AUDIENCE).rpartition('.')[0]}.",
            f"{NOT_VALID}its signature is not one of its issuer.",
        ),
        "HS256 with the public key": (signed_by_public_key, UNSIGNED),
        "ES256 by the RSA key's id": (
            lambda issuer, _: with_header(issuer, "ES256", EC_KEY, kid="rsa"),
            MALFORMED,
        ),
        "RS512": (lambda issuer, _: with_header(issuer, "RS512", kid="rsa"), UNSIGNED),
        "for another audience": (
            lambda issuer, _: issuer.token("pypi"),
            f"{NOT_VALID}its audience is not {AUDIENCE}.",
        ),
        "for two audiences": (
            claimed(aud=[AUDIENCE, "other"]),
            f"{NOT_VALID}its audience is not {AUDIENCE}.",
        ),
        "without an audience": (claimed(aud=None), f"{NOT_VALID}it lacks the claim aud."),
        "without an expiry": (claimed(exp=None), f"{NOT_VALID}it lacks the claim exp."),
        "without an id": (claimed(jti=None), f"{NOT_VALID}it lacks the claim jti."),
        "of another issuer": (
            lambda _, evil: evil.token(AUDIENCE),
            f"{NOT_VALID}no publisher of this mirror has its issuer.",
        ),
        "of an issuer with a slash": (
            lambda issuer, _: issuer.token(AUDIENCE, iss=f"{issuer.url}/"),
            f"{NOT_VALID}no publisher of this mirror has its issuer.",
        ),
        "by another key": (
            lambda issuer, _: forged(issuer),
            f"{NOT_VALID}its signature is not one of its issuer.",
        ),
        "with a jku header": (
            lambda issuer, evil: forged(issuer, jku=f"{evil.url}{KEYS}"),
            f"{NOT_VALID}its signature is not one of its issuer.",
        ),
        "with a x5u header": (
            lambda issuer, evil: forged(issuer, x5u=f"{evil.url}{KEYS}"),
            f"{NOT_VALID}its signature is not one of its issuer.",
        ),
        "with its key in the header": (
            lambda issuer, _: forged(issuer, jwk=jwk(OTHER_RSA, "rsa")),
            f"{NOT_VALID}its signature is not one of its issuer.",
        ),
        "a URL as the key's id": (
            lambda issuer, evil: forged(issuer, kid=f"{evil.url}{KEYS}"),
            f"{NOT_VALID}its issuer has no key with the id that it names.",
        ),
        "a path as the key's id": (
            lambda issuer, _: forged(issuer, kid="../../../dev/null"),
            f"{NOT_VALID}its issuer has no key with the id that it names.",
        ),
        "a number as the key's id": (lambda issuer, _: raw(issuer, {"alg": "RS256", "kid": 1}), MALFORMED),
        "without a key's id": (lambda issuer, _: raw(issuer, {"alg": "RS256"}), UNSIGNED),
        "with a critical header": (
            lambda issuer, _: raw(issuer, {"alg": "RS256", "kid": "rsa", "crit": ["x"], "x": 1}),
            MALFORMED,
        ),
        "huge": (claimed(padding="x" * 16_000), f"{NOT_VALID}it has more than 16384 characters."),
        "a repository that is a list": (typed(repository=["acme/web"]), UNDECLARED),
        "a repository that is an object": (typed(repository={"acme/web": 1}), UNDECLARED),
        "a repository that is true": (typed(repository=True), UNDECLARED),
        "a workflow that is a list": (
            typed(job_workflow_ref=["acme/web/.github/workflows/release.yml@refs/tags/v1.0"]),
            UNDECLARED,
        ),
        "an audience that is a number": (typed(aud=1), f"{NOT_VALID}its audience is not {AUDIENCE}."),
        "an expiry that is text": (
            lambda issuer, _: typed(exp=str(now(300)))(issuer, issuer),
            f"{NOT_VALID}it has no id, or is valid for",
        ),
        "an expiry that is true": (typed(exp=True), f"{NOT_VALID}it has expired."),
        "an endless expiry": (typed(exp=float("inf")), MALFORMED),
        "an expiry that is no number": (typed(exp=float("nan")), MALFORMED),
        "an issuer that is a list": (lambda issuer, _: typed(iss=[issuer.url])(issuer, issuer), NOT_VALID),
        "an id that is a number": (typed(jti=7), MALFORMED),
        "an empty id": (typed(jti=""), f"{NOT_VALID}it has no id, or is valid for"),
        "a subject that is a list": (typed(sub=["x"]), MALFORMED),
        "no object inside": (lambda *_: f"{part({'alg': 'RS256', 'kid': 'rsa'})}.{part([1])}.eA", MALFORMED),
        "nested deeply": (
            lambda *_: (
                f"{part({'alg': 'RS256'})}.{base64.urlsafe_b64encode(b'[' * 9000).rstrip(b'=').decode()}.eA"
            ),
            MALFORMED,
        ),
        "no token": (lambda *_: "a password", MALFORMED),
        "nothing": (lambda *_: "", MALFORMED),
        "two dots": (lambda *_: "..", MALFORMED),
        "a list": (lambda *_: ["x"], NO_TOKEN),
        "null": (lambda *_: None, NO_TOKEN),
        "other letters": (lambda *_: "é.é.é", NO_TOKEN),
        "half of a character": (lambda *_: "\ud800", NO_TOKEN),
    }
)


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
