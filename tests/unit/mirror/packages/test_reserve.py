"""mirror.packages.reserve: what is asked of the server, and what users are told."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import pytest

from mirror.packages import reserve
from packhorse.errors import PackhorseError

UPLOADED = {"by": "company", "at": "2026-11-25T20:00:00Z", "index": "company/dev"}
DECLARED = {"by": "root", "at": "2026-11-25T21:00:00Z", "index": ""}


class _Api:
    """A server with these reservations."""

    def __init__(
        self, known: Mapping[str, Any] = MappingProxyType({"billing": UPLOADED, "acme-*": DECLARED})
    ) -> None:
        self.known = known
        self.calls: list[tuple[str, str]] = []

    def call(self, method: str, path: str, body: object = None) -> Any:  # noqa: ANN401, ARG002 (as Api has it)
        self.calls.append((method, path))
        return self.known

    def accepts(self, user: str, password: str) -> bool:  # noqa: ARG002 (as Api has it)
        return False


def test_names_and_patterns_are_sent_in_their_normalised_form() -> None:
    """Every spelling of a name is the same project (PEP 503); a ? would begin a query."""
    api = _Api()
    reserve.reserve(api, ["Acme_Core", "acme.??"])
    assert api.calls == [("PUT", "/+reserved/acme-core"), ("PUT", "/+reserved/acme-%3F%3F")]


@pytest.mark.parametrize("name", ["", "a/b", "a b", "*", "--", "näme"])
def test_what_is_no_name_is_refused_before_any_is_reserved(name: str) -> None:
    """The pattern * would hide the whole upstream."""
    api = _Api()
    with pytest.raises(PackhorseError, match="should be a project's name"):
        reserve.reserve(api, ["good", name])
    assert api.calls == []


def test_a_release_is_explained_by_who_reserved_the_name_and_what_it_risks() -> None:
    """Whoever decides needs both."""
    text = reserve.explain(_Api(), "Billing", [])
    assert "reserved by an upload of company to company/dev, 2026-11-25T20:00:00Z" in text
    assert "has its code installed" in text


def test_a_name_that_a_pattern_reserves_too_is_said_to_stay_reserved() -> None:
    """Only its own reservation ends."""
    known = {"acme-core": UPLOADED, "acme-*": DECLARED}
    assert "stays reserved when it is released, by acme-*" in reserve.explain(_Api(known), "acme-core", [])
    said = reserve.release(_Api({"acme-*": DECLARED}), "acme-core")
    assert said.startswith("released acme-core, but acme-* still reserves it: remove it from")
    assert reserve.release(_Api({}), "acme-*").startswith("released acme-*: an index without")


def test_a_name_that_a_pattern_or_mirror_toml_reserves_is_not_released_by_itself() -> None:
    """It would stay reserved, or be reserved again by the next `mirror init`."""
    with pytest.raises(PackhorseError, match=r"not reserved by itself, but by acme-\*"):
        reserve.explain(_Api(), "acme-core", [])
    with pytest.raises(PackhorseError, match=r"mirror\.toml reserves billing"):
        reserve.explain(_Api(), "billing", ["billing"])
    with pytest.raises(PackhorseError, match="other is not reserved"):
        reserve.explain(_Api(), "other", [])
