"""Operations: functions that answer requests, with what checks a request and describes it (OpenAPI)."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, TypeVar, get_type_hints

from flask import Blueprint, Response, request
from pydantic import BaseModel, ValidationError
from werkzeug.exceptions import BadRequest, Forbidden, NotAcceptable, NotFound, UnsupportedMediaType

from sample_app import board
from sample_app.api import authentication, conditional
from sample_app.api.problems import Fault, Invalid
from sample_app.api.schemas import Collection, Resource

View = TypeVar("View", bound=Callable[..., BaseModel | None])
JSON = "application/json"
MERGE_PATCH = "application/merge-patch+json"
MAX_ID = 2**31 - 1
"""The largest number that a column of integers holds."""


@dataclass(frozen=True)
class Operation:
    """One method of one URL. What it takes and answers are the annotations of `view`.

    A parameter `query` or `body` gets that part of the request, checked; others are parts of the path.
    `writes`: needs the token of somebody who may post. `token`: needs a token.
    `match`: needs If-Match. `then`: operations that go on with what this one made.
    """

    method: str
    path: str
    view: Callable[..., BaseModel | None]
    status: int = 200
    token: bool = False
    writes: bool = False
    match: bool = False
    then: tuple[str, ...] = ()
    types: dict[str, Any] = field(default_factory=dict)

    @property
    def result(self) -> type[BaseModel] | None:
        """The model of the answer; nothing for 204."""
        return None if self.types["return"] is type(None) else self.types["return"]

    @property
    def places(self) -> dict[str, type]:
        """The parts of the path that vary."""
        return {name: kind for name, kind in self.types.items() if name not in {"query", "body", "return"}}

    @property
    def media_types(self) -> tuple[str, ...]:
        """What the body may be; a part of a resource is a JSON merge patch (RFC 7396)."""
        return (JSON, MERGE_PATCH) if self.method == "PATCH" else (JSON,)

    def __call__(self, **arguments: Any) -> Response:  # noqa: ANN401
        """Check the request, run the view, and make the response."""
        if not request.accept_mimetypes.quality(JSON) and "Accept" in request.headers:
            raise NotAcceptable(f"Answers are {JSON}.")
        if (self.token or self.writes) and not board.may_post(authentication.needed()) and self.writes:
            raise Forbidden("Confirm your address first: the link is in the mail.")
        for name, kind in self.places.items():
            arguments[name] = _id(arguments[name]) if kind is int else arguments[name]
        if "body" in self.types:
            arguments["body"] = _body(self.types["body"], self.media_types)
        if "query" in self.types:
            arguments["query"] = _query(self.types["query"])
        if self.match:
            conditional.require()
        return _response(self.view(**arguments), self.status)


class Api(Blueprint):
    """One version of the API: its operations, and the URLs for them."""

    def __init__(self, name: str, description: str) -> None:
        super().__init__(name, __name__, url_prefix=f"/{name}")
        self.description = description
        self.operations: list[Operation] = []

    def operation(self, method: str, path: str, **options: Any) -> Callable[[View], View]:  # noqa: ANN401
        """Make a function an operation; `path` is written as in OpenAPI: /links/{link_id}."""

        def add(view: View) -> View:
            made = Operation(method, path, view, types=get_type_hints(view), **options)
            rule = path
            for name in made.places:
                rule = rule.replace(f"{{{name}}}", f"<string(maxlength=40):{name}>")
            self.operations.append(made)
            self.add_url_rule(rule, view.__name__, made.__call__, methods=[method])
            return view

        return add


def _id(text: str) -> int:
    """The id in a path, written in the one way it has."""
    # Not Werkzeug's converter: beyond its `max` a method of another route of that URL gets a 405.
    if not re.fullmatch("[1-9][0-9]{0,9}", text) or int(text) > MAX_ID:
        raise NotFound
    return int(text)


def _body(model: type[BaseModel], media_types: tuple[str, ...]) -> BaseModel:
    if request.mimetype not in media_types or request.content_encoding:
        error = UnsupportedMediaType(f"Send {' or '.join(media_types)}, without a Content-Encoding.")
        raise error
    try:
        # Decoded here, since json.loads would take UTF-16, too.
        data = json.loads(request.get_data().decode(), object_pairs_hook=_object)
    except (ValueError, RecursionError) as error:
        reason = str(error) if isinstance(error, json.JSONDecodeError | _TwiceError) else "it can't be read"
        raise BadRequest(f"The body is no JSON: {reason}.") from None
    return _valid(model, data, lambda place: {"pointer": _pointer(place)})


def _pointer(place: tuple[int | str, ...]) -> str:
    """RFC 6901; cut, since a name in a hostile body may be long."""
    return "#" + "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in place)[:200]


def _query(model: type[BaseModel]) -> BaseModel:
    if twice := [name for name, values in request.args.lists() if len(values) > 1]:
        raise Invalid([Fault(detail="Give it once.", parameter=name) for name in twice])
    return _valid(model, request.args.to_dict(), lambda place: {"parameter": ".".join(map(str, place))})


def _valid(
    model: type[BaseModel], data: object, place: Callable[[tuple[int | str, ...]], dict[str, str]]
) -> BaseModel:
    try:
        return model.model_validate(data)
    except ValidationError as error:
        faults = [Fault(detail=f"{each['msg']}.", **place(each["loc"])) for each in error.errors()]
    raise Invalid(faults)


class _TwiceError(ValueError):
    """A name is twice in an object; parsers differ in which value they take (RFC 8259, section 4)."""


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) < len(pairs):
        msg = "an object has the same name twice"
        raise _TwiceError(msg)
    return found


def _response(shown: BaseModel | None, status: int) -> Response:
    if shown is None:
        return Response(status=status)
    text = shown.model_dump_json()
    response = Response(text, status, mimetype=JSON)
    if isinstance(shown, Resource) and status == HTTPStatus.CREATED:
        response.headers["Location"] = shown.links.self
    if isinstance(shown, Collection):
        for relation, url in shown.links:
            if url and relation != "self":
                response.headers.add("Link", f'<{url}>; rel="{relation}"')
    return conditional.finish(response, text)
