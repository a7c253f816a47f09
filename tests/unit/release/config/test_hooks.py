"""The promises of release.config.hooks."""

from pathlib import Path

import pytest

from packhorse.errors import PackhorseError
from release.config import release_toml
from release.config.release_toml import ReleaseConfig


def load(folder: Path, text: str = "") -> ReleaseConfig:
    """The settings of a release.toml in `folder`."""
    folder.joinpath("release.toml").write_text(f'app = "shop"\n{text}')
    return release_toml.load(folder)


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ('url = "https://example.com/x"', "either secret_variable or secret_file"),
        (
            'url = "https://example.com/x"\nsecret_variable = "A"\nsecret_file = "b"',
            "either secret_variable or secret_file",
        ),
        ('url = "http://example.com/x"\nsecret_file = "b"', "by http://"),
        ('url = "https://user:hidden@example.com/x"\nsecret_file = "b"', "an address without a user"),
        ('url = "https://example.com/hidden\\n"\nsecret_file = "b"', "an address without a user"),
        ('url = "file:///etc/hidden"\nsecret_file = "b"', "an address without a user"),
        ('url = "https://example.com/x"\nsecret = "hidden"', "unknown key"),
    ],
)
def test_a_webhook_is_signed_and_its_address_is_not_shown(tmp_path: Path, lines: str, words: str) -> None:
    """The secret is somewhere else; some addresses of webhooks are secrets themselves."""
    with pytest.raises(PackhorseError) as refused:
        load(tmp_path, f"[hooks.webhook]\n{lines}\n")
    assert words in refused.value.message
    assert "hidden" not in refused.value.message


@pytest.mark.parametrize("command", ['"make check"', "[]", '["a\\u0000"]', "[1]"])
def test_a_hook_is_an_argument_list(tmp_path: Path, command: str) -> None:
    """No shell sees it."""
    with pytest.raises(PackhorseError, match=r"hooks\.before_deploy"):
        load(tmp_path, f"[hooks]\nbefore_deploy = {command}\n")
