"""An issuer of ID tokens on loopback: discovery, keys, tokens as a CI gives them to its jobs, and faults."""

import json
import ssl
import threading
import time
import uuid
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

RSA_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
EC_KEY = ec.generate_private_key(ec.SECP256R1())
DISCOVERY, KEYS, TOKEN = "/.well-known/openid-configuration", "/keys", "/token"
REQUEST_TOKEN = "of this job"  # what a job shows to get an ID token


def jwk(key: Any, kid: str, **more: str) -> dict[str, Any]:  # noqa: ANN401 (any kind)
    """The public key as a JWK."""
    kind = jwt.algorithms.RSAAlgorithm if isinstance(key, rsa.RSAPrivateKey) else jwt.algorithms.ECAlgorithm
    return {**kind.to_jwk(key.public_key(), as_dict=True), "kid": kid, "use": "sig", **more}


def public_pem(key: Any) -> bytes:  # noqa: ANN401 (any kind)
    """The public key as everybody may have it."""
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return bytes(key.public_key().public_bytes(serialization.Encoding.PEM, form))


class Issuer:
    """A server with two keys, "rsa" and "ec". What it was asked is in `asked`, by path."""

    def __init__(self, certificate: Path | None = None, key: Path | None = None) -> None:
        self.keys = [jwk(RSA_KEY, "rsa"), jwk(EC_KEY, "ec")]
        self.asked: Counter[str] = Counter()
        self.broken: dict[str, bytes | int] = {}  # path -> another body, or a status
        self.silent = threading.Event()  # set: connections are taken, and nothing is answered
        self.job: dict[str, Any] = {}  # claims of the tokens that it gives to jobs
        self.closing = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        if certificate and key:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate, key)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        scheme = "https" if certificate else "http"
        self.url = f"{scheme}://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()

    def claims(self, audience: str, **more: Any) -> dict[str, Any]:  # noqa: ANN401 (JSON)
        """Those of a job of acme/web, as GitHub has them; with `more`, without those that are None."""
        repository = more.get("repository", "acme/web")
        ref = more.get("ref", "refs/tags/v1.0")
        now = int(time.time())
        found = {
            "iss": self.url,
            "aud": audience,
            "sub": f"repo:{repository}:ref:{ref}",
            "iat": now,
            "nbf": now,
            "exp": now + 300,
            "jti": str(uuid.uuid4()),
            "repository": repository,
            "ref": ref,
            "sha": "0" * 40,
            "job_workflow_ref": f"{repository}/.github/workflows/release.yml@{ref}",
            "run_id": "4711",
            **more,
        }
        return {name: value for name, value in found.items() if value is not None}

    def token(self, audience: str, kid: str = "rsa", **more: Any) -> str:  # noqa: ANN401 (JSON)
        """A token that it has signed."""
        key, algorithm = (EC_KEY, "ES256") if kid == "ec" else (RSA_KEY, "RS256")
        return jwt.encode(self.claims(audience, **more), key, algorithm, headers={"kid": kid})

    def variables(self) -> Mapping[str, str]:
        """The environment in which a job of GitHub's finds this issuer."""
        return {
            "GITHUB_ACTIONS": "true",
            "ACTIONS_ID_TOKEN_REQUEST_URL": f"{self.url}{TOKEN}?api-version=2",
            "ACTIONS_ID_TOKEN_REQUEST_TOKEN": REQUEST_TOKEN,
        }

    def _answer(self, path: str, query: Mapping[str, list[str]], authorization: str) -> tuple[int, bytes]:
        found = self.broken.get(path)
        if isinstance(found, bytes):
            return 200, found
        if found:
            return found, b"{}"
        if path == TOKEN and authorization.lower() == f"bearer {REQUEST_TOKEN}":
            return 200, json.dumps({"value": self.token(query["audience"][0], **self.job)}).encode()
        known = {
            DISCOVERY: {"issuer": self.url, "jwks_uri": f"{self.url}{KEYS}"},
            KEYS: {"keys": self.keys},
        }
        return (200, json.dumps(known[path]).encode()) if path in known else (404, b"{}")


def _handler(issuer: Issuer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            issuer.asked[parts.path] += 1
            if issuer.silent.is_set():
                issuer.closing.wait(60)
                return
            authorization = self.headers.get("Authorization", "")
            status, body = issuer._answer(parts.path, parse_qs(parts.query), authorization)
            with suppress(OSError):  # who asks does not read more than its limit
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    return Handler
