"""GET /_/oidc/audience and POST /_/oidc/mint-token: trusted publishing as the public index has it.

uv publish and the upload action of the Python Packaging Authority find both at the host of the index. An ID
token is verified before devpi's write transaction begins, since its issuer may have to be asked for keys; a
replica passes the request on to its primary. Nothing of an ID token is stored or logged but the claims that
say which job it was.
"""

import json
import re
import sqlite3
import time
from collections.abc import Callable, Sequence
from typing import Any

from devpi_server.log import threadlog
from pyramid.httpexceptions import HTTPNotFound
from pyramid.response import Response

from mirror.plugin.audit import tween
from mirror.plugin.publishing import id_tokens, upload_tokens
from mirror.plugin.publishing.id_tokens import RefusedError
from mirror.plugin.publishing.issuer_keys import IssuerKeys, IssuerUnavailableError
from mirror.plugin.publishing.trusted_publishers import PUBLISHERS, Claims, TrustedPublisher
from mirror.plugin.publishing.used_tokens import UsedTokens

AUDIENCE, MINT = "/_/oidc/audience", "/_/oidc/mint-token"
LARGEST = 2 * id_tokens.LARGEST  # bytes of a request
_VERIFIER = "packhorse.verifier"  # in pyramid's registry
_JOB = "packhorse.job"  # in the environ: the publishers and the claims of a verified token
# Claims of which an answer and the audit log may speak, as GitHub and GitLab have them.
_SHOWN = ("repository", "project_path", "job_workflow_ref", "environment", "ref", "sub")
_RUN = ("run_id", "pipeline_id", "job_id", "jti")


class Verifier:
    """Verifies ID tokens for the view, outside of devpi's transaction."""

    def __init__(self, xom: Any, keys: IssuerKeys, used: UsedTokens) -> None:
        self._xom = xom
        self._keys = keys
        self._used = used

    def refusal(self, request: Any) -> Any:
        """The answer to a request that gets no token; None when the view is to answer.

        However many an address sent in vain, it may be that of a replica, which all its clients have: a
        signature cannot be guessed, and takes less than a millisecond to check.
        """
        try:
            request.environ[_JOB] = self._job(_token(request))
        except RefusedError as error:
            tween.denied(request, "login", "publisher", detail=str(error))
            return _error(422, error.code, str(error))
        except IssuerUnavailableError as error:
            threadlog.error("an ID token could not be verified: %s", error)
            request.environ[tween.FAILURE] = f"The keys are missing: {error}"
            return _error(503, "issuer-unavailable", f"The keys are missing: {error}.", error.seconds)
        except (sqlite3.Error, OSError) as error:
            threadlog.error("which ID tokens were used cannot be noted: %s", error)
            request.environ[tween.FAILURE] = "that the ID token was used cannot be noted"
            return _error(503, "unavailable", "This mirror cannot note that the token was used.", 10)
        return None

    def _job(self, token: str) -> tuple[Sequence[TrustedPublisher], Claims]:
        with self._xom.keyfs.read_transaction():
            found = PUBLISHERS.read(self._xom.keyfs)
        if not found:
            raise RefusedError("not-enabled", "This mirror has no publishers: [[publishers]] of mirror.toml.")
        claims = id_tokens.verify(token, found, self._keys.find)
        publishers = found.of(claims)
        if not publishers:
            raise RefusedError(
                "invalid-publisher",
                f"The token is valid, but no publisher is declared for it: {shown(claims)}.",
            )
        if len({publisher.owner for publisher in publishers}) > 1:
            raise RefusedError(
                "invalid-publisher", "The publishers of this job have indexes of several users."
            )
        until = claims["exp"] + id_tokens.LEEWAY + 1
        if not self._used.add(claims["iss"], claims["jti"], until, time.time()):
            raise RefusedError(
                "invalid-reuse-token", "This ID token was used before; each is good for one exchange."
            )
        return publishers, claims


def install(pyramid_config: Any, verifier: Verifier | None) -> None:
    """Add both addresses. A replica has no verifier: devpi lets the view's primary answer."""
    if verifier is not None:
        pyramid_config.registry[_VERIFIER] = verifier
        pyramid_config.add_tween(
            f"{__name__}.verifying", under=(tween.RECORDING, tween.LOGGING), over=tween.TRANSACTION
        )
    pyramid_config.add_route("packhorse audience", AUDIENCE)
    pyramid_config.add_view(audience, route_name="packhorse audience", request_method="GET")
    pyramid_config.add_route("packhorse mint", MINT)
    pyramid_config.add_view(mint, route_name="packhorse mint", request_method="POST")


def verifying(handler: Callable[[Any], Any], registry: Any) -> Callable[[Any], Any]:
    """Tween: let the view see requests with a token that holds, and answer the others."""
    verifier: Verifier = registry[_VERIFIER]

    def verify(request: Any) -> Any:
        if request.path_info == MINT and request.method == "POST":
            return verifier.refusal(request) or handler(request)
        return handler(request)

    return verify


def audience(request: Any) -> Any:
    """Answer with the audience that ID tokens must have."""
    found = PUBLISHERS.read(request.registry["xom"].keyfs)
    if not found:
        return _error(404, "not-enabled", "This mirror has no publishers.")
    return _json(200, {"audience": found.audience})


def mint(request: Any) -> Any:
    """An upload token for the job whose ID token the tween has verified. Raises HTTPNotFound."""
    if _JOB not in request.environ:  # pyramid's route matches a newline behind the address too
        raise HTTPNotFound
    publishers, claims = request.environ[_JOB]
    made = upload_tokens.mint(request, publishers, run_of(claims))
    request.environ[tween.DETAILS] = {
        "user": made.user,
        "token": made.id,
        "issuer": claims["iss"],
        "repository": claims.get("repository") or claims.get("project_path"),
        "workflow": claims.get("job_workflow_ref"),
        "ref": claims.get("ref"),
        "run": run_of(claims),
    }
    return _json(200, {"success": True, "token": made.token, "expires": made.expires})


def run_of(claims: Claims) -> str:
    """The run of a job, in characters that a token can carry."""
    found = next(str(claims[name]) for name in _RUN if claims.get(name))
    return re.sub(r"[^A-Za-z0-9._:/-]", "?", found)[:64]


def shown(claims: Claims) -> str:
    """The claims that a publisher may be declared by; they are of the client itself."""
    return ", ".join(f"{name} {json.dumps(claims[name])[:200]}" for name in _SHOWN if claims.get(name))


def _token(request: Any) -> str:
    """The ID token in the body. Raises RefusedError."""
    text = 'The body is no JSON object with an ID token in "token".'
    if (request.content_length or 0) > LARGEST:
        raise RefusedError("invalid-payload", f"The body has more than {LARGEST} bytes.")
    try:
        found = json.loads(request.body)
    except (ValueError, RecursionError, OSError):
        raise RefusedError("invalid-payload", text) from None
    token = found.get("token") if isinstance(found, dict) else None
    if not isinstance(token, str) or not token.isascii():
        raise RefusedError("invalid-payload", text)
    return token


def _error(status: int, code: str, text: str, seconds: float = 0) -> Any:
    body = {"message": "Token request failed", "errors": [{"code": code, "description": text}]}
    answer = _json(status, body)
    if seconds:
        answer.headers["Retry-After"] = str(int(seconds) + 1)
    return answer


def _json(status: int, body: Any) -> Any:
    answer = Response(json.dumps(body), status=status, content_type="application/json", charset="utf-8")
    answer.headers["Cache-Control"] = "no-store"
    return answer
