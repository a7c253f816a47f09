"""Examine this host for an application: supervisor, disk, index, certificate, toolbox. Nothing is changed."""

import hashlib
import http.client
import os
import platform
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from packhorse.errors import PackhorseError
from release.host.commands.deploy import preflight
from release.host.control.session import Session
from release.host.disk import file_cache, releases
from release.host.disk.layout import SERVER_ROOT, Layout
from release.host.processes import circus_ini, public_address, readiness
from release.host.request import Doctor
from release.host.system import certificate, monitoring

OK, WARNING, FAILED = "ok", "warning", "failed"
NETWORK_TIMEOUT = 10.0  # seconds
SPARE = 200 * 2**20
"""Bytes of disk that a first release takes, roughly; of later ones their size is known."""
TOOLBOX = Path("/opt/packhorse/toolbox")
PROVISION = "Prepare the host again: release provision"


@dataclass(frozen=True)
class CheckResult:
    """Result of one check: `state` is one of the constants above; `advice`: what to do, "" if it is ok."""

    check: str
    state: str
    text: str
    advice: str = ""


def run(
    layout: Layout, request: Doctor, circus: circus_ini.Supervisor, _session: Session
) -> dict[str, object]:
    """The checks, `facts` that should be the same on all hosts of a target, and the `time` here."""
    checks = [
        *_supervisor(layout, circus),
        _application(layout, circus),
        *_disk(layout),
        *([index(request.index_url, request.index_token)] if request.index_url else []),
        *(_server(layout, request.toolbox_sha256) if layout.root == SERVER_ROOT else ()),
    ]
    return {
        "app": layout.app,
        "checks": [asdict(check) for check in checks],
        "facts": _facts(layout, request.key),
        "time": time.time(),
    }


def _supervisor(layout: Layout, circus: circus_ini.Supervisor) -> Iterator[CheckResult]:
    unit = f"packhorse@{layout.app}"
    if circus.running():
        try:
            circus.watchers()
            yield CheckResult("supervisor", OK, "circusd takes commands")
        except PackhorseError as error:
            yield CheckResult("supervisor", FAILED, error.message, error.hint)
    elif layout.root == SERVER_ROOT:
        yield CheckResult(
            "supervisor", FAILED, "circusd does not run", f"Look there: systemctl status {unit}"
        )
    else:
        yield CheckResult("supervisor", OK, "circusd starts with the application")
    if layout.root == SERVER_ROOT and not layout.separate:
        yield CheckResult(
            "user",
            WARNING,
            "the application runs as the user that deploys, and may change its releases",
            f"release provision, then there: systemctl restart {unit}",
        )


def _application(layout: Layout, circus: circus_ini.Supervisor) -> CheckResult:
    number = releases.current(layout)
    if number is None:
        return CheckResult("application", WARNING, "never deployed here", "release deploy TARGET")
    manifest = releases.read_manifest(layout, number)
    what = f"{manifest.project} {manifest.version} (release {number})"
    if layout.stopped.exists():
        return CheckResult("application", WARNING, f"{what} is stopped", "release start")
    if readiness.is_healthy(layout, circus, number):
        return CheckResult("application", OK, f"{what} is healthy")
    return CheckResult(
        "application", FAILED, f"{what} is not healthy", "release status and release logs say more"
    )


def _disk(layout: Layout) -> Iterator[CheckResult]:
    there = layout.folder if layout.folder.exists() else layout.root
    if not there.exists():
        yield CheckResult("disk", OK, f"{there} is not there yet")
        return
    number = releases.current(layout)
    size, inodes = preflight.size(layout.release(number)) if number else (SPARE, 0)
    status = os.statvfs(there)
    free = status.f_bavail * status.f_frsize
    text = f"{free / 2**30:.1f} GB are free in {there}, a release takes {size / 2**30:.2f} GB"
    state = FAILED if free < 2 * size else WARNING if free < 5 * size else OK
    yield CheckResult(
        "disk", state, text, "" if state == OK else "Free some space, or lower keep in release.toml."
    )
    if status.f_files and status.f_favail < 2 * inodes:
        yield CheckResult(
            "inodes", FAILED, f"{status.f_favail} are free in {there}", "Remove files nobody needs."
        )


def index(url: str, token: str | None = None) -> CheckResult:
    """Whether this host reaches the page of the index at `url`, from which it installs, with `token`."""
    try:
        request = file_cache.request_of(url, file_cache.Index(url, token), "text/html")
        with urllib.request.urlopen(request, timeout=NETWORK_TIMEOUT) as answer:  # noqa: S310  # the same
            return CheckResult("index", OK, f"{url} answers {answer.status}")
    except urllib.error.HTTPError as error:
        with error:
            if error.code == http.client.NOT_FOUND:
                return CheckResult("index", WARNING, f"{url} answers 404", "Upload a version: release upload")
            advice = "Look at the log of the index."
            if error.code in (http.client.UNAUTHORIZED, http.client.FORBIDDEN):
                advice = "It is not for everybody. Log in here as who may read it: release login"
            return CheckResult("index", FAILED, f"{url} answers {error.code} {error.reason}", advice)
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", error)
        advice = "Let this host reach it: DNS, firewall, the certificate's authority, http_proxy."
        if urlsplit(url).hostname in {"localhost", "127.0.0.1", "::1"}:
            advice = (
                "That is this host itself: start an index here, or name another one as index in release.toml."
            )
        return CheckResult("index", FAILED, f"{url} cannot be reached: {reason}", advice)


def _server(layout: Layout, toolbox_sha256: str) -> Iterator[CheckResult]:
    """Check what provisioning makes."""
    url = public_address.url(layout)
    if secured := certificate.examine(layout):
        yield CheckResult("certificate", secured.state, secured.text, secured.advice)
    elif url:
        yield CheckResult("public", OK, f"nginx leads {url} to it")
    else:
        advice = "For a web application: domains in release.toml, then release provision"
        yield CheckResult("public", OK, f"nginx leads nothing to it. {advice}")
    yield from toolbox(TOOLBOX, toolbox_sha256)
    for unit, trouble in monitoring.unit_states():
        advice = f"Look there: systemctl status {unit}; release provision" if trouble else ""
        yield CheckResult("monitoring", FAILED if trouble else OK, f"{unit}: {trouble or 'answers'}", advice)


def toolbox(link: Path, sha256: str) -> Iterator[CheckResult]:
    """Whether the toolbox at `link` has the requirements of this hash, and which earlier ones are there."""
    requirements = link / "toolbox.txt"
    present = requirements.read_bytes() if requirements.exists() else b""
    if hashlib.sha256(present).hexdigest() == sha256:
        yield CheckResult("toolbox", OK, f"{link} is that of this Packhorse")
    else:
        yield CheckResult("toolbox", WARNING, f"{link} is that of another Packhorse", PROVISION)
    earlier = [path for path in link.parent.glob(f"{link.name}-*") if path.resolve() != link.resolve()]
    if len(earlier) > 1:  # provisioning keeps one to go back to
        names = ", ".join(sorted(path.name for path in earlier))
        yield CheckResult("old toolboxes", WARNING, f"{len(earlier)} in {link.parent}: {names}", PROVISION)


def _facts(layout: Layout, key: str) -> dict[str, Any]:
    """Facts that are the same on all hosts of a target; the content as a digest with the random `key`."""
    number = releases.current(layout)
    manifest = releases.read_manifest(layout, number) if number else None
    return {
        "release": number,
        "version": manifest and manifest.version,
        "code and configuration": number and releases.content(layout, number).digest(key),
        "Python": platform.python_version(),
        "toolbox": TOOLBOX.resolve().name if layout.root == SERVER_ROOT else None,
    }
