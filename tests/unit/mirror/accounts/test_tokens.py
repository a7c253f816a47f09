"""mirror.accounts.tokens: what is asked of devpi-tokens, and how it is shown."""

from typing import Any

import pytest
from pymacaroons import MACAROON_V2, Macaroon

from mirror.accounts import tokens
from mirror.accounts.tokens import TokenRequest
from packhorse.errors import PackhorseError

USERS = {
    "root": {"indexes": {"pypi": {"type": "mirror"}}},
    "company": {"indexes": {"dev": {"type": "stage", "acl_upload": ["company"]}}},
}
STORED = {
    "Abc2": {
        "restrictions": [
            "allowed=pkg_read,upload",
            "expires=1000000",
            "indexes=company/dev",
            "projects=shop,api",
        ]
    },
    "Xyz3": {"restrictions": ["allowed=pkg_read", "expires=never"]},
}


class _Api:
    """devpi-tokens with `STORED` for the user company."""

    def __init__(self) -> None:
        self.changes: list[tuple[str, str, Any]] = []

    def call(self, method: str, path: str, body: object = None) -> Any:  # noqa: ANN401 (as Api has it)
        if path == "/":
            return USERS
        if method == "GET":
            return {"tokens": STORED if path == "/company/+tokens" else {}}
        self.changes.append((method, path, body))
        made = Macaroon(identifier="some-user-Efg4", key=b"key", version=MACAROON_V2)
        return {"token": f"devpi-{made.serialize()}"}

    def accepts(self, user: str, password: str) -> bool:  # noqa: ARG002 (as Api has it)
        return False


def test_a_token_is_asked_for_with_all_its_limits() -> None:
    """One that is left out would make a token that may do more than its job needs."""
    api = _Api()
    request = TokenRequest("company", ["company/dev"], ["upload"], ["My_Shop"], 1_900_000_000)
    made = tokens.create(api, request)
    limits = {"allowed": ["upload", "pkg_read"], "indexes": ["company/dev"], "projects": ["my-shop"]}
    assert api.changes == [("POST", "/company/+token-create", {**limits, "expires": 1_900_000_000})]
    assert (made["id"], str(made["token"])[:6]) == ("Efg4", "devpi-")
    tokens.create(api, TokenRequest("company", ["company/dev"], ["upload"], [], None))
    assert api.changes[1][2] == {
        "allowed": ["upload", "pkg_read"],
        "indexes": ["company/dev"],
        "expires": "never",
    }


@pytest.mark.parametrize(
    ("user", "index", "reason"),
    [
        ("nobody", "company/dev", "no user nobody"),
        ("company", "company/other", "company/other is no index of uploads"),
        ("company", "root/pypi", "root/pypi is no index of uploads"),
        ("company", "company", "company is no index of uploads"),
        ("root", "company/dev", "root may not upload to company/dev"),
    ],
)
def test_a_token_that_could_do_nothing_is_not_made(user: str, index: str, reason: str) -> None:
    """It would be found out in CI."""
    api = _Api()
    with pytest.raises(PackhorseError, match=reason):
        tokens.create(api, TokenRequest(user, [index], ["upload"], [], None))
    assert api.changes == []


def test_a_pattern_of_projects_is_refused() -> None:
    """Its token could upload nothing."""
    api = _Api()
    with pytest.raises(PackhorseError, match="no name of a project"):
        tokens.create(api, TokenRequest("company", ["company/dev"], ["upload"], ["acme-*"], None))
    assert api.changes == []


def test_the_list_has_the_tokens_of_all_users_with_their_limits() -> None:
    """Also those that others made, with permissions that we have no word for."""
    found = tokens.listing(_Api())
    limits = {
        "indexes": ["company/dev"],
        "projects": ["shop", "api"],
        "may": ["upload"],
        "expires": 1_000_000,
    }
    assert found[0] == {"id": "Abc2", "user": "company", **limits, "publishing": False, "reading": False}
    assert found[1]["may"] == ["read"]
    rows = tokens.as_rows(found, now=2_000_000)
    assert rows[0] == ("Abc2", "company", "upload", "company/dev", "shop,api", "expired 1970-01-12")
    assert rows[1] == ("Xyz3", "company", "read", "all indexes", "all projects", "for ever")


def test_a_token_is_revoked_by_its_id_alone() -> None:
    """Whose it is stands in the list; who hunts a leaked one should not have to look."""
    api = _Api()
    assert tokens.revoke(api, "Xyz3") == "revoked token Xyz3 of company"
    assert [change[:2] for change in api.changes] == [("DELETE", "/company/+tokens/Xyz3")]
    with pytest.raises(PackhorseError, match="no token nope"):
        tokens.revoke(api, "nope")


def test_a_user_who_may_not_upload_is_told_the_whole_setting() -> None:
    """A list of this user alone would take the right from all others."""
    with pytest.raises(PackhorseError) as caught:
        tokens.create(_Api(), TokenRequest("root", ["company/dev"], ["upload"], [], None))
    setting = 'acl_upload = ["company", "root"] below [indexes."company/dev"] in mirror.toml'
    assert f"set {setting}, and run `mirror init`." in (caught.value.hint or "")
