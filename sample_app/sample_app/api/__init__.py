"""REST API: versions side by side at /api/v1/ and /api/v2/, each with an OpenAPI document of its own.

Requests speak for whom their token names, never for a session: without cookies there is nothing that
another site could make a browser send, so these URLs need no CSRF token, and CORS stays closed.
"""

from flask import Blueprint, Response
from sqlalchemy.orm.exc import StaleDataError

from sample_app.api import authentication, problems, v1, v2
from sample_app.board import BoardError
from sample_app.extensions import csrf

blueprint = Blueprint("api", __name__, url_prefix="/api")
for version in (v1.api, v2.api):
    csrf.exempt(version)
    blueprint.register_blueprint(version)
blueprint.before_request(authentication.limit)
blueprint.before_request(authentication.check)
blueprint.register_error_handler(BoardError, problems.refused)
blueprint.register_error_handler(StaleDataError, problems.stale)


@blueprint.after_request
def revalidate(response: Response) -> Response:
    """Let caches keep answers, but ask each time whether they still hold."""
    response.headers.setdefault("Cache-Control", "no-cache")
    return response
