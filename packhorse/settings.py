"""Parse tables into frozen objects; errors name the full path and the nearest known key.

`Url`, `HostAddress` and `AbsolutePath` are the types of values that become part of a configuration file of
nginx, systemd, circus, sudo or tmpfiles: they have no character that one of these interprets.
"""

import difflib
import re
from collections.abc import Mapping
from typing import Annotated, Any, TypeVar, get_args, get_origin
from urllib.parse import urlsplit

import pydantic
from pydantic_core import ErrorDetails

from packhorse.errors import PackhorseError


class Settings(pydantic.BaseModel):
    """A table of a configuration file: frozen, typed, without unknown keys."""

    model_config = pydantic.ConfigDict(defer_build=True, extra="forbid", frozen=True, strict=True)


def matching(pattern: str, description: str, longest: int = 1000) -> pydantic.AfterValidator:
    """Let text through that matches `pattern` (of ASCII) as a whole, and is not longer than `longest`.

    The error reads: "the text" is not `description`, which should name an example.
    """

    def check(text: str) -> str:
        if len(text) > longest or not re.fullmatch(pattern, text, re.ASCII):
            raise ValueError(f'"{text}" is not {description}')
        return text

    return pydantic.AfterValidator(check)


def array(example: str) -> pydantic.BeforeValidator:
    """Make a tuple of an array of TOML; refuse a string, which has items too, with `example`."""

    def freeze(value: object) -> object:
        if isinstance(value, str):
            raise ValueError(f'should be an array, such as ["{example}"]')  # noqa: TRY004 (pydantic wants a ValueError)
        return tuple(value) if isinstance(value, list) else value

    return pydantic.BeforeValidator(freeze)


def check_url(text: str) -> str:
    """`text` if it is the address of a server without a login. Raises ValueError."""
    host = r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9])?)(:[0-9]{1,5})?"
    if not re.fullmatch(rf"https?://{host}(/[A-Za-z0-9._~+,=:@%/-]*)?", text):
        # The text stays out of the message: it may hold a password, which does not belong there at all.
        raise ValueError('needs an address without a user, such as "https://pypi.example.com/company/dev"')
    return text


Url = Annotated[str, pydantic.AfterValidator(check_url)]
HostAddress = Annotated[
    str,
    matching(r"[A-Za-z0-9:_]([A-Za-z0-9:_.-]*[A-Za-z0-9:])?", 'a host, such as "127.0.0.1" or "::1"', 253),
]
AbsolutePath = Annotated[
    str,
    matching(
        r"(/(?!\.\.?(/|$))[A-Za-z0-9_.@+=:,~-]+)+/?",
        'an absolute path of ASCII letters, digits and "_.@+=:,~-" without "..", such as "/srv/uploads"',
    ),
]


def is_cleartext(url: str) -> bool:
    """Whether others can read what is sent to `url`: it is plain HTTP, and not to this machine."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    return parts.scheme == "http" and not re.fullmatch(r"(.+\.)?localhost|127\.[0-9.]+|::1", host)


T = TypeVar("T", bound=Settings)


def parse(model: type[T], data: Mapping[str, Any], where: str) -> T:
    """Parse `data` as a frozen `model`; `where` (a path, perhaps with a table's name) starts every message.

    Raises PackhorseError that names every wrong key: `release.toml: targets.prodution: unknown
    key, did you mean "production"?`
    """
    try:
        return model.model_validate(data)
    except pydantic.ValidationError as error:
        problems = [_sentence(model, problem, where) for problem in error.errors()]
        raise PackhorseError("\n".join(problems), f"Correct {where} and run the command again.") from None


def _sentence(model: type[Settings], problem: ErrorDetails, where: str) -> str:
    location = [str(part) for part in problem["loc"] if part != "[key]"]
    key = ".".join(location)
    if problem["type"] != "extra_forbidden":
        text = problem["msg"].removeprefix("Value error, ")  # pydantic's mark for our own validators
        return f"{where}: {key + ': ' if key else ''}{text[:1].lower()}{text[1:]}"
    near = difflib.get_close_matches(location[-1], _known_keys(model, location[:-1]), 1)
    return f"{where}: {key}: unknown key" + (f', did you mean "{near[0]}"?' if near else "")


def _known_keys(annotation: object, path: list[str]) -> list[str]:
    """The keys that the table at `path` below a value of type `annotation` may have."""
    if isinstance(annotation, type) and issubclass(annotation, Settings):
        if not path:
            return [field.alias or name for name, field in annotation.model_fields.items()]
        field = annotation.model_fields.get(path[0])
        return _known_keys(field.annotation, path[1:]) if field else []
    # Below a mapping or a list, one part of the path is a name that the user chose, or a position.
    below = path[1:] if get_origin(annotation) in {dict, Mapping, list, tuple} else path
    return [key for part in get_args(annotation) for key in _known_keys(part, below)]
