"""The promises of release.deploy.webhook."""

from pathlib import Path

import pytest

from packhorse.errors import PackhorseError
from release.config.hooks import Webhook
from release.deploy import webhook

BY_VARIABLE = Webhook(url="https://example.com/hook", secret_variable="HOOK_SECRET")


def test_a_secret_comes_from_a_file_without_its_newline(tmp_path: Path) -> None:
    """As an editor, or `openssl rand`, writes it; the path is seen from the project."""
    settings = Webhook(url="https://example.com/hook", secret_file="hook.secret")
    (tmp_path / "hook.secret").write_text("x" * 24 + "\n")
    assert webhook.secret(settings, tmp_path, {}) == b"x" * 24


@pytest.mark.parametrize("text", ["", "few", "whsec_", "whsec_???", "whsec_é"])
def test_a_secret_that_protects_nothing_is_refused(text: str) -> None:
    """Without showing it."""
    with pytest.raises(PackhorseError) as refused:
        webhook.secret(BY_VARIABLE, Path(), {"HOOK_SECRET": text} if text else {})
    assert "$HOOK_SECRET" in refused.value.message
    assert text in {"", "whsec_"} or text not in refused.value.message


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    """It is a warning later: the deploy itself went well."""
    settings = Webhook(url="https://example.com/hook", secret_file="none")
    with pytest.raises(PackhorseError, match="none"):
        webhook.secret(settings, tmp_path, {})
