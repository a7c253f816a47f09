"""Sign a message in the form of Standard Webhooks (standardwebhooks.com), and POST it."""

import hashlib
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from mirror import monitoring_secrets
from mirror.plugin.upstream import allowed_hosts
from mirror.plugin.upstream.allowed_hosts import HostRefusedError
from mirror.plugin.webhooks.spool import Message
from packhorse import standard_webhooks


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
    key = monitoring_secrets.webhook_key(settings, environment)
    return Webhook(settings["url"], tuple(settings["events"]), settings["timeout"], key)


def post(
    client: httpx.Client, webhook: Webhook, message: Message, now: Callable[[], float] = time.time
) -> str:
    """Deliver it; "" or why not. The client follows no redirect, and connects to allowed hosts only."""
    body = message.body.encode()
    headers = standard_webhooks.headers(message.identity, int(now()), body, webhook.key)
    extensions = {allowed_hosts.OWN: webhook.url, allowed_hosts.WHOLE: True}
    try:
        with client.stream(
            "POST",
            webhook.url,
            content=body,
            headers=headers,
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
