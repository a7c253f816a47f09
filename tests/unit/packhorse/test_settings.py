"""packhorse.settings: mistakes in a configuration file are named by path and nearest key."""

from typing import Annotated

import pydantic
import pytest

from packhorse import settings
from packhorse.errors import PackhorseError
from packhorse.settings import AbsolutePath, HostAddress, Settings, Url


def _even(value: int) -> int:
    if value % 2:
        raise ValueError("Should be even")
    return value


class Target(Settings):
    """A table below a name that the user chose."""

    hosts: Annotated[tuple[str, ...], pydantic.Strict(strict=False)] = ()
    keep: Annotated[int, pydantic.AfterValidator(_even)] = 2


class Example(Settings):
    """A small configuration with every shape that ours use."""

    name: Annotated[str, settings.matching("[a-z-]+", 'a name such as "my-shop"', 40)] = "app"
    health: Target | None = None
    targets: dict[str, Target] = pydantic.Field(default_factory=dict)
    steps: list[Target] = pydantic.Field(default_factory=list)


def _message(data: dict[str, object]) -> str:
    with pytest.raises(PackhorseError) as caught:
        settings.parse(Example, data, "release.toml")
    return caught.value.message


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        ({"nmae": "x"}, 'release.toml: nmae: unknown key, did you mean "name"?'),
        ({"zzz": "x"}, "release.toml: zzz: unknown key"),
        (
            {"targets": {"production": {"host": []}}},
            'release.toml: targets.production.host: unknown key, did you mean "hosts"?',
        ),
        ({"health": {"kep": 1}}, 'release.toml: health.kep: unknown key, did you mean "keep"?'),
        ({"steps": [{"kep": 1}]}, 'release.toml: steps.0.kep: unknown key, did you mean "keep"?'),
    ],
)
def test_an_unknown_key_is_named_with_its_path_and_the_nearest_known_one(
    data: dict[str, object], sentence: str
) -> None:
    """A typing error must not be a setting that silently does nothing."""
    assert _message(data) == sentence


def test_a_wrong_type_is_named_with_its_path_and_nothing_is_converted() -> None:
    """`keep = "5"` means that somebody misunderstood something."""
    assert _message({"targets": {"a": {"keep": "5"}}}) == (
        "release.toml: targets.a.keep: input should be a valid integer"
    )


def test_the_words_of_a_validator_stand_alone() -> None:
    """pydantic's "Value error, " tells a user nothing."""
    assert _message({"health": {"keep": 3}}) == "release.toml: health.keep: should be even"


def test_every_mistake_is_named_at_once() -> None:
    """One run per mistake would be tedious."""
    assert len(_message({"nmae": 1, "name": 1}).splitlines()) == 2


def test_the_result_cannot_be_changed() -> None:
    """Configuration is read once; nobody may bend it later."""
    example = settings.parse(Example, {"name": "x"}, "release.toml")
    with pytest.raises(pydantic.ValidationError, match="frozen"):
        example.name = "y"


@pytest.mark.parametrize("name", ["My Shop", "shop\n", "s" * 41])
def test_text_of_another_form_is_answered_with_an_example(name: str) -> None:
    """A regular expression in an error is a riddle."""
    assert _message({"name": name}) == f'release.toml: name: "{name}" is not a name such as "my-shop"'


class Written(Settings):
    """A value of each kind that becomes a part of another program's configuration."""

    url: Url = "https://pypi.example.com"
    host: HostAddress = "127.0.0.1"
    path: AbsolutePath = "/srv"


GOOD = {"url": "https://pypi.example.com/a", "host": "pypi.example.com", "path": "/srv/a"}
HOSTILE = [
    "\n",
    "\r\nX: y",
    '"',
    "'",
    ";",
    "{",
    "}",
    "$a",
    "\\",
    " ",
    "\t",
    "\0",
    "#",
    "é",
    "`",
    "\x7f",
    "\u2028",
    "|",
    "<",
]


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("key", GOOD)
def test_no_value_for_a_configuration_file_has_a_character_that_means_something_there(
    key: str, text: str
) -> None:
    """nginx, systemd, circus, sudo and tmpfiles each read something else into these."""
    good = GOOD[key]
    for value in (f"{good}{text}", f"{good}{text}x", f"{good[:9]}{text}{good[9:]}"):
        with pytest.raises(pydantic.ValidationError):
            Written.model_validate({key: value})


@pytest.mark.parametrize(
    ("key", "value"),
    [
        *[
            ("url", value)
            for value in ("ftp://a", "https://", "https://me:pw@a", "http://a:b", "a", "http://-a")
        ],
        *[
            ("path", value)
            for value in ("srv", "/", "//srv", "/srv/../etc", "/srv/..", "/./srv", "/srv/%h", "")
        ],
        *[("host", value) for value in ("", "-a", "a/b", "a%b", "*")],
    ],
)
def test_what_is_none_is_refused(key: str, value: str) -> None:
    """%h is a home for systemd, and .. leads out of what was allowed."""
    with pytest.raises(pydantic.ValidationError):
        Written.model_validate({key: value})


@pytest.mark.parametrize(
    ("key", "value"),
    [
        *[("url", value) for value in ("http://[::1]:3141", "https://a.b/c/d/+simple/", "http://a/~b/%20c")],
        *[("path", value) for value in ("/srv/a.b_c-d@e+f=g:h,i~j", "/srv/", "/srv/...", "/a/.b")],
        *[("host", value) for value in ("::", "::1", "0.0.0.0", "pypi", "a_b.example.com")],
    ],
)
def test_what_people_use_is_accepted(key: str, value: str) -> None:
    """A rule that is too strict is switched off."""
    assert getattr(Written.model_validate({key: value}), key) == value


@pytest.mark.parametrize(
    ("url", "is_cleartext"),
    [
        ("http://packages.example.com/simple/", True),
        ("http://10.0.0.1:3141", True),
        ("http://[::]:80", True),
        ("http://127.0.0.1.example.com", True),
        ("http://localhost.example.com", True),
        ("http://localhost:3141/", False),
        ("http://packages.localhost", False),
        ("http://127.0.0.2:80/x", False),
        ("http://[::1]:80", False),
        ("https://packages.example.com", False),
        ("", False),
    ],
)
def test_plain_http_is_clear_text_but_to_this_machine(url: str, is_cleartext: bool) -> None:  # noqa: FBT001
    """Nobody listens on loopback."""
    assert settings.is_cleartext(url) == is_cleartext
