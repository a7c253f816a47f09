"""Trusted publishing: real clients with ID tokens of an issuer of our own, and what becomes of tokens."""

import json
import re
import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import jwt
import pytest
import requests
import yaml  # type: ignore[import-untyped]

from tests.support import certificates, documents
from tests.support.devpi_servers import init_devpi, running_devpi
from tests.support.dists import wheel
from tests.support.issuer import KEYS, RSA_KEY, Issuer, jwk
from tests.support.mirror_and_upstream import Mirrored, mirror_of, new_name
from tests.support.nginx_front import fronted
from tests.support.publishing import AUDIENCE, OUTSIDE, exchange, publisher, seen, upload, upload_token
from tests.support.servers import BIN, free_port, run_command, wait_until
from tests.support.upstream import Upstream

NO_KEY = "This ID token is not valid here: its issuer has no key with the id that it names."


@pytest.fixture(scope="module")
def issuer() -> Iterator[Issuer]:
    with Issuer() as running:
        yield running


@pytest.fixture(scope="module")
def shaky() -> Iterator[Issuer]:
    """An issuer that fails when it is told to."""
    with Issuer() as running:
        yield running


@pytest.fixture(scope="module")
def filed() -> Iterator[Issuer]:
    """An issuer whose keys are in a file, and which answers nothing."""
    with Issuer() as running:
        running.silent.set()
        yield running


@pytest.fixture(scope="module")
def mirrored(
    issuer: Issuer, shaky: Issuer, filed: Issuer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Mirrored]:
    """A mirror with publishers of three issuers; one job may upload to two indexes."""
    keys = tmp_path_factory.mktemp("keys") / "jwks.json"
    keys.write_text(json.dumps({"keys": filed.keys}))
    gitlab = {"project_path": "acme/tools", "ref_protected": "true"}
    tables = [
        publisher(issuer),
        publisher(issuer, index="company/prod", projects=["both"], ref="refs/tags/v*"),
        publisher(issuer, projects=["careful"], workflow="careful.yml", environment="release"),
        publisher(issuer, projects=["tools"], repository=None, workflow=None, claims=gitlab),
        publisher(shaky),
        publisher(filed, projects=["filed"], keys=str(keys)),
    ]
    with Upstream() as upstream, mirror_of(upstream, OUTSIDE + "".join(tables)) as made:
        yield made


def _mirror(mirrored: Mirrored, *arguments: str) -> str:
    home = mirrored.mirror.home
    return mirrored.mirror.run(BIN / "mirror", *arguments, cwd=home).stdout


def _roots(mirrored: Mirrored) -> list[dict[str, object]]:
    """The tokens for publishing, of all owners."""
    return [row for row in json.loads(_mirror(mirrored, "token", "list", "--json")) if row["publishing"]]


def _serial(mirrored: Mirrored) -> int:
    """How often the database was written."""
    root = ("root", mirrored.mirror.credentials["root"])
    answer = requests.get(f"{mirrored.mirror.url}/+status", auth=root, timeout=30)
    return int(answer.json()["result"]["serial"])


@pytest.mark.parametrize("kid", ["rsa", "ec"])
def test_a_job_gets_a_token_that_uploads(mirrored: Mirrored, issuer: Issuer, kid: str) -> None:
    """As the public index answers: the audience, then the token, by RS256 and by ES256."""
    answer = requests.get(f"{mirrored.mirror.url}/_/oidc/audience", timeout=30)
    assert answer.json() == {"audience": AUDIENCE}
    minted = exchange(mirrored.mirror.url, issuer.token(AUDIENCE, kid))
    assert minted.status_code == 200, minted.text
    found = minted.json()
    assert found["success"] is True
    assert 840 < found["expires"] - time.time() <= 900
    dist = wheel(new_name("acme_"), "1.0")
    assert upload(mirrored.mirror.url, found["token"], dist).status_code == 200
    assert mirrored.entry(dist, "company/dev")


def test_a_job_of_two_publishers_gets_one_token_for_both_indexes(mirrored: Mirrored, issuer: Issuer) -> None:
    """A client says nothing about what it will upload where; on each index it has that index's projects."""
    url = mirrored.mirror.url
    token = upload_token(url, issuer)
    assert upload(url, token, wheel("both", "1.0"), "company/prod").status_code == 200
    assert upload(url, token, wheel("both", "1.1"), "company/dev").status_code == 403
    assert upload(url, token, wheel("shop", "1.0"), "company/prod").status_code == 403
    branch = upload_token(url, issuer, ref="refs/heads/main")  # no tag of a version
    assert upload(url, branch, wheel("both", "1.2"), "company/prod").status_code == 403


def test_environment_and_claims_of_other_issuers_are_compared(mirrored: Mirrored, issuer: Issuer) -> None:
    """With `claims` an issuer may name its jobs as it likes."""
    url, workflow = mirrored.mirror.url, "acme/web/.github/workflows/careful.yml@refs/tags/v1.0"
    careful = upload_token(url, issuer, job_workflow_ref=workflow, environment="release")
    assert upload(url, careful, wheel("careful", "1.0")).status_code == 200
    for environment in ("Release", "test", None):
        token = issuer.token(AUDIENCE, job_workflow_ref=workflow, environment=environment)
        assert seen(exchange(url, token))[0] == 422
    gitlab: dict[str, Any] = {"repository": None, "job_workflow_ref": None, "project_path": "acme/tools"}
    tools = upload_token(url, issuer, **gitlab, ref_protected="true", ref="v1.0")
    assert upload(url, tools, wheel("tools", "1.0")).status_code == 200
    assert seen(exchange(url, issuer.token(AUDIENCE, **gitlab, ref_protected="false")))[0] == 422


def test_keys_in_a_file_need_no_issuer(mirrored: Mirrored, filed: Issuer) -> None:
    """Also those of a CI that this machine cannot reach."""
    token = upload_token(mirrored.mirror.url, filed)
    assert upload(mirrored.mirror.url, token, wheel("filed", "1.0")).status_code == 200
    other = jwt.encode(filed.claims(AUDIENCE), RSA_KEY, "RS256", headers={"kid": "other"})
    assert seen(exchange(mirrored.mirror.url, other)) == (422, NO_KEY)
    assert not filed.asked


def test_without_keys_there_are_no_tokens_and_no_wait_for_who_writes(
    mirrored: Mirrored, shaky: Issuer, issuer: Issuer
) -> None:
    """An issuer that takes connections and says nothing; an upload meanwhile waits for nobody."""
    url, token = mirrored.mirror.url, upload_token(mirrored.mirror.url, issuer)
    shaky.silent.set()
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(exchange, url, shaky.token(AUDIENCE))
        wait_until("the issuer is asked", lambda: shaky.asked)
        assert upload(url, token, wheel("shop", "4.0")).status_code == 200
        assert not waiting.done()
        answer = waiting.result()
    assert seen(answer) == (
        503,
        f"The keys are missing: {shaky.url} does not answer when it is asked for its keys.",
    )
    asked = shaky.asked.copy()
    again = exchange(url, shaky.token(AUDIENCE))
    assert (again.status_code, shaky.asked) == (503, asked)
    assert 1 <= int(again.headers["Retry-After"]) <= 11
    events = [json.loads(line) for line in _mirror(mirrored, "audit-log", "--json").splitlines()]
    failed = [event for event in events if event["result"] == "failed" and event["action"] == "login"]
    assert failed[-1]["detail"].startswith(f"The keys are missing: {shaky.url} does not answer")


def test_tokens_are_listed_revoked_and_end_with_their_publisher(mirrored: Mirrored, issuer: Issuer) -> None:
    """One line for all jobs; nothing is written for each, and later jobs get tokens again."""
    url = mirrored.mirror.url
    token, before = upload_token(url, issuer), _serial(mirrored)
    other = upload_token(url, issuer)
    assert _serial(mirrored) == before
    (row,) = _roots(mirrored)
    shown = _mirror(mirrored, "token", "list")
    assert "  upload  publishers of mirror.toml  15 minutes for each job" in shown
    assert upload(url, token, wheel("shop", "5.0")).status_code == 200
    _mirror(mirrored, "token", "revoke", str(row["id"]))
    for each in (token, other):
        answer = upload(url, each, wheel("shop", "5.1"))
        assert (answer.status_code, answer.reason) == (
            403,
            "This token was revoked, or is of another user or server.",
        )
    later = upload_token(url, issuer)
    assert upload(url, later, wheel("shop", "5.1")).status_code == 200
    settings = mirrored.mirror.home / "mirror.toml"
    text = settings.read_text()
    try:
        settings.write_text(text.replace('["acme-*", "shop"]', '["acme-*"]'))
        assert "mirror.toml declares other publishers" in _mirror(mirrored, "publishers")
        assert "declared publishers of company/dev, company/prod" in _mirror(mirrored, "init")
        answer = upload(url, later, wheel("shop", "5.2"))
        assert answer.status_code == 403
        assert upload(url, upload_token(url, issuer), wheel("shop", "5.2")).status_code == 403
        settings.write_text(re.sub(r"(?s)\[\[publishers\]\].*(?=\[upstream\])", "", text))
        assert "declared publishers of no index" in _mirror(mirrored, "init")
        assert requests.get(f"{url}/_/oidc/audience", timeout=30).status_code == 404
        assert seen(exchange(url, issuer.token(AUDIENCE)))[0] == 422
        assert not _roots(mirrored)
    finally:
        settings.write_text(text)
        _mirror(mirrored, "init")
    assert upload(url, upload_token(url, issuer), wheel("shop", "5.2")).status_code == 200


def test_the_audit_log_says_which_job_logged_in_uploaded_and_was_refused(
    mirrored: Mirrored, issuer: Issuer
) -> None:
    """Whose token it is says nothing: all jobs have those of the index's owner."""
    url, run = mirrored.mirror.url, new_name("run")
    token = upload_token(url, issuer, run_id=run)
    assert upload(url, token, wheel("shop", "6.0")).status_code == 200
    assert exchange(url, issuer.token(AUDIENCE, repository="evil/web")).status_code == 422
    lines = _mirror(mirrored, "audit-log", "--json").splitlines()
    events = [json.loads(line) for line in lines]
    login, uploaded = (event for event in events if event.get("run") == run)
    expected = {
        "action": "login",
        "result": "ok",
        "who": "company",
        "issuer": issuer.url,
        "repository": "acme/web",
        "workflow": "acme/web/.github/workflows/release.yml@refs/tags/v1.0",
        "ref": "refs/tags/v1.0",
    }
    assert {name: login[name] for name in expected} == expected
    assert (uploaded["action"], uploaded["project"], uploaded["token"]) == ("upload", "shop", login["token"])
    refused = [event for event in events if event.get("rule") == "publisher"]
    assert 'repository "evil/web"' in refused[-1]["detail"]


def test_new_keys_of_an_issuer_are_found_and_old_ones_are_not_asked_for_each_time() -> None:
    """Issuers change keys without a word; an unknown id is one question a minute, whoever sends it."""
    with Issuer() as changing, Upstream() as upstream:
        kept, changing.keys = changing.keys, [jwk(RSA_KEY, "old")]
        with mirror_of(upstream, OUTSIDE + publisher(changing)) as mirrored:
            url = mirrored.mirror.url
            assert [seen(exchange(url, changing.token(AUDIENCE))) for _ in range(5)] == [(422, NO_KEY)] * 5
            assert changing.asked[KEYS] == 1
            changing.keys = kept
            mirrored.restart()
            tokens = [changing.token(AUDIENCE, kid) for kid in ("rsa", "ec") * 20]
            with ThreadPoolExecutor(8) as pool:
                for status in (200, 422):
                    answers = pool.map(lambda token: exchange(url, token).status_code, tokens)
                    assert set(answers) == {status}
            assert changing.asked[KEYS] == 2


def test_one_id_token_sent_many_times_at_once_is_exchanged_once(mirrored: Mirrored, issuer: Issuer) -> None:
    """Two jobs that have stolen it, at the same time."""
    token, start = issuer.token(AUDIENCE), threading.Barrier(8)

    def send(_: int) -> int:
        start.wait()
        return int(exchange(mirrored.mirror.url, token).status_code)

    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(send, range(8))) == [200, *[422] * 7]


def test_a_replica_passes_jobs_on_to_its_primary() -> None:
    """Which alone knows what ID tokens were used; the upload goes through the replica, too."""
    with (
        Issuer() as issuer,
        Upstream() as upstream,
        mirror_of(upstream, OUTSIDE + publisher(issuer)) as mirrored,
    ):
        mirrored.mirror.run(BIN / "mirror", "stop")
        primary_folder = mirrored.mirror.home / "mirror" / "server"
        primary_port = urlsplit(mirrored.mirror.url).port or 0
        replica_folder = mirrored.mirror.home / "replica"
        role = ("--role", "replica", "--primary-url", mirrored.mirror.url)
        init_devpi(mirrored.mirror, replica_folder, *role)
        with (
            running_devpi(mirrored.mirror, primary_folder, primary_port, "--role", "primary") as primary,
            running_devpi(mirrored.mirror, replica_folder, free_port(), *role) as replica,
        ):
            asked = f"{replica}/_/oidc/audience"
            wait_until(
                "publishers are replicated", lambda: requests.get(asked, timeout=30).status_code == 200
            )
            token = issuer.token(AUDIENCE)
            answer = exchange(replica, token)
            assert answer.status_code == 200, answer.text
            for url in (replica, primary):
                assert seen(exchange(url, token))[1].startswith("This ID token was used before")
            assert upload(replica, answer.json()["token"], wheel("shop", "1.0")).status_code == 200
            assert upload(replica, answer.json()["token"], wheel("other", "1.0")).status_code == 403


def jobs_of_the_page() -> list[dict[str, Any]]:
    """The job of each workflow that docs/publishing.md shows."""
    blocks = documents.blocks("publishing.md")
    texts = [block.text for block in blocks if block.filename == ".github/workflows/release.yml"]
    return [yaml.safe_load(text)["jobs"]["release"] for text in texts]


def steps_of(job: Mapping[str, Any]) -> dict[str, Any]:
    """The steps of a job that have a name, by that."""
    return {step["name"]: step for step in job["steps"] if "name" in step}


def test_the_jobs_of_the_page_ask_for_id_tokens_and_know_no_secret() -> None:
    """Whoever copies them stores nothing, and the job has no other right."""
    jobs = jobs_of_the_page()
    assert ["uv publish" in steps_of(job)["Upload"]["run"] for job in jobs] == [True, False]
    for job in jobs:
        assert job["permissions"] == {"contents": "read", "id-token": "write"}
        assert job["environment"] == "release", "as its table of mirror.toml says"
        assert "secrets" not in json.dumps(job)


@pytest.fixture
def page_and_front(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[Mirrored, Issuer, list[str], str]]:
    """A mirror and nginx by https, an issuer whose keys come by https, and the page's blocks for them."""
    made, port = certificates.make(tmp_path), free_port()
    for name in ("REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"):
        monkeypatch.setenv(name, str(made.authority))
    outside = f"https://127.0.0.1:{port}"
    tls = f'front.tls_certificate = "{made.server}"\nfront.tls_key = "{made.key}"\n'
    with (
        Issuer(made.server, made.key) as issuer,
        Upstream() as upstream,
        fronted(upstream, port, tls) as mirrored,
    ):
        blocks = documents.blocks("publishing.md")
        texts = [block.text for block in blocks if block.language in {"toml", "sh"} and not block.filename]
        texts += [steps["Upload"]["run"] for steps in map(steps_of, jobs_of_the_page())]
        hosts = {
            "https://packages.example.com": outside,
            "packages.example.com": urlsplit(outside).netloc,
            "https://token.actions.githubusercontent.com": issuer.url,
        }
        for name, own in hosts.items():
            texts = [text.replace(name, own) for text in texts]
        yield mirrored, issuer, texts, outside


@pytest.mark.needs("nginx")
def test_uv_and_twine_publish_from_a_job_as_the_page_shows(
    page_and_front: tuple[Mirrored, Issuer, list[str], str], tmp_path: Path
) -> None:
    """docs/publishing.md with real clients; refused jobs and uploads show the reasons."""
    mirrored, issuer, (toml, init, *steps), outside = page_and_front
    home, path = mirrored.mirror.home, f"PATH={BIN}:/usr/bin:/bin"
    own, _, rest = (home / "mirror.toml").read_text().partition("[upstream]")
    (home / "mirror.toml").write_text(f"{own}{toml}\n[upstream]{rest}")
    shown = mirrored.mirror.run("env", path, "sh", "-ec", init, cwd=home).stdout
    assert "  repository: acme/web" in shown
    ca = mirrored.mirror.environment["SSL_CERT_FILE"]
    environment = {**mirrored.mirror.environment, **issuer.variables(), "CURL_CA_BUNDLE": ca}
    issuer.job = {"environment": "release"}
    assert [("uv" in step, "twine" in step) for step in steps] == [(True, False), (False, True)]
    for number, step in enumerate(steps):
        dist = wheel("acme_web", f"{number}.0")
        dists = tmp_path / str(number) / "dist"
        dists.mkdir(parents=True)
        (dists / dist.filename).write_bytes(dist.content)
        run_command("env", path, "sh", "-ec", step, env=environment, cwd=dists.parent)
        assert mirrored.entry(dist, "company/dev")
    other = wheel("other", "1.0")
    (tmp_path / other.filename).write_bytes(other.content)
    uv = (BIN / "uv", "publish", "--trusted-publishing", "always")
    command = (*uv, "--publish-url", f"{outside}/company/dev/", tmp_path / other.filename)
    done = run_command(*command, env=environment, status=None)
    assert (done.returncode, "Token denied access to project 'other'" in done.stderr) == (2, True)
    issuer.job = {"environment": "test"}
    done = run_command(*command, env=environment, status=None)
    assert (done.returncode, "no publisher is declared for it" in done.stderr) == (2, True)
