"""[[publishers]] of mirror.toml: what the server gets, and what is refused with its place."""

import json
from pathlib import Path

import pytest

from mirror import config
from mirror.config import MirrorConfig
from mirror.publishing import report
from packhorse.errors import PackhorseError

BEGIN = 'outside_url = "https://packages.example.com:8443/x"\n[[publishers]]\n'
JOB = 'index = "company/dev"\nprojects = ["Acme_Web", "acme-*"]\nissuer = "https://ci.example.com"\n'
GITHUB = 'repository = "acme/web"\nworkflow = "release.yml"\n'


def load(tmp_path: Path, text: str) -> MirrorConfig:
    path = tmp_path / "mirror.toml"
    path.write_text(text)
    return config.load(path)


def test_a_publisher_as_the_server_keeps_it(tmp_path: Path) -> None:
    """Names normalised, the workflow's whole path; the audience is a host, without the path of a proxy."""
    found = load(tmp_path, f'{BEGIN}{JOB}{GITHUB}ref = "refs/tags/*"\nclaims = {{actor_id = "1"}}\n')
    publisher = {
        "index": "company/dev",
        "projects": ["acme-web", "acme-*"],
        "issuer": "https://ci.example.com",
        "claims": {"repository": "acme/web", "actor_id": "1"},
        "workflow": ".github/workflows/release.yml",
        "ref": "refs/tags/*",
    }
    assert found.publishing == {"audience": "packages.example.com:8443", "publishers": [publisher]}
    assert load(tmp_path, "").publishing == {}
    shown = report.as_text(found.publishing)
    assert "company/dev  acme-web, acme-*\n  issuer: https://ci.example.com (keys from the issuer)" in shown


def test_keys_are_read_from_their_file(tmp_path: Path) -> None:
    """By who runs `mirror init`: the server reads no file for a job."""
    path = tmp_path / "jwks.json"
    text = f'{BEGIN}{JOB}{GITHUB}keys = "{path}"\n'
    with pytest.raises(PackhorseError, match="is no JWK set"):
        _ = load(tmp_path, text).publishing
    for wrong in ("{", "[]", '{"keys": 1}'):
        path.write_text(wrong)
        with pytest.raises(PackhorseError, match="is no JWK set"):
            _ = load(tmp_path, text).publishing
    path.write_text(json.dumps({"keys": [{"kid": "a"}]}))
    assert load(tmp_path, text).publishing["publishers"][0]["keys"] == {"keys": [{"kid": "a"}]}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (BEGIN + JOB, "name the job: repository and workflow, or claims of its ID token"),
        (BEGIN + JOB + 'repository = "acme/web"\n', "repository and workflow belong together"),
        (BEGIN + JOB + 'claims = {aud = "x"}\n', "claims.aud is checked by a key of its own, or always"),
        (BEGIN + JOB + 'claims = {ref = "x"}\n', "claims.ref is checked by a key of its own"),
        (BEGIN + JOB + "claims = {id = 1}\n", "claims"),
        (BEGIN + JOB.replace('"Acme_Web"', '"a b"') + GITHUB, '"a b" should be a project or a pattern'),
        (BEGIN + JOB.replace('["Acme_Web", "acme-*"]', "[]") + GITHUB, "projects"),
        (BEGIN + JOB.replace("https:", "ftp:") + GITHUB, "issuer"),
        (BEGIN + JOB.replace("company/dev", "company/none") + GITHUB, "company/none is no index of uploads"),
        (BEGIN + JOB.replace("company/dev", "root/pypi") + GITHUB, "root/pypi is no index of uploads"),
        ("[[publishers]]\n" + JOB + GITHUB, "outside_url: publishers need it"),
        (
            f'{BEGIN}{JOB}{GITHUB}[indexes."company/dev"]\nacl_upload = ["anna"]\n',
            "company, whose tokens jobs get, is not in acl_upload of company/dev",
        ),
        (
            f'{BEGIN}{JOB}{GITHUB}[[publishers]]\n{JOB}{GITHUB}keys = "/x"\n',
            "all publishers of https://ci.example.com need the same keys",
        ),
    ],
)
def test_what_would_let_in_nobody_or_everybody_is_refused(tmp_path: Path, text: str, words: str) -> None:
    """With the key at fault."""
    with pytest.raises(PackhorseError) as caught:
        load(tmp_path, text)
    assert words in str(caught.value)
