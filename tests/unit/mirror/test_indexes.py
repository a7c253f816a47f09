"""mirror.indexes: which calls make a server match mirror.toml, and no more than those."""

from copy import deepcopy
from typing import Any

import pytest

from mirror import indexes
from mirror.config import Index, MirrorConfig, Upstream, User
from mirror.indexes import Change
from packhorse.errors import PackhorseError

NEW: dict[str, Any] = {
    "root": {
        "username": "root",
        "indexes": {
            "pypi": {
                "type": "mirror",
                "volatile": False,
                "mirror_url": "https://packages.example.org/simple/",
            }
        },
    }
}
ALONE = " (mirror.toml names nobody there: its owner alone may upload)"
PASSWORDS = {"root": "r", "company": "c"}


def _matching() -> dict[str, Any]:
    """A server that is as the default configuration wants it, as devpi's `GET /` shows it."""
    users = deepcopy(NEW)
    users["root"]["indexes"]["pypi"]["mirror_no_project_list"] = True
    users["company"] = {
        "username": "company",
        "indexes": {
            "prod": {
                "type": "stage",
                "bases": ["root/pypi"],
                "volatile": False,
                "acl_upload": ["company"],
                "acl_toxresult_upload": ["company"],
                "mirror_whitelist": [],
            },
            "dev": {
                "type": "stage",
                "bases": ["company/prod"],
                "volatile": True,
                "acl_upload": ["company"],
                "acl_toxresult_upload": ["company"],
            },
        },
    }
    return users


def test_a_new_server_gets_user_and_indexes_in_an_order_that_devpi_allows() -> None:
    """An index needs its owner and its bases first."""
    changes = indexes.plan(MirrorConfig(), NEW, PASSWORDS)
    assert [(change.method, change.path) for change in changes] == [
        ("PUT", "/company"),
        ("PATCH", "/root/pypi"),
        ("PUT", "/company/prod"),
        ("PUT", "/company/dev"),
    ]
    assert changes[0].body == {"password": "c"}
    assert changes[1].body == {"mirror_no_project_list": True}
    assert changes[2].body == {
        "type": "stage",
        "bases": ["root/pypi"],
        "volatile": False,
        "acl_upload": ["company"],
        "acl_toxresult_upload": ["company"],
    }


def test_who_may_upload_and_not_read_a_base_is_named() -> None:
    """An index shows what its bases have, so that it is refused as a whole."""

    def said(**bases: Index) -> list[str]:
        declared = {f"company/{name}": index for name, index in bases.items()}
        users = _matching()
        users["company"]["indexes"]["x"] = {"type": "stage", "bases": ["company/prod"]}
        return indexes.refused_all_the_same(MirrorConfig(indexes=declared), users)

    dev = Index(bases=("company/prod",), acl_upload=("company", "anna"), read=("carl",))
    told = (
        "company/dev is refused to anna, carl, who may upload there or read it: "
        "`read` of company/prod, from which it inherits, names others"
    )
    assert said(prod=Index(read=("bert",)), dev=dev) == [told]
    assert said(prod=Index(), dev=dev) == []
    assert said(prod=Index(read=("anna", "carl")), dev=dev) == []
    assert said(prod=Index(read=(":AUTHENTICATED:",)), dev=dev) == []
    own = said(prod=Index(read=("bert",)), own=Index(bases=("company/x",), read=("anna",)), x=Index())
    assert own[0].startswith("company/own is refused to anna, who may"), "through x, as the server has it"


def test_no_sentence_holds_a_password() -> None:
    """The sentences are printed."""
    config = MirrorConfig(users={"company": User(email="a@example.com")})
    sentences = [change.sentence for change in indexes.plan(config, NEW, {"company": "s3cret"})]
    assert sentences[0] == "created user company"
    assert "s3cret" not in "".join(sentences)


def test_a_server_that_matches_gets_no_call() -> None:
    """`mirror init` may be run at any time."""
    assert indexes.plan(MirrorConfig(), _matching(), PASSWORDS) == []


@pytest.mark.parametrize(
    ("key", "value", "sentence"),
    [
        ("volatile", True, "changed index company/prod: volatile true -> false"),
        ("bases", [], "changed index company/prod: bases none -> root/pypi"),
        (
            "acl_upload",
            ["company", "x"],
            f"changed index company/prod: acl_upload company,x -> company{ALONE}",
        ),
        (
            "acl_toxresult_upload",
            [":ANONYMOUS:"],
            "changed index company/prod: acl_toxresult_upload :ANONYMOUS: -> company",
        ),
    ],
)
def test_only_what_differs_is_changed(key: str, value: object, sentence: str) -> None:
    """Settings that mirror.toml does not know stay as somebody made them."""
    users = _matching()
    wanted = users["company"]["indexes"]["prod"][key]
    users["company"]["indexes"]["prod"][key] = value
    assert indexes.plan(MirrorConfig(), users, PASSWORDS) == [
        Change("PATCH", "/company/prod", {key: wanted}, sentence)
    ]


def test_bases_and_volatile_that_are_not_declared_stay_and_upload_rights_end() -> None:
    """A line that adds an uploader takes no packages away; a line that is removed takes the right away."""
    users = _matching()
    users["company"]["indexes"]["x"] = {**users["company"]["indexes"]["prod"], "acl_upload": ["anna"]}
    config = MirrorConfig(indexes={"company/x": Index()})
    assert [change.body for change in indexes.plan(config, users, PASSWORDS)] == [{"acl_upload": ["company"]}]


def test_an_owner_who_may_not_upload_any_more_is_told() -> None:
    """`acl_upload = ["anna"]` reads as if it added anna; CI finds out."""

    def said(users: dict[str, Any], *names: str) -> str:
        config = MirrorConfig(indexes={"company/dev": Index(acl_upload=names)})
        return indexes.plan(config, users, PASSWORDS)[-1].sentence

    shut_out = " (not company, its owner: acl_upload names others)"
    assert said(_matching(), "anna").endswith(f"company -> anna{shut_out}")
    assert said(NEW, "anna").endswith(shut_out)
    assert said(_matching(), "anna", "company").endswith("company -> anna,company")
    assert said(_matching(), ":AUTHENTICATED:").endswith("company -> :AUTHENTICATED:")


def test_an_upstream_of_ones_own_replaces_that_of_devpi_and_its_password_is_not_shown() -> None:
    """A company's index may ask for a password, in the URL."""
    config = MirrorConfig(upstream=Upstream(url="https://bot:s3cret@packages.example.com/simple/"))
    (change,) = indexes.plan(config, _matching(), PASSWORDS)
    assert change.body == {"mirror_url": "https://bot:s3cret@packages.example.com/simple/"}
    assert change.sentence == (
        "changed index root/pypi: mirror_url "
        "https://packages.example.org/simple/ -> https://packages.example.com/simple/"
    )


def test_the_mail_address_of_a_user_is_changed_and_the_password_is_not() -> None:
    """Passwords that exist are kept."""
    config = MirrorConfig(users={"company": User(email="a@example.com")})
    assert indexes.plan(config, _matching(), PASSWORDS) == [
        Change(
            "PATCH",
            "/company",
            {"email": "a@example.com"},
            "changed user company: email none -> a@example.com",
        )
    ]


def test_what_is_not_declared_is_named_and_never_touched() -> None:
    """Deleting an index deletes packages."""
    users = _matching()
    users["alice"] = {"indexes": {"dev": {"type": "stage", "bases": ["company/dev"], "volatile": True}}}
    assert indexes.plan(MirrorConfig(), users, PASSWORDS) == []
    assert indexes.undeclared(MirrorConfig(), users) == ["user alice", "index alice/dev"]
    assert indexes.undeclared(MirrorConfig(), _matching()) == []


def test_an_index_that_is_not_declared_any_more_stays_protected() -> None:
    """It is left as it is: without its table, its packages would be everybody's."""
    users = _matching()
    users["alice"] = {"username": "alice", "indexes": {"dev": {"type": "stage", "bases": []}}}
    held = {"alice/dev": ["alice"], "gone/dev": ["alice"], "company/prod": ["anna"]}
    (change,) = indexes.protect(MirrorConfig(), users, held)
    assert (change.path, change.body) == ("/+readers", {"alice/dev": ["alice"]})
    assert indexes.protect(MirrorConfig(), users, {"alice/dev": ["alice"]}) == []


def test_defaults_take_back_what_a_file_has_declared_and_nothing_that_devpi_made() -> None:
    """`mirror init` without mirror.toml asks: a first one, and a repeated one, go through."""

    def lost(users: dict[str, Any], readers: dict[str, Any], **in_force: dict[str, Any]) -> list[str]:
        held: dict[str, dict[str, Any]] = {"/+policies": {}, "/+publishers": {}} | {
            f"/+{name}": held for name, held in in_force.items()
        }
        planned = indexes.plan(MirrorConfig(), users, PASSWORDS, (), held)
        return indexes.taken_back([*indexes.protect(MirrorConfig(), users, readers), *planned], users)

    assert lost(deepcopy(NEW), {}) == lost(_matching(), {}) == []
    earlier = _matching()
    earlier["company"]["indexes"]["dev"]["acl_toxresult_upload"] = [":ANONYMOUS:"]
    assert lost(earlier, {}) == [], "as an earlier version left it"
    assert lost(_matching(), {"company/prod": ["anna"]}) == ["readers"]
    assert lost(_matching(), {}, policies={"": {"deny": ["x"]}}) == ["policies"]
    assert lost(_matching(), {}, publishers={"company/dev": [{}]}) == ["publishers"]
    earlier["company"]["indexes"]["dev"]["acl_upload"] = ["company", "anna"]
    earlier["company"]["indexes"]["prod"]["volatile"] = True
    assert lost(earlier, {}) == ["volatile of company/prod", "acl_upload of company/dev"]


def test_names_that_are_no_users_are_told() -> None:
    """A slip of the pen lets somebody else in, as soon as there is one of that name."""
    dev = Index(acl_upload=("company", "bob"), read=("bob", "deploy", ":AUTHENTICATED:", "root", "alice"))
    config = MirrorConfig(users={"company": User(), "alice": User()}, indexes={"company/dev": dev})
    places = "acl_upload of company/dev, read of company/dev"
    assert indexes.unknown_users(config, {**_matching(), "deploy": {}}) == [
        f"there is no user bob, and whoever gets that name later is let in: {places}"
    ]


def test_a_chain_that_is_turned_round_is_changed_from_its_new_bottom_up() -> None:
    """Otherwise the two would inherit from each other for a moment."""
    users = _matching()
    turned = {"company/dev": Index(bases=("root/pypi",)), "company/prod": Index(bases=("company/dev",))}
    changes = indexes.plan(MirrorConfig(indexes=turned), users, PASSWORDS)
    assert [change.path for change in changes] == ["/company/dev", "/company/prod"]


@pytest.mark.parametrize("limits", [{"policy": {"deny": ["demo"]}}, {"read": ["company"]}])
def test_limits_of_an_index_that_is_not_there_are_refused(limits: dict[str, Any]) -> None:
    """A typo in its name would make an index without bases, and protect nothing."""
    config = MirrorConfig.model_validate({"indexes": {"company/prd": limits}})
    with pytest.raises(PackhorseError, match=r"indexes\.company/prd: there is no such index"):
        indexes.plan(config, _matching(), {})
    config = MirrorConfig.model_validate({"indexes": {"company/prd": {"bases": [], **limits}}})
    assert "created index company/prd" in indexes.plan(config, _matching(), {})[0].sentence


def test_indexes_that_are_protected_by_their_base_are_named() -> None:
    config = MirrorConfig.model_validate({"indexes": {"company/prod": {"read": ["company"]}}})
    (change,) = indexes.protect(config, _matching(), {})
    assert change.sentence == "read: company/prod by company (and so company/dev, which inherits from it)"


def test_an_index_of_another_type_is_an_error_that_names_it() -> None:
    """devpi cannot change the type, and we delete nothing."""
    users = _matching()
    users["company"]["indexes"]["prod"] = {"type": "mirror", "volatile": False}
    with pytest.raises(PackhorseError, match="company/prod as an index of type mirror"):
        indexes.plan(MirrorConfig(), users, PASSWORDS)


def test_a_server_without_an_upstream_index_is_an_error() -> None:
    """Somebody made it with `--no-root-pypi`; we do not know the upstream's address."""
    with pytest.raises(PackhorseError, match="no index root/pypi"):
        indexes.plan(MirrorConfig(), {"root": {"indexes": {}}}, PASSWORDS)


def test_names_of_mirror_toml_are_reserved_once() -> None:
    """`mirror init` may be repeated; a pattern is part of an address."""
    config = MirrorConfig(reserved=("Acme_*", "x??", "billing"))
    changes = indexes.plan(config, _matching(), PASSWORDS, {"billing"})
    assert [(change.method, change.path) for change in changes] == [
        ("PUT", "/+reserved/acme-%2A"),
        ("PUT", "/+reserved/x%3F%3F"),
    ]
