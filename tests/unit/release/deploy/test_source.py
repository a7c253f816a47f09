"""A target with an index of its own takes versions from there alone."""

import json
from pathlib import Path

import pytest
from packaging.version import Version

from packhorse.errors import PackhorseError
from release import index
from release.config import company_index
from release.config.release_toml import ReleaseConfig
from release.config.target.target import Target
from release.deploy import requests, source
from release.index import Response
from tests.support.fakes import INDEX

ROOT = INDEX.removesuffix("/company/dev")
PROD = f"{ROOT}/company/prod"


def found(*, prod: tuple[str, ...] = (), dev: tuple[str, ...] = ()) -> source.Source:
    """The source of a target of company/prod; that inherits from company/dev, as somebody wants it."""
    bases: dict[str, tuple[list[str], tuple[str, ...]]] = {
        "company/prod": (
            ["company/dev"],
            (*(f"prod/+f/{name}" for name in prod), *(f"dev/+f/{x}" for x in dev)),
        ),
        "company/dev": ([], tuple(f"dev/+f/{name}" for name in dev)),
    }

    def get(url: str, accept: str) -> Response:
        name = "/".join(url.removeprefix(f"{ROOT}/").partition("?")[0].split("/")[:2])
        if accept == "application/json":
            body = {"result": {"type": "stage", "bases": bases[name][0]}}
            return Response(url, 200, body=json.dumps(body).encode())
        entries = [
            {
                "filename": path.rpartition("/")[2],
                "url": f"{ROOT}/company/{path}",
                "hashes": {"sha256": "a" * 64},
            }
            for path in bases[name][1]
        ]
        return Response(url, 200, "OK", index.JSON, json.dumps({"files": entries}).encode())

    return source.Source(PROD, only=True, project=INDEX, private=False, get=get)


def test_what_its_index_inherits_is_not_promoted() -> None:
    """Else an index above company/dev would undo the promise without a word."""
    where = found(prod=("app-1.0.tar.gz",), dev=("app-1.1.tar.gz",))
    assert where.artifact(requests.parse("app")).version == "1.0"
    with pytest.raises(PackhorseError, match=r"has no app==1\.1; .*company/dev has it") as caught:
        where.artifact(requests.parse("app==1.1"))
    assert caught.value.hint == "release promote app==1.1 --from company/dev --to company/prod"


@pytest.mark.parametrize(("version", "known"), [("1.0", True), ("1.1", True), ("1.2", False)])
def test_what_waits_for_its_promotion_was_uploaded(version: str, *, known: bool) -> None:
    """A deploy warns of a version in dist/ that is on neither index."""
    where = found(prod=("app-1.0.tar.gz",), dev=("app-1.1.tar.gz",))
    assert where.knows("app", Version(version)) is known


def test_a_version_that_is_nowhere_is_not_to_be_promoted() -> None:
    """The hint would not help."""
    with pytest.raises(PackhorseError, match=r"has no app==2\.0") as caught:
        found(dev=("app-1.1.tar.gz",)).artifact(requests.parse("app==2.0"))
    assert "promote" not in caught.value.hint


def test_an_index_is_named_by_its_url_or_on_the_server_of_the_project(tmp_path: Path) -> None:
    """And where neither helps, the error says so."""
    settings = ReleaseConfig(app="app", index=INDEX, allow_http=True)
    short, whole = Target(index="company/prod"), Target(index="https://other.example.com/a/b/")
    assert company_index.of_target(settings, short, tmp_path) == PROD
    assert company_index.of_target(settings, whole, tmp_path) == "https://other.example.com/a/b"
    assert company_index.of_target(settings, Target(), tmp_path) == INDEX
    no_devpi = ReleaseConfig(app="app", index="https://example.com/simple")
    with pytest.raises(PackhorseError, match="does not end in USER/INDEX"):
        company_index.of_target(no_devpi, short, tmp_path)


@pytest.mark.parametrize(
    "text", ["prod", "a/b/c", "../x", "company/", "ftp://x/a/b", "https://u:p@x/a/b", "a b/c"]
)
def test_what_names_no_index_is_refused(text: str) -> None:
    """It becomes a part of addresses."""
    with pytest.raises(ValueError, match=r"neither the URL|needs an address"):
        Target(index=text)


def test_clear_text_is_refused_for_the_index_of_a_target_too() -> None:
    """Its packages would be changed on the way."""
    with pytest.raises(ValueError, match="clear text"):
        ReleaseConfig(app="app", targets={"p": Target(index="http://pypi.example.com/a/b")})
