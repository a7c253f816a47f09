"""Security of requests and answers: trusted proxies, redirect to https, HSTS, CSP and other headers.

Our own, since flask-talisman has had no release since 2023, and this is all of it that a page needs.
"""

from urllib.parse import quote, urlsplit

from flask import Flask, Response, abort, current_app, redirect, request, session
from werkzeug import Response as BaseResponse
from werkzeug.middleware.proxy_fix import ProxyFix

from sample_app.api import problems
from sample_app.config import Settings

PLAIN = {"/healthz", "/readyz", "/metrics"}
"""Paths that supervisors and Prometheus ask without TLS, from inside."""
YEAR = 365 * 24 * 3600


def register(app: Flask, settings: Settings) -> None:
    """Trust the proxies in front, insist on https, and add headers to every answer."""
    if settings.proxies:
        # Not X-Forwarded-Host: Packhorse's nginx hands on Host, and what clients add is not to be believed.
        app.wsgi_app = ProxyFix(  # type: ignore[method-assign]
            app.wsgi_app, x_for=settings.proxies, x_proto=settings.proxies, x_host=0
        )
    headers = fixed_headers(settings)
    if settings.https:
        app.before_request(insist_on_https)

    @app.after_request
    def add_headers(response: Response) -> Response:
        for name, value in headers.items():
            response.headers.setdefault(name, value)
        if response.mimetype == "text/html" and "Cache-Control" not in response.headers:
            # Pages of somebody who is signed in are not for shared caches, nor for "back" after signing out.
            response.headers["Cache-Control"] = "no-store" if session else "no-cache"
        return response


def fixed_headers(settings: Settings) -> dict[str, str]:
    """The headers that are the same for every answer."""
    sources = "'self'"
    if settings.static_url and (parts := urlsplit(settings.static_url)).netloc:
        # With the path: in a bucket's service others have folders under the same name.
        sources += f" {parts.scheme}://{parts.netloc}{quote(parts.path.rstrip('/'), safe='/%')}/"
    policy = {
        "default-src": "'none'",
        "script-src": sources,
        "style-src": sources,
        "img-src": sources,
        "connect-src": "'self'",
        "form-action": "'self'",
        "base-uri": "'none'",
        "frame-ancestors": "'none'",
    }
    headers = {
        "Content-Security-Policy": "; ".join(f"{name} {value}" for name, value in policy.items()),
        "Cross-Origin-Opener-Policy": "same-origin",
        "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
        "Referrer-Policy": "strict-origin-when-cross-origin",
        "X-Content-Type-Options": "nosniff",
    }
    if settings.https:
        headers["Strict-Transport-Security"] = f"max-age={YEAR}"
    return headers


def insist_on_https() -> BaseResponse | None:
    """Send whoever came by http to the same path of PUBLIC_URL's host; 308 keeps the method.

    Anybody can write another name into Host. A program has sent its token by then: it must hear of that.
    """
    if request.is_secure or request.path in PLAIN:
        return None
    if problems.concerned():
        abort(403, "Use https. If you sent a token, others may have read it: revoke it.")
    host = urlsplit(current_app.config["SETTINGS"].public_url).netloc
    return redirect(urlsplit(request.url)._replace(scheme="https", netloc=host).geturl(), 308)
