"""Send signed JSON to a webhook, in the form of Standard Webhooks (standardwebhooks.com)."""

import http.client
import json
import queue
import secrets
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from urllib.parse import urlsplit

from packhorse import standard_webhooks
from packhorse.errors import PackhorseError
from release.config.hooks import Webhook

ATTEMPTS = 3


def send(
    settings: Webhook,
    project: Path,
    environment: Mapping[str, str],
    message: Mapping[str, object],
    sleep: Callable[[float], object] = time.sleep,
) -> None:
    """POST `message` as JSON, signed; again after a failure that may pass. Redirects are not followed.

    Raises PackhorseError, which has the server's name and not the whole address: that may be a secret.
    """
    key = secret(settings, project, environment)
    body = json.dumps(message).encode()
    identity = f"msg_{secrets.token_hex(16)}"  # the same for every attempt: receivers drop what they have had
    problem = ""
    for attempt in range(ATTEMPTS):
        if attempt:
            sleep(attempt)
        status = _post(settings, standard_webhooks.headers(identity, int(time.time()), body, key), body)
        if isinstance(status, int) and 200 <= status < 300:
            return
        problem = f"answered {status}" if isinstance(status, int) else status
        if isinstance(status, int) and status < 500 and status != 429:
            problem += ", a redirect that is not followed" if 300 <= status < 400 else ""
            break
    raise PackhorseError(
        f"The webhook {urlsplit(settings.url).netloc} {problem}.", "Look at [hooks.webhook] in release.toml."
    )


def secret(settings: Webhook, project: Path, environment: Mapping[str, str]) -> bytes:
    """The key, from the variable or the file that release.toml names. Raises PackhorseError."""
    where = f"${settings.secret_variable}" if settings.secret_variable else str(settings.secret_file)
    if settings.secret_variable:
        text = environment.get(settings.secret_variable, "")
    else:
        try:
            with (project / Path(str(settings.secret_file)).expanduser()).open("rb") as file:
                text = file.read(65536).decode("utf-8", "surrogateescape")
        except (OSError, RuntimeError) as error:  # RuntimeError: there is no such user
            raise PackhorseError(
                f"The webhook's secret cannot be read from {where}: {error}.", "Correct secret_file."
            ) from error
    key = standard_webhooks.read_key(text)
    if key is None:
        raise PackhorseError(
            f"The webhook's secret in {where} {standard_webhooks.LACKS_KEY}", standard_webhooks.HOW_TO_MAKE
        )
    return key


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: object) -> None:
        """Follow none: another server would get what is for this one."""


def _post(settings: Webhook, headers: Mapping[str, str], body: bytes) -> int | str:
    """The status of the answer, or why there is none; at the latest after the timeout of the settings."""
    request = urllib.request.Request(settings.url, body, dict(headers), method="POST")  # noqa: S310 (checked)
    late = f"has not answered within {settings.timeout:g} s"
    answers: queue.SimpleQueue[int | str] = queue.SimpleQueue()

    def work() -> None:
        try:
            with urllib.request.build_opener(_NoRedirect).open(request, timeout=settings.timeout) as answer:
                answers.put(answer.status)
        except urllib.error.HTTPError as error:
            error.close()
            answers.put(error.code)
        except (OSError, http.client.HTTPException, ValueError) as error:
            reason = getattr(error, "reason", error)
            unreachable = f"cannot be reached: {str(reason) or type(error).__name__}"
            answers.put(late if isinstance(reason, TimeoutError) else unreachable)

    # In a thread: a server that sends a byte now and then is never late for the limit of a socket.
    threading.Thread(target=work, daemon=True).start()
    try:
        return answers.get(timeout=settings.timeout)
    except queue.Empty:
        return late
