"""Allowed hosts: what pages and redirects of an upstream may lead the mirror to, checked on each connection.

They may name anything, also services that only this machine can reach (SSRF, CWE-918). Allowed are the
upstream's own host, hosts that the settings name, and every other one over https at a public address.
"""

import contextlib
import ipaddress
import json
import math
import socket
import ssl
import threading
import time
import urllib.request
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import httpcore
import httpx
from devpi_server.log import threadlog

# Extensions of a request: the URL of the upstream for which it is made, and whether its answer is one to be
# read as a whole, so that LONGEST is for that, and not for the header alone.
OWN, WHOLE = "packhorse_own", "packhorse_whole"
LONGEST = 120  # seconds; what comes byte by byte never exceeds the limit on each read
RECORD = 2**14  # bytes of the largest record of TLS (RFC 8446, 5.1)
REPORTED = 100  # refused hosts in the log and in the file; a page may name any number

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
Check = Callable[[IPAddress], bool]

# Addresses for documentation belong to nobody: closed networks use them where others have public ones.
_DOCUMENTATION = [  # RFC 5737, 3849, 9637
    ipaddress.ip_network(text)
    for text in ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32", "3fff::/20")
]
_GLOBAL_UNICAST = ipaddress.IPv6Network("2000::/3")
_TUNNELS = [ipaddress.IPv6Network(text) for text in ("2001::/23", "2002::/16")]  # IPv4 inside: RFC 4380, 3056
# Metadata services of clouds at addresses that are not link-local: AWS, Google, Alibaba, Azure, Oracle.
_METADATA = {
    ipaddress.ip_address(text)
    for text in ("fd00:ec2::254", "fd20:ce::254", "100.100.100.200", "168.63.129.16", "192.0.0.192")
}
_COMPATIBLE = ipaddress.IPv6Network("::/96")  # RFC 4291, 2.5.5.1
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")  # RFC 6052


class HostRefusedError(Exception):
    """A request to a host that is not allowed; the text is for clients, and names no host."""


class _NotAllowedError(Exception):
    """The text says why, for the log."""


def is_public(address: IPAddress) -> bool:
    """Whether everybody on the internet reaches the same host at `address`."""
    address = _reached(address)
    if any(address in network for network in _DOCUMENTATION):
        return True
    if isinstance(address, ipaddress.IPv4Address):
        return address.is_global and not address.is_multicast and address not in _METADATA
    return address in _GLOBAL_UNICAST and not any(address in network for network in _TUNNELS)


def is_not_local(address: IPAddress) -> bool:
    """Whether `address` is another machine's, and none that only this machine's cable has.

    Metadata services of clouds have link-local addresses, or some that are known.
    """
    address = _reached(address)
    local = (address.is_loopback, address.is_link_local, address.is_unspecified, address.is_multicast)
    tunnel = isinstance(address, ipaddress.IPv6Address) and any(address in network for network in _TUNNELS)
    return not any(local) and address not in _METADATA and not tunnel


def is_any(_: IPAddress) -> bool:
    """For hosts that are named."""
    return True


def _reached(address: IPAddress) -> IPAddress:
    """The IPv4 address that an IPv6 one leads to (RFC 4291, 2.5.5; RFC 6052), else `address`."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address in _NAT64 or (address in _COMPATIBLE and int(address) > 1):
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address


class AllowedHosts:
    """The decision for each URL, and a record of the hosts that were refused. Thread-safe."""

    def __init__(self, named: Iterable[str], record: Path) -> None:
        """Take named hosts, as "https://host:port"; write a line of JSON for each refused to `record`."""
        self._named = [origin(httpx.URL(text)) for text in named]
        self._record = record
        self._refused: set[tuple[str, str]] = set()
        self._lock = threading.Lock()

    def check(self, url: httpx.URL, own: httpx.URL) -> Check:
        """The check of addresses of `url`, when an upstream at `own` leads there. Raises _NotAllowedError."""
        if origin(url) in self._named:
            return is_any
        if origin(url) == origin(own) or _is_upgrade(own, url):
            # Without a certificate, whoever answers for the upstream's name could send us to this machine.
            return is_any if url.scheme == "https" or _is_plain(url.host) else is_not_local
        if url.scheme != "https":
            raise _NotAllowedError("it is another host than the upstream's, and not https")
        return is_public

    def refuse(self, url: httpx.URL, own: httpx.URL, reason: str) -> HostRefusedError:
        """Log and record it once; return what to raise."""
        upstream, host = origin(own), origin(url)
        with self._lock:
            is_new = (upstream, host) not in self._refused and len(self._refused) < REPORTED
            if is_new:
                self._refused.add((upstream, host))
        if is_new:
            hosts = json.dumps([*self._named, host])
            threadlog.error(
                "%s leads to %s, which is not asked: %s.\n"
                "If it should, write below [upstream] in mirror.toml and restart the mirror: hosts = %s",
                *(upstream, host, reason, hosts),
            )
            line = json.dumps({"upstream": upstream, "host": host, "reason": reason, "hosts": hosts})
            with contextlib.suppress(OSError), self._record.open("a") as record:  # the log has it too
                record.write(f"{line}\n")
        return HostRefusedError(
            "the upstream leads to a host that this mirror does not ask (`mirror status` names it)"
        )


class UpstreamTransport(httpx.BaseTransport):
    """Connects to allowed hosts only. A request names its upstream in an extension, else it is `own`.

    An answer that is to be read as a whole takes `longest` seconds at most.
    """

    def __init__(
        self, hosts: AllowedHosts, verify: ssl.SSLContext, own: str = "", longest: float = LONGEST
    ) -> None:
        self._hosts = hosts
        self._longest = longest
        self._verify = verify
        self._own = own
        self._proxies = urllib.request.getproxies()
        # Connections are kept apart by what was checked of them: one that a named host has is not for others.
        self._transports: dict[Check | str, httpx.HTTPTransport] = {}

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        own = parsed(request.extensions.get(OWN, self._own))
        _deadline.time = time.monotonic() + self._longest
        try:
            check = self._hosts.check(request.url, own)
            proxy = self._proxy(request.url)
            if proxy:
                _check_name(request.url.host, check)
            return self._transport(proxy or check).handle_request(request)
        except _NotAllowedError as reason:
            raise self._hosts.refuse(request.url, own, str(reason)) from reason
        finally:
            if not request.extensions.get(WHOLE):
                _deadline.time = math.inf

    def close(self) -> None:
        for transport in self._transports.values():
            transport.close()

    def _proxy(self, url: httpx.URL) -> str | None:
        """The proxy of the environment for `url`. It looks names up itself: nobody can check that here."""
        proxy = self._proxies.get(url.scheme) or self._proxies.get("all")
        if proxy is None or urllib.request.proxy_bypass(url.host):
            return None
        return proxy if "://" in proxy else f"http://{proxy}"

    def _transport(self, through: Check | str) -> httpx.HTTPTransport:
        if through not in self._transports:
            limits = httpx.Limits(keepalive_expiry=60)
            proxy = through if isinstance(through, str) else None
            transport = httpx.HTTPTransport(verify=self._verify, limits=limits, proxy=proxy)
            if not isinstance(through, str):
                transport._pool.close()  # noqa: SLF001 (httpx has no parameter for it)
                transport._pool = httpcore.ConnectionPool(  # noqa: SLF001
                    ssl_context=self._verify,
                    max_connections=limits.max_connections,
                    keepalive_expiry=limits.keepalive_expiry,
                    network_backend=_CheckingBackend(through),
                )
            self._transports[through] = transport
        return self._transports[through]


class _CheckingBackend(httpcore.NetworkBackend):
    """Connects to an address that was checked, not to the name: a second look-up may give another one."""

    def __init__(self, check: Check) -> None:
        self._check = check
        self._backend = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        """Raises _NotAllowedError when `host` has no address that passes."""
        addresses = _resolve(host, port)
        allowed = [text for text in addresses if self._check(ipaddress.ip_address(text))]
        if not allowed:
            raise _NotAllowedError(f"its address is {' and '.join(addresses)}, which is not a public one")
        *others, last = allowed
        for address in others:
            with contextlib.suppress(httpcore.ConnectError, httpcore.ConnectTimeout):
                return _Stream(
                    self._backend.connect_tcp(address, port, timeout, local_address, socket_options)
                )
        return _Stream(self._backend.connect_tcp(last, port, timeout, local_address, socket_options))


class _Deadline(threading.local):
    time: float = math.inf  # time.monotonic()


_deadline = _Deadline()  # of the request that this thread makes


class _Stream(httpcore.NetworkStream):
    """A connection on which no read takes longer than until the deadline of the thread."""

    def __init__(self, stream: httpcore.NetworkStream) -> None:
        self._stream = stream

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        left = _deadline.time - time.monotonic()
        if left <= 0:
            raise httpcore.ReadTimeout("it takes too long")
        content = self._stream.read(max_bytes, min(left, LONGEST if timeout is None else timeout))
        last = content
        # TLS gives one record at a time, which takes less time than its way through httpcore, h11 and httpx.
        with contextlib.suppress(httpcore.ReadTimeout, httpcore.ReadError):  # nothing more is here yet
            while len(last) == RECORD and len(content) < max_bytes:
                last = self._stream.read(max_bytes - len(content), 0)
                content += last
        return content

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, timeout)

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        return _Stream(self._stream.start_tls(ssl_context, server_hostname, timeout))

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


def origin(url: httpx.URL) -> str:
    """Scheme, host, and the port unless it is the scheme's own."""
    return f"{url.scheme}://{url.netloc.decode()}"


@lru_cache(1000)
def parsed(url: str) -> httpx.URL:
    """The URL of an upstream, which each request names: parsing takes as long as all else here."""
    return httpx.URL(url)


def _resolve(host: str, port: int) -> Sequence[str]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, ValueError) as error:
        raise httpcore.ConnectError(str(error)) from error
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


def _is_upgrade(own: httpx.URL, url: httpx.URL) -> bool:
    """Whether `url` is the upstream's host by https instead of http, both at their usual ports."""
    return origin(own) == f"http://{url.netloc.decode()}" and origin(url) == f"https://{url.netloc.decode()}"


def _is_plain(host: str) -> bool:
    """Whether `host` needs no name server."""
    return _literal(host) is not None or _is_localhost(host)


def _is_localhost(host: str) -> bool:
    return f".{host.lower().rstrip('.')}".endswith(".localhost")  # RFC 6761, 6.3


def _literal(host: str) -> IPAddress | None:
    """The address that `host` spells, also as "127.1" or "0x7f000001"."""
    with contextlib.suppress(OSError):
        return ipaddress.IPv4Address(socket.inet_aton(host.rstrip(".")))
    with contextlib.suppress(ValueError):
        return ipaddress.ip_address(host)
    return None


def _check_name(host: str, check: Check) -> None:
    """Raise _NotAllowedError for a name which says without a look-up that its address does not pass."""
    address = _literal(host)
    if check is not is_any and (_is_localhost(host) or (address and not check(address))):
        raise _NotAllowedError("its address is not a public one")
