"""Access to /+metrics: for this machine, networks that mirror.toml names, and holders of a token."""

import hmac
import ipaddress
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mirror import monitoring_secrets


class MetricsReaders:
    """The rule. A web server on this machine names its client in X-Real-IP (connections/channel.py)."""

    def __init__(self, networks: Sequence[str], token_file: Path | None) -> None:
        """Raises SecretError."""
        self._networks = [ipaddress.ip_network(text) for text in networks]
        self._token = monitoring_secrets.metrics_token(token_file) if token_file else None

    def may_read(self, environ: Mapping[str, Any], *, is_local: bool) -> bool:
        """Whether this request may read; `is_local` when it is of this machine, and passed on by nobody."""
        kind, _, sent = environ.get("HTTP_AUTHORIZATION", "").partition(" ")
        if self._token and kind.lower() == "bearer":
            return hmac.compare_digest(sent.strip().encode(), self._token)
        stated = environ.get("HTTP_X_REAL_IP")
        if stated is None and is_local:
            return True
        try:
            address = ipaddress.ip_address((stated or environ["REMOTE_ADDR"]).partition("%")[0])
        except ValueError:
            return False
        mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
        return any((mapped or address) in network for network in self._networks)
