"""Secrets of webhooks and the token of metrics: what is none is refused, by the server and before."""

from pathlib import Path

import pytest

from mirror import monitoring_secrets
from mirror.monitoring_secrets import SecretError


@pytest.mark.parametrize("content", [None, "", "short"])
def test_a_token_that_is_none_is_refused(content: str | None, tmp_path: Path) -> None:
    """Of an empty file, everybody has the token."""
    file = tmp_path / "file"
    if content is not None:
        file.write_text(content)
    with pytest.raises(SecretError) as refused:
        monitoring_secrets.metrics_token(file)
    assert str(refused.value).startswith(f"[metrics] in mirror.toml: token_file: {file}: ")


@pytest.mark.parametrize("text", [None, "", "short", "whsec_", "whsec_!", "whsec_" + "a" * 8])
def test_a_secret_that_is_none_is_refused_without_showing_it(text: str | None) -> None:
    """Everybody can sign with an empty one."""
    environment = {"HOOK": text} if text is not None else {}
    with pytest.raises(SecretError) as refused:
        monitoring_secrets.webhook_key({"secret_variable": "HOOK", "secret_file": None}, environment)
    assert str(refused.value).startswith("[[webhooks]] in mirror.toml: the secret in $HOOK is missing")
    assert not text or len(text) < 7 or text not in str(refused.value)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    """Two lines, before the server starts."""
    settings = {"secret_variable": None, "secret_file": str(tmp_path / "missing")}
    with pytest.raises(SecretError, match="missing: No such file"):
        monitoring_secrets.webhook_key(settings, {})
