"""Trusted publishing in tests: a publisher of mirror.toml, requests for upload tokens, uploads with them."""

import json
from typing import Any

import requests

from tests.support.dists import Dist
from tests.support.issuer import Issuer

AUDIENCE = "packages.example.com"
OUTSIDE = f'outside_url = "https://{AUDIENCE}"\nrequest_timeout = 2\n'
_JOB = {
    "index": "company/dev",
    "projects": ["acme-*", "shop"],
    "repository": "acme/web",
    "workflow": "release.yml",
}
_JSON = {"Accept": "application/json"}


def publisher(issuer: Issuer, **more: object) -> str:
    """A table of mirror.toml: releases of acme/web, with `more`; without what is None."""
    found = {**_JOB, "issuer": issuer.url, **more}
    lines = [f"{name} = {_toml(value)}" for name, value in found.items() if value is not None]
    return "\n".join(["[[publishers]]", *lines, ""])


def _toml(value: object) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{name} = {json.dumps(each)}" for name, each in value.items()) + "}"
    return json.dumps(value)


def exchange(url: str, token: object, *, address: str | None = None) -> Any:  # noqa: ANN401 (requests' own)
    """The answer to a request for an upload token; from `address`, as a web server on this machine says."""
    headers = {"X-Real-IP": address} if address else {}
    return requests.post(f"{url}/_/oidc/mint-token", json={"token": token}, headers=headers, timeout=30)


def upload_token(url: str, issuer: Issuer, kid: str = "rsa", **claims: object) -> str:
    """What a job gets for its ID token."""
    answer = exchange(url, issuer.token(AUDIENCE, kid, **claims))
    assert answer.status_code == 200, answer.text
    return str(answer.json()["token"])


def seen(answer: Any) -> tuple[int, str]:  # noqa: ANN401 (requests' own)
    """What the client saw of a refusal: the status, and the description of the error."""
    (error,) = answer.json()["errors"]
    return answer.status_code, error["description"]


def upload(url: str, token: str, dist: Dist, index: str = "company/dev", **more: str) -> Any:  # noqa: ANN401
    """The answer to an upload with a token, as twine does it."""
    name, version = dist.filename.split("-")[:2]
    form = {":action": "file_upload", "metadata_version": "2.1", "name": name, "version": version, **more}
    files = {"content": (dist.filename, dist.content)}
    login = ("__token__", token)
    return requests.post(f"{url}/{index}/", data=form, files=files, auth=login, timeout=30, headers=_JSON)
