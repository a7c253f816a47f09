"""The promises of release.deploy.identity."""

from dataclasses import asdict

import pytest

from packhorse.errors import PackhorseError
from release import index
from release.deploy import identity, requests
from release.host.disk.manifest import File, Identity
from tests.support.release_folders import a_content
from tests.support.tiny_app import app_sdist, app_wheel

INDEX = "https://pypi.example.com/company/dev"
WHEEL, SDIST = app_wheel("1.0"), app_sdist("1.0")
FOUND = requests.Artifact(
    "tiny",
    "1.0",
    [File("tiny", dist.filename, dist.sha256, f"{INDEX}/+f/{dist.filename}") for dist in (SDIST, WHEEL)],
    INDEX,
)


def get(url: str, _accept: str) -> index.Response:
    """The index, as it should be."""
    return index.Response(url, 200, body=WHEEL.content if url.endswith(".whl") else SDIST.content)


def test_a_plan_names_what_was_built_from_what() -> None:
    """Before anything of it is on a host."""
    found = identity.read(FOUND, get)
    assert found == Identity("tiny", "1.0", WHEEL.filename, WHEEL.sha256, INDEX, None, None, None)
    text = identity.sentence(
        {**asdict(found), "commit": "abc", "dirty": True, "committer": "Ann <a@example>"}
    )
    assert f"from {INDEX}" in text
    assert f"sha256 {WHEEL.sha256}, built from commit abc of Ann <a@example> and changes" in text


def test_an_identity_cannot_write_to_the_terminal() -> None:
    """The name of a committer may hold escape sequences."""
    table = asdict(identity.read(FOUND, get))
    assert "\x1b" not in identity.sentence({**table, "commit": "abc", "committer": "\x1b[2Jall is well"})


def test_a_file_that_is_not_the_listed_one_is_refused() -> None:
    """Not only hosts look at the hash."""
    with pytest.raises(PackhorseError, match="not with the file that the index lists"):
        identity.read(FOUND, lambda url, _: index.Response(url, 200, body=b"other"))


@pytest.mark.parametrize("filename", ["tiny-1.0-py3-none-any.whl", "evil-1.0-py3-none-any.whl"])
def test_hosts_go_back_to_nothing_that_the_company_did_not_upload(filename: str) -> None:
    """A host that is broken into names a file of an upstream, and the others would install and run it."""
    listed = [
        index.ListedFile(filename, "u", "a" * 64, "i", own=False, company=filename.startswith("tiny")),
        index.ListedFile("tiny-2.0-py3-none-any.whl", "u", "b" * 64, INDEX, own=True, company=True),
    ]
    content = {**asdict(a_content()), "files": [asdict(File("tiny", filename, "a" * 64))]}
    if filename.startswith("tiny"):
        identity.require_company_content(content, "web1", "prod", lambda _: listed)
        content["files"][0]["sha256"] = "c" * 64
    with pytest.raises(
        PackhorseError, match=f"web1 goes back to {filename}, which no company index has"
    ) as refused:
        identity.require_company_content(content, "web1", "prod", lambda _: listed)
    assert refused.value.hint.endswith("release deploy prod NAME==VERSION")
    with pytest.raises(PackhorseError, match="web1: its agent sends content that no agent of ours does"):
        identity.require_company_content({"files": 7}, "web1", "prod", lambda _: listed)
    with pytest.raises(PackhorseError, match="web1 goes back to no file"):
        identity.require_company_content({**content, "files": []}, "web1", "prod", lambda _: listed)
