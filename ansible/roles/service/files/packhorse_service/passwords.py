"""Make passwords, and what servers keep of them: SQL and its logs never have the password itself."""

import base64
import hashlib
import hmac
import secrets

ITERATIONS = 4096  # PostgreSQL's own (scram_iterations)


def new() -> str:
    """256 bits as letters, digits, "-" and "_", which no URL has to escape."""
    return secrets.token_urlsafe(32)


def scram_verifier(password: str, salt: bytes = b"", iterations: int = ITERATIONS) -> str:
    """The verifier that PostgreSQL stores of a password (RFC 5803), and takes in its place."""
    salt = salt or secrets.token_bytes(16)
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, iterations)
    stored = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    server = hmac.digest(salted, b"Server Key", "sha256")
    encoded = [base64.b64encode(part).decode() for part in (salt, stored, server)]
    return f"SCRAM-SHA-256${iterations}:{encoded[0]}${encoded[1]}:{encoded[2]}"


def is_scram_verifier(password: str, verifier: str) -> bool:
    """Whether PostgreSQL has stored `verifier` for `password`."""
    try:
        scheme, settings, _keys = verifier.split("$")
        iterations, salt = settings.split(":")
        there = scram_verifier(password, base64.b64decode(salt), int(iterations))
    except ValueError:
        return False
    return scheme == "SCRAM-SHA-256" and hmac.compare_digest(there, verifier)


def native_hash(password: str) -> str:
    """The hash that MariaDB stores of a password (mysql_native_password), and takes in its place."""
    inner = hashlib.sha1(password.encode(), usedforsecurity=False).digest()
    return f"*{hashlib.sha1(inner, usedforsecurity=False).hexdigest().upper()}"


def redis_hash(password: str) -> str:
    """The hash that Redis stores of a password: ACL SETUSER takes it after a "#"."""
    return hashlib.sha256(password.encode()).hexdigest()
