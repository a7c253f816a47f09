"""Standard Webhooks (standardwebhooks.com): the key in a secret, and the headers that sign a message."""

import base64
import binascii
import hashlib
import hmac

_SHORTEST_KEY = 24  # bytes, as the specification asks for
_PREFIX = "whsec_"
# For people, about a secret without a key.
LACKS_KEY = f"is missing, or shorter than {_SHORTEST_KEY} bytes."
HOW_TO_MAKE = f'Make one: echo "{_PREFIX}$(openssl rand -base64 32)"'


def read_key(secret: str) -> bytes | None:
    """The key: base64 after `whsec_`, any other text as it is; None when it is too short, or no base64."""
    text = secret.strip()
    try:
        key = (
            base64.b64decode(text.removeprefix(_PREFIX), validate=True)
            if text.startswith(_PREFIX)
            else text.encode("utf-8", "surrogateescape")
        )
    except (binascii.Error, ValueError):
        return None
    return key if len(key) >= _SHORTEST_KEY else None


def headers(identity: str, timestamp: int, body: bytes, key: bytes) -> dict[str, str]:
    """The headers of a message in JSON, which prove who sends it, and when (seconds since the epoch)."""
    signed = f"{identity}.{timestamp}.".encode() + body
    signature = base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()
    return {
        "Content-Type": "application/json",
        "User-Agent": "packhorse",
        "webhook-id": identity,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": f"v1,{signature}",
    }
