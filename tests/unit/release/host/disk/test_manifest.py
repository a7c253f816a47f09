"""The promises of release.host.disk.manifest."""

import json
from dataclasses import asdict, replace

import pytest

from packhorse.errors import PackhorseError
from release.host.disk.manifest import Content, File, Identity
from tests.support.release_folders import a_content

FILES = [File("shop", "shop-1.0.tar.gz", "a" * 64), File("shop", "shop-1.0-py3-none-any.whl", "b" * 64)]
CONTENT = replace(a_content(TOKEN="hunter2", COLOUR="red"), files=FILES)


def test_the_same_content_has_the_same_digest_on_every_host() -> None:
    """Wherever the files lie, and in whatever order they and the variables were written."""
    other = replace(
        CONTENT,
        files=[replace(file, url="https://example.com/x") for file in reversed(FILES)],
        env={"COLOUR": "red", "TOKEN": "hunter2"},
    )
    assert Content.of_json(json.loads(json.dumps(asdict(other)))).digest("key") == CONTENT.digest("key")


@pytest.mark.parametrize(
    "change",
    [{"version": "2.0"}, {"files": FILES[:1]}, {"env": {"COLOUR": "red"}}, {"graceful_timeout": 1.0}],
)
def test_other_code_or_another_configuration_has_another_digest(change: dict[str, object]) -> None:
    """A version alone says nothing about the configuration."""
    assert replace(CONTENT, **change).digest("key") != CONTENT.digest("key")  # type: ignore[arg-type]


ARTIFACT = Identity("shop", "1.0", "shop-1.0.tar.gz", "a" * 64, None, "abc", None, "Ann")


@pytest.mark.parametrize("change", [{"commit": "abd"}, {"dirty": True}, {"committer": "Bob"}])
def test_artifacts_of_another_origin_have_another_digest(change: dict[str, object]) -> None:
    """Wheels of one version for two platforms, built from different commits: hosts would run other code."""
    other = replace(ARTIFACT, **change)  # type: ignore[arg-type]
    assert CONTENT.digest("key", other) != CONTENT.digest("key", ARTIFACT)
    same = replace(ARTIFACT, filename="shop-1.0-py3-none-any.whl", sha256="b" * 64)
    assert CONTENT.digest("key", same) == CONTENT.digest("key", ARTIFACT)


def test_a_digest_cannot_be_compared_across_commands() -> None:
    """Whoever finds one in a log cannot try passwords against it without the key, which nobody kept."""
    assert CONTENT.digest("one") != CONTENT.digest("other")


@pytest.mark.parametrize("table", [{"python": "/tmp/x"}, {"python": "3.12/../x"}, {"installer": "sh"}])
def test_another_host_names_no_program(table: dict[str, str]) -> None:
    """Its content would run a file that an application has written, as the user that deploys."""
    with pytest.raises(PackhorseError, match="no Python and no installer"):
        replace(CONTENT, **table)  # type: ignore[arg-type]
