"""Sign a message in the form of Standard Webhooks (standardwebhooks.com), and POST it."""

import base64
import binascii
import hashlib
import hmac
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from mirror.plugin.upstream import allowed_hosts
from mirror.plugin.upstream.allowed_hosts import HostRefusedError
from mirror.plugin.webhooks.spool import Message

PREFIX = "whsec_"
SHORTEST = 24  # bytes of a secret, as Standard Webhooks asks for


class SecretError(Exception):
    """The secret of a webhook cannot be used; the text says why, and has nothing of it."""


@dataclass(frozen=True)
class Webhook:
    """A receiver of messages: its URL, which may be a secret, its events, and the key that signs them."""

    url: str
    events: tuple[str, ...]
    timeout: float
    key: bytes

    @property
    def host(self) -> str:
        """The part of the URL that logs and people see."""
        return httpx.URL(self.url).netloc.decode("ascii", "replace")

    @property
    def name(self) -> str:
        """Name of its folder; it stays the same when other webhooks come and go."""
        return hashlib.sha256(self.url.encode()).hexdigest()[:16]


def webhook(settings: Mapping[str, Any], environment: Mapping[str, str]) -> Webhook:
    """The webhook of a table of mirror.toml. Raises SecretError."""
    where = f"${settings['secret_variable']}" if settings["secret_variable"] else settings["secret_file"]
    if settings["secret_variable"]:
        text = environment.get(settings["secret_variable"], "")
    else:
        try:
            text = Path(where).read_text("utf-8", "surrogateescape")[:65536]
        except OSError as error:
            raise SecretError(f"{where}: {error.strerror}") from error
    key = _key(text.strip())
    if len(key) < SHORTEST:
        raise SecretError(
            f"the secret in {where} is missing, or shorter than {SHORTEST} bytes."
            f' Make one: echo "{PREFIX}$(openssl rand -base64 32)"'
        )
    return Webhook(settings["url"], tuple(settings["events"]), settings["timeout"], key)


def _key(text: str) -> bytes:
    if not text.startswith(PREFIX):
        return text.encode("utf-8", "surrogateescape")
    try:
        return base64.b64decode(text.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError):
        return b""


def headers(message: Message, timestamp: int, key: bytes) -> dict[str, str]:
    """The headers that prove who sends, and when (seconds since the epoch)."""
    signed = f"{message.identity}.{timestamp}.{message.body}".encode()
    signature = base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()
    return {
        "Content-Type": "application/json",
        "User-Agent": "packhorse",
        "webhook-id": message.identity,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": f"v1,{signature}",
    }


def post(
    client: httpx.Client, webhook: Webhook, message: Message, now: Callable[[], float] = time.time
) -> str:
    """Deliver it; "" or why not. The client follows no redirect, and connects to allowed hosts only."""
    sent = headers(message, int(now()), webhook.key)
    extensions = {allowed_hosts.OWN: webhook.url, allowed_hosts.WHOLE: True}
    try:
        with client.stream(
            "POST",
            webhook.url,
            content=message.body.encode(),
            headers=sent,
            timeout=webhook.timeout,
            extensions=extensions,
        ) as answer:
            status = answer.status_code
    except HostRefusedError:
        return "is not asked: its address is none that [upstream] hosts of mirror.toml allows"
    except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, OSError) as error:
        return f"cannot be reached: {type(error).__name__}"
    return "" if 200 <= status < 300 else f"answered {status}"


def may_pass(problem: str) -> bool:
    """Whether trying again may help: not after a 3xx or 4xx, which says that the message is not wanted."""
    return not problem.startswith(("answered 3", "answered 4")) or problem in {"answered 408", "answered 429"}
