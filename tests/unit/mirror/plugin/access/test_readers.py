"""Who may read an index, by the readers of its whole chain."""

from types import SimpleNamespace
from typing import Any

import pytest
from pyramid.authorization import Everyone

from mirror.plugin.access import readers

READERS = {"company/prod": ["anna", "carl"], "company/dev": ["bert", "carl"], "team/all": [":AUTHENTICATED:"]}


def _stage(*chain: str, declared: str | None = None) -> Any:  # noqa: ANN401 (devpi is untyped)
    kept: dict[str, str] = {}
    key = SimpleNamespace(get=lambda: kept, set=kept.update)
    keyfs = SimpleNamespace(get_key=lambda _: key)
    if declared is None:
        readers.READERS.declare(keyfs, READERS)
    else:
        kept["readers"] = declared
    stage = SimpleNamespace(keyfs=keyfs, sro=lambda: [SimpleNamespace(name=name) for name in chain])
    stage.name = chain[0]
    return stage


def _who(name: str, *groups: str) -> Any:  # noqa: ANN401 (devpi is untyped)
    return SimpleNamespace(username=name, groups=list(groups))


@pytest.mark.parametrize(
    ("chain", "may"),
    [
        (["company/prod", "root/pypi"], ["anna", "carl"]),
        (["company/dev", "company/prod", "root/pypi"], ["carl"]),
        (["team/dev", "company/prod"], ["anna", "carl"]),
        (["team/all"], ["anna", "bert", "carl"]),
    ],
)
def test_a_reader_is_named_for_each_protected_index_of_the_chain(chain: list[str], may: list[str]) -> None:
    """An index shows what its bases have, so that one that is open would open them."""
    stage = _stage(*chain)
    assert [name for name in ("anna", "bert", "carl") if readers.may_read(stage, _who(name))] == may
    assert not readers.may_read(stage, None)
    assert readers.may_read(stage, _who("root"))
    assert readers.may_read(stage, _who("+replica"))
    assert readers.is_protected(stage)


def test_an_index_without_readers_is_for_everybody() -> None:
    """Also when others are protected."""
    stage = _stage("root/pypi")
    assert not readers.is_protected(stage)
    assert readers.may_read(stage, None)


def test_what_cannot_be_read_opens_nothing() -> None:
    """A database that somebody has changed by hand: an error, no answer."""
    for broken in ("", "{", "null; "):
        with pytest.raises(ValueError, match=r"."):
            readers.is_protected(_stage("company/prod", declared=broken))


def test_a_reader_who_was_named_by_group_reads() -> None:
    """Plugins of devpi that know groups give them with the identity."""
    stage = _stage("x/y", declared='{"x/y": [":team"]}')
    assert readers.may_read(stage, _who("anna", "team"))
    assert not readers.may_read(stage, _who("anna"))


def test_devpi_denies_it_to_everyone_else() -> None:
    """As its hook wants it: before all that it would allow."""
    request = SimpleNamespace(identity=_who("bert"))
    assert readers.denials(request, _stage("company/prod")) == {(Everyone, "pkg_read")}
    assert readers.denials(request, _stage("root/pypi")) == set()
    assert readers.denials(request, None) == set()
