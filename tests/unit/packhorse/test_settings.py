"""packhorse.settings: mistakes in a configuration file are named by path and nearest key."""

from typing import Annotated

import pydantic
import pytest

from packhorse import settings
from packhorse.errors import PackhorseError
from packhorse.settings import Settings


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
