"""Read the secrets that [metrics] and [[webhooks]] of mirror.toml name: in files, or in the environment."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from packhorse import standard_webhooks

SHORTEST_TOKEN = 16  # characters


class SecretError(Exception):
    """A secret cannot be used; the text says why, and has nothing of it."""


def metrics_token(file: Path) -> bytes:
    """The token of `token_file`. Raises SecretError."""
    begin = "[metrics] in mirror.toml: token_file"
    try:
        token = file.read_bytes().strip()
    except OSError as error:
        raise SecretError(f"{begin}: {file}: {error.strerror}") from error
    if len(token) < SHORTEST_TOKEN:
        raise SecretError(f"{begin}: {file}: the token has less than {SHORTEST_TOKEN} characters")
    return token


def webhook_key(settings: Mapping[str, Any], environment: Mapping[str, str]) -> bytes:
    """The key that signs the messages of a table of [[webhooks]]. Raises SecretError."""
    begin = "[[webhooks]] in mirror.toml"
    where = f"${settings['secret_variable']}" if settings["secret_variable"] else settings["secret_file"]
    if settings["secret_variable"]:
        text = environment.get(settings["secret_variable"], "")
    else:
        try:
            text = Path(where).read_text("utf-8", "surrogateescape")[:65536]
        except OSError as error:
            raise SecretError(f"{begin}: {where}: {error.strerror}") from error
    key = standard_webhooks.read_key(text)
    if key is None:
        raise SecretError(
            f"{begin}: the secret in {where} {standard_webhooks.LACKS_KEY} {standard_webhooks.HOW_TO_MAKE}"
        )
    return key
