"""The public address of an application: its listener, its URL, and a check that a release answers there."""

import re
import time
from dataclasses import asdict
from http import HTTPStatus

from packhorse.errors import PackhorseError
from release.host.disk import releases
from release.host.disk.layout import SERVER_ROOT, Layout
from release.host.processes import circus_ini, health, maintenance, sockets

VERIFY_TIMEOUT = 5.0
"""Seconds for a release that is healthy on its own socket to answer at the public address."""


def configure(layout: Layout, bind: circus_ini.Bind, circus: circus_ini.Supervisor) -> None:
    """Write circus.ini. Raises PackhorseError when a running circusd listens somewhere else.

    One that an earlier version started is left as it is: its next start reads the new file.
    """
    if layout.separate:  # it is root's
        return
    if not layout.circus_ini.exists() or not circus.running():
        circus_ini.write(layout, bind)
        return
    present = circus_ini.bind_of(layout.circus_ini.read_text())
    if present != bind:
        raise PackhorseError(
            f"{layout.app} cannot move from {address_text(layout, present)} "
            f"to {address_text(layout, bind)} while it runs.",
            "Run: release stop local, then deploy again.",
        )


def verify(layout: Layout, number: int) -> None:
    """Probe release `number` at the public address. Raises PackhorseError when it is not healthy there.

    In maintenance mode another program answers there.
    """
    manifest = releases.read_manifest(layout, number)
    deadline = time.monotonic() + VERIFY_TIMEOUT
    where = address(layout, number)
    while not (answer := health.probe(where, manifest.health)).healthy:
        if layout.maintenance.exists() and answer.status == HTTPStatus.SERVICE_UNAVAILABLE:
            return
        if time.monotonic() > deadline:
            raise PackhorseError(
                f"{manifest.project} {manifest.version} is healthy on its own socket, but not at the "
                f"public address: {answer.text}",
                f"Look at {layout.log(circus_ini.FORWARD)}",
            )
        time.sleep(manifest.health.interval)


def address(layout: Layout, number: int) -> health.Address:
    """The public address as a probe of release `number` reaches it: for a wildcard, over loopback."""
    bind = circus_ini.bind_of(layout.circus_ini.read_text())
    if bind is None:
        return sockets.private(layout, number)
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(bind[0], bind[0]), bind[1]  # noqa: S104  # compared, not bound


def address_text(layout: Layout, bind: circus_ini.Bind) -> str:
    """`bind` as text for people: a URL, or the path of the unix socket."""
    if bind is None:
        return str(layout.web)
    host = f"[{bind[0]}]" if ":" in bind[0] else bind[0]
    return f"http://{host}:{bind[1]}"


def url(layout: Layout) -> str | None:
    """The URL at which users reach the application; None: nothing public leads to it."""
    bind = circus_ini.bind_of(layout.circus_ini.read_text())
    if bind:
        return address_text(layout, bind)
    try:
        return vhost_url(vhost(layout)) if layout.root == SERVER_ROOT else None
    except FileNotFoundError:
        return None


def vhost(layout: Layout) -> str:
    """The vhost, which provisioning has written, and what it includes about TLS. Raises FileNotFoundError."""
    text, included = layout.vhost.read_text(), layout.vhost.with_suffix(".tls")
    return text + included.read_text() if ".tl[s];" in text and included.exists() else text


def vhost_names(text: str) -> list[str]:
    """The names in the vhost `text`."""
    named = re.findall(r"^\s*server_name ([^;]+);", text, re.MULTILINE)
    return named[-1].split() if named else []


def balancers(text: str) -> list[str]:
    """The addresses of the balancers that the vhost `text` believes."""
    return re.findall(r"^\s*set_real_ip_from (\S+);", text, re.MULTILINE)


def is_secured(text: str) -> bool:
    """Whether the vhost `text` serves by HTTPS."""
    return "ssl_certificate " in text


def vhost_url(text: str) -> str | None:
    """The URL of the first name in the vhost `text`, or that of its balancer."""
    if balanced := re.search(r"^# Clients arrive at (https?://\S+)$", text, re.MULTILINE):
        return balanced[1]
    names = vhost_names(text)
    name = next((name for name in names if "*" not in name), next(iter(names), None))
    return name and f"{'https' if is_secured(text) else 'http'}://{name}/"


def as_result(layout: Layout, number: int | None) -> dict[str, object]:
    """The fields of a result event about release `number`; None: nothing serves.

    `address`: where nginx, or the program that forwards the port, finds it; `url`: where users do.
    """
    shared = {"app": layout.app, "maintenance": maintenance.as_result(layout)}
    if number is None:
        return {**shared, "release": None, "project": None, "version": None, "url": None}
    manifest = releases.read_manifest(layout, number)
    bind = circus_ini.bind_of(layout.circus_ini.read_text())
    return {
        **shared,
        "release": number,
        "project": manifest.project,
        "version": manifest.version,
        "url": url(layout) if manifest.serves else None,
        "address": address_text(layout, bind) if manifest.serves else None,
        "artifact": asdict(manifest.artifact),
    }
