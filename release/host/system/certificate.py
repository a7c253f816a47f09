"""Look at the TLS certificate of an application on this host: days left, names, failed renewals."""

import json
import socket
import ssl
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from release.host.disk.layout import SERVER_ROOT, Layout
from release.host.processes import public_address

OK, WARNING, FAILED = "ok", "warning", "failed"
TIMEOUT = 5.0  # seconds
DAYS = 14.0
"""A certificate should be good for so many days, or a quarter of its time: who renews by hand needs some."""
NGINX = ("127.0.0.1", 443)
_LONGEST_REASON = 600
_ADVICE = "Renew it, and reload nginx."


@dataclass(frozen=True)
class CertificateState:
    """State of a certificate: one of the constants above, what it is like, `days` left, and what to do."""

    state: str
    text: str
    days: int | None = None
    advice: str = ""


def examine(layout: Layout) -> CertificateState | None:
    """The report about the certificate of an application, or of its balancers; None: it has no TLS."""
    try:
        vhost = public_address.vhost(layout) if layout.root == SERVER_ROOT else ""
    except FileNotFoundError:
        return None
    names, url = public_address.vhost_names(vhost), public_address.vhost_url(vhost) or ""
    if balancers := public_address.balancers(vhost):
        found = [served(names, (address, 443)) for address in balancers if url.startswith("https:")]
        return max(found, key=lambda each: (OK, WARNING, FAILED).index(each.state), default=None)
    renewed = is_renewed(vhost, layout.app)
    failure = renewal_failure(_read(renewal(layout.app))) if renewed else ""
    if public_address.is_secured(vhost):
        return _with(served(names), failure, renewed=renewed)
    if not renewed:
        return None
    missing = f"there is none yet, and nginx serves HTTP{failure}"
    return CertificateState(
        WARNING, missing, None, "Let the domains lead to this host, then: release provision"
    )


def is_renewed(vhost: str, app: str) -> bool:
    """Whether the certificate of the `vhost` of `app` is obtained and renewed by packhorse-acme."""
    return f"/{app}.tl[s];" in vhost


def renewal(app: str) -> Path:
    """The file in which packhorse-acme writes how its last run ended."""
    return Path("/var/lib/packhorse-acme", app, "status.json")


def _with(found: CertificateState, failure: str, *, renewed: bool) -> CertificateState:
    """Add to `found` what is known about its renewal."""
    advice = "Correct that, then: release provision" if failure else "Look there: systemctl list-timers"
    state = WARNING if failure and found.state == OK else found.state
    if state == OK or not renewed:
        return found
    return CertificateState(state, f"{found.text}{failure}", found.days, advice)


def renewal_failure(text: str) -> str:
    """The failed renewal that packhorse-acme noted in `text`, as an end of a sentence; "": none."""
    try:
        said = json.loads(text)
        reason = " ".join(said["reason"].split())[:_LONGEST_REASON]
        again = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(said["again"]))
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, OSError):
        return ""
    return f": the authority is asked again after {again}, as it failed: {reason}" if reason else ""


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""


def served(names: Sequence[str], address: tuple[str, int] = NGINX) -> CertificateState:
    """The report about the certificate that nginx serves for `names`; clients may not trust it."""
    name = next((name for name in names if "*" not in name), names[0])
    try:
        found = _decoded(address, name)
    except ssl.SSLCertVerificationError as error:
        return CertificateState(FAILED, f"{name}: {error.verify_message}", 0, _ADVICE)
    except OSError as error:
        advice = "Look there: systemctl status nginx; release provision"
        return CertificateState(FAILED, f"{name}: nginx does not answer with TLS: {error}", None, advice)
    begins, ends = (ssl.cert_time_to_seconds(str(found[key])) for key in ("notBefore", "notAfter"))
    left = (ends - time.time()) / 86400
    text = f"that of {name} is good for {int(left)} days"
    if missing := [other for other in names if not covers(found, other)]:
        return CertificateState(
            WARNING, f"{text}, and not for {', '.join(missing)}", int(left), "Get one for all domains."
        )
    enough = left >= min(DAYS, (ends - begins) / 86400 / 4)
    return CertificateState(OK if enough else WARNING, text, int(left), "" if enough else _ADVICE)


def covers(certificate: Mapping[str, Any], name: str) -> bool:
    """Whether a decoded certificate is for `name` (RFC 6125, 6.4.3)."""
    wildcard = f"*.{name.partition('.')[2]}"
    return any(value.lower() in (name, wildcard) for _, value in certificate.get("subjectAltName", ()))


def _decoded(address: tuple[str, int], name: str) -> Mapping[str, Any]:
    anything = ssl.create_default_context()
    anything.check_hostname, anything.verify_mode = False, ssl.CERT_NONE
    with _tls(anything, address, name) as first:
        own = ssl.DER_cert_to_PEM_cert(first.getpeercert(binary_form=True) or b"")
    # Python decodes a certificate that it trusts, and no other.
    trusting = ssl.create_default_context(cadata=own)
    trusting.check_hostname, trusting.verify_flags = False, ssl.VERIFY_X509_PARTIAL_CHAIN
    with _tls(trusting, address, name) as second:
        return second.getpeercert() or {}


def _tls(context: ssl.SSLContext, address: tuple[str, int], name: str) -> ssl.SSLSocket:
    connection = socket.create_connection(address, TIMEOUT)
    try:
        return context.wrap_socket(connection, server_hostname=name)
    except OSError:
        connection.close()
        raise
