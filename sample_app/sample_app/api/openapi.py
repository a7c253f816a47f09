"""OpenAPI 3.1 document of a version, made from its operations and their models."""

import inspect
import json
from http import HTTPStatus
from typing import Any

from flask import Response, current_app, url_for
from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from sample_app.api import conditional, problems
from sample_app.api.operations import JSON, MAX_ID, Api, Operation
from sample_app.api.schemas import Collection

HEADERS = {
    "ETag": "Of this representation, for If-None-Match and If-Match.",
    "Link": "The other parts of the list (RFC 8288).",
    "Location": "Where the new resource is.",
    "Retry-After": "Seconds to wait.",
    "WWW-Authenticate": "The kind of token that is wanted.",
}
ERRORS = {
    400: "The body is no JSON.",
    401: "A token is needed, or the one that was sent is unknown.",
    403: "The user whose token this is may not do that.",
    404: "There is no such resource.",
    406: "Accept doesn't allow JSON.",
    412: "The resource is not what it was when its ETag was sent.",
    413: "The body is too large.",
    415: "The body is of another media type.",
    422: "Values are not valid; `errors` names them.",
    428: "If-Match is missing.",
    429: "Too many requests.",
}
ERROR_HEADERS = {401: ["WWW-Authenticate"], 429: ["Retry-After"]}

Json = dict[str, Any]
Models = dict[tuple[type[BaseModel], JsonSchemaMode], Json]


def make(api: Api) -> Json:
    """The document of `api`."""
    wanted: list[tuple[type[BaseModel], JsonSchemaMode]] = [(problems.Problem, "serialization")]
    for each in api.operations:
        wanted += [(each.types["body"], "validation")] if "body" in each.types else []
        wanted += [(each.result, "serialization")] if each.result else []
    found, schemas = models_json_schema(wanted, ref_template="#/components/schemas/{model}")
    models: Models = dict(found)  # type: ignore[arg-type]
    paths: dict[str, Json] = {}
    for each in api.operations:
        paths.setdefault(each.path, {})[each.method.lower()] = _operation(each, api, models)
    problem = models[problems.Problem, "serialization"]
    return {
        "openapi": "3.1.1",
        "info": {
            "title": f"{current_app.config['SETTINGS'].site_name} API",
            "version": f"{api.name.removeprefix('v')}.0.0",
            "description": api.description,
        },
        "servers": [{"url": url_for(".index").rstrip("/")}],
        "paths": paths,
        "components": {
            "schemas": schemas["$defs"],
            "responses": {str(status): _error(status, problem) for status in ERRORS},
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def serve(api: Api) -> Response:
    """The document of `api`, or 304."""
    text = json.dumps(make(api))
    return conditional.finish(Response(text, mimetype=JSON), text)


def _operation(each: Operation, api: Api, models: Models) -> Json:
    summary, *more = inspect.cleandoc(each.view.__doc__ or "").split("\n\n", 1)
    made: Json = {
        "operationId": each.view.__name__,
        "summary": summary,
        "description": "".join(more),
        "tags": [each.path.split("/")[1] or "index"],
        "parameters": _parameters(each),
        "responses": {str(each.status): _success(each, api, models)}
        | {str(status): {"$ref": f"#/components/responses/{status}"} for status in _errors(each)},
        # A token is looked at wherever it is sent, and wanted where it says so.
        "security": [{"token": []}] if each.token or each.writes else [{}, {"token": []}],
    }
    if each.method == "GET":
        made["responses"]["304"] = {"description": "If-None-Match names what is still there."}
    if body := each.types.get("body"):
        schema = {"schema": models[body, "validation"]}
        made["requestBody"] = {"required": True, "content": dict.fromkeys(each.media_types, schema)}
    return {key: value for key, value in made.items() if value}


def _parameters(each: Operation) -> list[Json]:
    integer = {"type": "integer", "minimum": 1, "maximum": MAX_ID}
    text = {"type": "string", "minLength": 1, "maxLength": 40}
    found: list[Json] = [
        {"name": name, "in": "path", "required": True, "schema": integer if kind is int else text}
        for name, kind in each.places.items()
    ]
    if query := each.types.get("query"):
        found += [
            {"name": name, "in": "query", "schema": schema}
            for name, schema in query.model_json_schema()["properties"].items()
        ]
    if each.match:
        found.append({"name": "If-Match", "in": "header", "required": True, "schema": {"type": "string"}})
    return found


def _success(each: Operation, api: Api, models: Models) -> Json:
    made: Json = {"description": HTTPStatus(each.status).phrase}
    if each.result is None:
        return made
    made["content"] = {JSON: {"schema": models[each.result, "serialization"]}}
    made["headers"] = {"ETag": _header("ETag")}
    if each.status == HTTPStatus.CREATED:
        made["headers"]["Location"] = _header("Location")
    if issubclass(each.result, Collection):
        made["headers"]["Link"] = _header("Link")
    if each.then:
        made["links"] = {
            other.view.__name__: _link(other) for other in api.operations if other.view.__name__ in each.then
        }
    return made


def _link(other: Operation) -> Json:
    """How `other` goes on with what was made: its id is in the body, and its state in the header."""
    parameters = {f"path.{name}": "$response.body#/id" for name in other.places}
    if other.match:
        parameters["header.If-Match"] = "$response.header.ETag"
    return {"operationId": other.view.__name__, "parameters": parameters}


def _errors(each: Operation) -> list[int]:
    body, query = "body" in each.types, "query" in each.types
    wanted = {
        400: body,
        403: each.writes,
        404: each.places,
        412: each.match,
        413: body,
        415: body,
        422: body or query,
        428: each.match,
    }
    return [status for status in ERRORS if wanted.get(status, True)]


def _error(status: int, problem: Json) -> Json:
    made: Json = {
        "description": ERRORS[status],
        "content": {problems.MEDIA_TYPE: {"schema": problem}},
    }
    if headers := ERROR_HEADERS.get(status):
        made["headers"] = {name: _header(name) for name in headers}
    return made


def _header(name: str) -> Json:
    return {"description": HEADERS[name], "required": True, "schema": {"type": "string"}}
