"""What the tween records of requests whose clients would rather have something else recorded."""

from types import SimpleNamespace
from typing import Any

import pytest
from pymacaroons import MACAROON_V2, Macaroon
from pyramid.request import Request
from pyramid.response import Response

from mirror.plugin.audit import events, tween

PATH = "/company/dev/demo/1.0"


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    monkeypatch.setattr(events, "_log", None)
    monkeypatch.setattr(events, "_listeners", [found.append])
    return found


def answer(request: Request, status: int, who: str | None = None) -> None:
    """Let both tweens see `request`, which a view answers with `status`."""
    request.environ["packhorse.who"] = who
    request.matched_route = None
    tween.recording(lambda _: Response(status=status), None)(request)


@pytest.mark.parametrize("status", [200, 404])
def test_a_header_makes_no_change_of_a_read(recorded: list[dict[str, Any]], status: int) -> None:
    """Only the server's own question, an OPTIONS, has it. Webhooks would be told of uploads that are none."""
    answer(Request.blank(PATH, method="GET", headers={"X-Packhorse-Admission": "DELETE"}), status)
    answer(Request.blank("/company/dev/", method="OPTIONS", headers={"X-Packhorse-Admission": "POST"}), 200)
    assert recorded == []


def test_a_prune_that_removes_nothing_is_no_event(recorded: list[dict[str, Any]]) -> None:
    """The last call of a prune has no files: it tidies folders."""
    for removed in ([], ["root/pypi/+f/abc/0123456789abc/demo-1.0.zip"]):
        request = Request.blank("/+cached-files", method="POST")
        request.environ["packhorse.who"] = "root"
        request.matched_route = None
        done = Response(json_body={"result": removed})
        tween.recording(lambda _, done=done: done, None)(request)  # type: ignore[misc]  # mypy 11013
    assert [(each["action"], each["detail"]) for each in recorded] == [("prune", "1 file: demo-1.0.zip")]


def test_a_header_hides_no_change(recorded: list[dict[str, Any]]) -> None:
    """Whoever deletes would like to be a reader."""
    answer(Request.blank(PATH, method="DELETE", headers={"X-Packhorse-Admission": "GET"}), 200, "me")
    assert [(each["action"], each["result"], each["who"]) for each in recorded] == [("delete", "ok", "me")]


def test_a_push_is_none_the_less_one_with_the_type_of_a_form(recorded: list[dict[str, Any]]) -> None:
    """devpi looks at the body alone."""
    body = b'{"name": "demo", "version": "1.0", "targetindex": "company/prod"}'
    kind = {"Content-Type": "multipart/form-data; boundary=x"}
    answer(Request.blank("/company/dev", method="POST", headers=kind, body=body), 200, "me")
    assert (recorded[0]["action"], recorded[0]["target"]) == ("push", "company/prod")


def test_a_refused_upload_is_one_although_nobody_read_it(recorded: list[dict[str, Any]]) -> None:
    """A large body is not read before a login."""
    answer(Request.blank("/company/dev/", method="OPTIONS", headers={"X-Packhorse-Admission": "POST"}), 401)
    assert [(each["action"], each["result"], each["rule"]) for each in recorded] == [
        ("upload", "denied", "permission")
    ]


def test_an_upload_by_a_token_names_it(recorded: list[dict[str, Any]]) -> None:
    """Two tokens of one user are two jobs; whose a refused one is, is what it says itself."""
    for who, status in (("me", 200), (None, 403), ("me", 403)):
        request = Request.blank("/company/dev/", POST={":action": "file_upload", "name": "demo"})
        _ = request.POST  # as devpi reads it
        request.environ["packhorse.token"] = ("me", "AbC")
        answer(request, status, who)
    assert [(each.get("who"), each.get("claimed"), each["token"]) for each in recorded] == [
        ("me", None, "AbC"),
        (None, "me", "AbC"),
        ("me", None, "AbC"),
    ]
    assert {each["project"] for each in recorded} == {"demo"}


def test_a_new_token_is_described_and_not_shown(recorded: list[dict[str, Any]]) -> None:
    """Its answer is the one place that has it."""
    macaroon = Macaroon(identifier="ci-AbC", key="secret", version=MACAROON_V2)
    for caveat in ("allowed=upload", "expires=1800000000", "indexes=company/dev", "projects=shop,cart"):
        macaroon.add_first_party_caveat(caveat)
    text = f"devpi-{macaroon.serialize()}"
    request = Request.blank("/ci/+token-create", method="POST", body=b"{}")
    request.environ["packhorse.who"] = "root"
    request.matched_route = SimpleNamespace(name="user-token-create")
    tween.recording(lambda _: Response(json={"result": {"token": text}}), None)(request)
    (event,) = recorded
    assert event.items() >= {
        "action": "token-create", "who": "root", "user": "ci", "id": "AbC", "index": "company/dev",
        "project": "shop,cart", "may": "upload", "expires": "2027-01-15T08:00:00+00:00",
    }.items()  # fmt: skip
    assert macaroon.serialize()[:20] not in str(event)


def test_an_error_of_the_server_is_recorded_and_goes_on(recorded: list[dict[str, Any]]) -> None:
    """What it left behind is to be found."""

    def fail(_: object) -> None:
        raise RuntimeError("broken")

    request = Request.blank(PATH, method="DELETE")
    request.environ["packhorse.who"] = "me"
    with pytest.raises(RuntimeError, match="broken"):
        tween.recording(fail, None)(request)
    assert (recorded[0]["result"], recorded[0]["status"]) == ("failed", 500)


def test_a_login_that_the_server_could_not_check_has_its_reason(recorded: list[dict[str, Any]]) -> None:
    """The client gets a sentence; who runs the mirror looks here first."""
    request = Request.blank("/_/oidc/mint-token", method="POST", body=b"{}")
    request.environ[tween.FAILURE] = "The keys are missing: x does not answer"
    answer(request, 503)
    (event,) = recorded
    assert (event["action"], event["result"], event["status"]) == ("login", "failed", 503)
    assert event["detail"] == "The keys are missing: x does not answer"
