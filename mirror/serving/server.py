"""Start devpi-server, and wait until it answers."""

import http.client
import os
import re
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn
from urllib.parse import urlsplit

from mirror import config as configuration
from mirror import monitoring_secrets, settings_hashes, state
from mirror.config import MirrorConfig
from mirror.monitoring import settings as monitoring
from mirror.monitoring.settings import AuditFolder, Monitoring
from mirror.monitoring_secrets import SecretError
from mirror.serving import command
from mirror.state import Folder, Serving
from packhorse import files
from packhorse.errors import PackhorseError

READY_SECONDS = 60.0  # it takes about one second; a machine with thirty times the work it can do took over 30


def serve(config: MirrorConfig, folder: Folder) -> NoReturn:
    """Become devpi-server, holding the lock. Raises PackhorseError when it cannot serve."""
    lock = _claim(config, folder)
    _write_serving(config, folder, os.getpid())
    os.set_inheritable(lock, True)  # noqa: FBT003 (the standard library's signature)
    arguments = command.arguments(config, folder)
    os.execve(arguments[0], arguments, command.environment(os.environ))  # noqa: S606 (no shell is meant)


def serve_in_background(config: MirrorConfig, folder: Folder) -> Serving:
    """Start devpi-server, holding the lock, in a session of its own; return when it answers."""
    lock = _claim(config, folder)
    folder.serving.unlink(missing_ok=True)  # whoever kills this function leaves no other process's id there
    with files.open_log(folder.log) as log:
        before = log.tell()
        child = subprocess.Popen(
            command.arguments(config, folder),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=command.environment(os.environ),
            pass_fds=[lock],
            start_new_session=True,
        )
    now = _write_serving(config, folder, child.pid)
    os.close(lock)
    wait_until_ready(config.url, child, folder.log, before)
    return now


def _claim(config: MirrorConfig, folder: Folder) -> int:
    """Take the lock for a server, and write what it reads. Raises PackhorseError when it cannot serve."""
    check(config, folder)
    lock = state.try_lock(folder.lock, seconds=state.LOOK_SECONDS)
    if lock is None:
        raise _occupied(folder)
    state.set_url(folder, config.url)
    _write_monitoring(config, folder)
    return lock


def _write_monitoring(config: MirrorConfig, folder: Folder) -> None:
    audit = AuditFolder(**config.audit.model_dump(), folder=str(folder.audit))
    told = Monitoring(
        metrics=config.metrics,
        audit=audit,
        webhooks=config.webhooks,
        webhooks_folder=str(folder.webhooks),
        last_refresh=str(folder.last_refresh),
    )
    monitoring.write(folder.monitoring, told)


def _write_serving(config: MirrorConfig, folder: Folder, pid: int) -> Serving:
    now = Serving(config.url, pid, config.offline, settings_hashes.by_key(config, command.READ_AT_START))
    state.write_serving(folder, now)
    return now


def check(config: MirrorConfig, folder: Folder) -> None:
    """Raise PackhorseError when the server could not start: no data, already serving, port taken."""
    if not folder.initialised():
        raise PackhorseError(f"There is no mirror in {folder.root} yet.", "Make it with `mirror init`.")
    if state.read_serving(folder):
        raise _occupied(folder)
    check_secrets(config, os.environ)
    listens = f"[{config.host}]" if ":" in config.host else config.host
    configuration.require_tls(config, "host", f"http://{listens}:{config.port}")
    configuration.require_tls(config, "upstream.url", config.upstream.url or "")
    for webhook in config.webhooks:
        # Its path may be a secret, which the message would show.
        configuration.require_tls(config, "webhooks.url", "/".join(webhook.url.split("/")[:3]))
    try:
        with socket.socket(socket.AF_INET6 if ":" in config.host else socket.AF_INET) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the server itself does
            probe.bind((config.host, config.port))
    except OSError as error:
        raise PackhorseError(
            f"Cannot listen on {config.host} port {config.port}: {error.strerror}.",
            "End the process that uses it, or set another `port` in mirror.toml (or --port).",
        ) from error


def check_secrets(config: MirrorConfig, environment: Mapping[str, str] | None = None) -> None:
    """Raise PackhorseError when the server, with `environment`, cannot use a secret; None: of files alone."""
    try:
        if config.metrics.token_file:
            monitoring_secrets.metrics_token(Path(config.metrics.token_file))
        for webhook in config.webhooks:
            if webhook.secret_file or environment is not None:
                monitoring_secrets.webhook_key(webhook.model_dump(), environment or {})
    except SecretError as error:
        raise PackhorseError(str(error), "Correct it: without it, the mirror does not start.") from error


def _occupied(folder: Folder) -> PackhorseError:
    now = state.read_serving(folder)
    if now is None:
        return PackhorseError(
            f"A `mirror init` is at work in {folder.root}.", "Run the command again when it has ended."
        )
    return PackhorseError(
        f"The mirror already serves at {now.url} (process {now.pid}).",
        "Use it as it is, or stop it first with `mirror stop`.",
    )


@contextmanager
def temporary(config: MirrorConfig, folder: Folder, lock: int) -> Iterator[str]:
    """Run a server on a free loopback port until the block or this process ends."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    private = config.model_copy(update={"host": "127.0.0.1", "port": port, "outside_url": None})
    _write_monitoring(config, folder)
    with files.open_log(folder.log) as log:
        before = log.tell()
        child = subprocess.Popen(
            command.arguments(private, folder, command.TEMPORARY_SERVER),
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            env=command.environment(os.environ),
            pass_fds=[lock],
            start_new_session=True,  # Ctrl-C is for us; the server ends when we do
        )
    try:
        wait_until_ready(private.url, child, folder.log, before)
        yield private.url
    finally:
        child.kill()
        child.communicate()


def wait_until_ready(url: str, child: subprocess.Popen[bytes], log: Path, before: int) -> None:
    """Wait until `child` answers at `url`; its log has `before` bytes of others.

    Raises PackhorseError with what devpi calls fatal, else with the end of that log.
    """
    deadline = time.monotonic() + READY_SECONDS
    while not answers(url):
        if child.poll() is not None:
            raise _ended(child.returncode, log, files.last_lines(log, since=before))
        if time.monotonic() > deadline:
            child.kill()
            raise PackhorseError(
                f"The mirror was stopped: no answer at {url}/+api for {READY_SECONDS:.0f} seconds.",
                f"The whole log is in {log}.",
                detail=files.last_lines(log, since=before),
            )
        time.sleep(0.05)


def _ended(status: int, log: Path, lines: str) -> PackhorseError:
    what, hint = (
        f"The mirror ended with exit status {status} instead of serving",
        f"The whole log is in {log}.",
    )
    if fatal := re.search(r"^fatal: (.+)", lines, re.MULTILINE | re.DOTALL):
        return PackhorseError(f"{what}: {fatal[1]}", hint)
    return PackhorseError(f"{what}.", hint, detail=lines)


def answers(url: str) -> bool:
    """Whether a devpi-server answers at `url` within two seconds."""
    place = urlsplit(url)
    connection = http.client.HTTPConnection(place.hostname or "", place.port, timeout=2)
    try:
        connection.request("GET", "/+api")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
