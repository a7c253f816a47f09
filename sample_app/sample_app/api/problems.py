"""Errors of the API as problem+json (RFC 9457)."""

import json
from http import HTTPStatus

from flask import Response, request
from pydantic import BaseModel, Field
from sqlalchemy.orm.exc import StaleDataError
from werkzeug.exceptions import HTTPException, PreconditionFailed, UnprocessableEntity

from sample_app.board import BoardError
from sample_app.extensions import db

MEDIA_TYPE = "application/problem+json"
MOST_FAULTS = 20
"""Faults in an answer: a body of a megabyte can have 100,000."""


class Fault(BaseModel):
    """What is wrong with one value: a part of the body (a JSON pointer) or a parameter of the query."""

    detail: str
    pointer: str | None = Field(default=None, examples=["#/title"])
    parameter: str | None = Field(default=None, examples=["page"])


class Problem(BaseModel):
    """An error. `errors`: one for each value at fault."""

    type: str = "about:blank"
    title: str = Field(examples=["Not Found"])
    status: int = Field(examples=[404])
    detail: str
    errors: list[Fault] | None = None


class Invalid(UnprocessableEntity):
    """422, with the values at fault."""

    def __init__(self, faults: list[Fault]) -> None:
        super().__init__("Some values are not valid; `errors` names them.")
        self.faults = faults[:MOST_FAULTS]


def concerned() -> bool:
    """Whether this request is for the API, even if no route was found for it."""
    return request.path == "/api" or request.path.startswith("/api/")


def answer(error: HTTPException) -> Response:
    """Show `error` with the headers that belong to it, such as Allow."""
    status = HTTPStatus(error.code or 500)
    problem = Problem(
        title=status.phrase,
        status=status,
        detail=error.description or status.description,
        errors=error.faults if isinstance(error, Invalid) else None,
    )
    # ASCII, since a name in a hostile body may hold surrogates, which UTF-8 can't express.
    response = Response(json.dumps(problem.model_dump(exclude_none=True)), status, mimetype=MEDIA_TYPE)
    for name, value in error.get_headers():
        if name.lower() != "content-type":
            response.headers.add(name, value)
    response.headers["Cache-Control"] = "no-store"
    return response


def refused(error: BoardError) -> Response:
    """422 for what the board doesn't store."""
    return answer(Invalid([Fault(detail=text, pointer=f"#/{name}") for name, text in error.fields.items()]))


def stale(_: StaleDataError) -> Response:
    """412 for a change that lost the race against another one."""
    db.session.rollback()
    return answer(PreconditionFailed("Somebody else has changed this meanwhile: get it again."))
