"""Which pages a change makes untrue, and whether a page may be kept that was rendered before one."""

from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest

from mirror.plugin.pages import dependencies
from mirror.plugin.pages.dependencies import Snapshot
from mirror.plugin.upstream.mirror_stage import CachingStage


def key(name: str, **params: str) -> SimpleNamespace:
    """As much of devpi's key as is looked at."""
    return SimpleNamespace(name=name, params=params, relpath=f"{name}/{'/'.join(params.values())}")


@pytest.mark.parametrize(
    ("keys", "projects"),
    [
        ([key("PROJSIMPLELINKS", project="demo"), key("PROJVERSION", project="other")], {"demo", "other"}),
        ([key("STAGEFILE", project="demo")], set()),
        ([key("PROJVERSIONS", project="demo"), key("USER", user="company")], None),
        ([key("PACKHORSE_RESERVATION", project="demo"), key("PACKHORSE_RESERVED")], {"demo"}),
        ([key("PACKHORSE_RESERVED_PATTERNS")], None),
        ([key("PACKHORSE_POLICIES")], None),
        ([key("PACKHORSE_PUBLISHERS")], None),
        ([key("PACKHORSE_READERS")], None),
        ([], set()),
    ],
)
def test_a_change_is_about_its_projects_or_about_all(
    keys: list[SimpleNamespace], projects: set[str] | None
) -> None:
    """Files come with every download: if they dropped pages, no page would live long."""
    assert dependencies.projects_of(iter(keys)) == projects


class _KeyFs:
    """When each key was written last; the transaction sees serial 5."""

    def __init__(self, serials: dict[str, int]) -> None:
        self.serials = serials
        self.tx = SimpleNamespace(at_serial=5)

    @contextmanager
    def get_connection(self) -> Iterator[Any]:
        yield self

    @property
    def last_changelog_serial(self) -> int:
        return max(self.serials.values(), default=5)

    def db_read_typedkey(self, path: str) -> tuple[str, int]:
        return "", self.serials[path]


class _Mirror(CachingStage):
    """A mirror, which has a version of the page."""

    ixconfig: Any = {"type": "mirror"}  # noqa: RUF012 (as devpi has it)
    version: Any = 1
    name = "root/pypi"
    user = SimpleNamespace(key=key("USER", user="root"))

    def __init__(self) -> None:
        """Nothing of devpi's."""

    def key_projsimplelinks(self, project: str) -> Any:  # noqa: ANN401 (devpi is untyped)
        return key("PROJSIMPLELINKS", index="root/pypi", project=project)

    def token(self, project: str) -> Any:  # noqa: ANN401, ARG002 (as CachingStage has it)
        return self.version


def stage(serials: dict[str, int], mirror: _Mirror) -> Any:  # noqa: ANN401 (devpi is untyped)
    """An index for uploads that inherits from `mirror`."""
    index = SimpleNamespace(
        keyfs=_KeyFs(serials),
        ixconfig={"type": "stage"},
        user=SimpleNamespace(key=key("USER", user="company")),
        key_projects=key("PROJNAMES", index="company/dev"),
        key_projsimplelinks=lambda project: key("PROJSIMPLELINKS", index="company/dev", project=project),
    )
    index.sro = lambda: [index, mirror]
    return index


@pytest.mark.parametrize(
    "path",
    [
        "USER/root",
        "USER/company",
        "PROJNAMES/company/dev",
        "PROJSIMPLELINKS/company/dev/demo",
        "PROJSIMPLELINKS/root/pypi/demo",
        "+reserved/patterns",
        "+reserved/of/demo",
        "+policies",
        "+readers",
        "root/pypi/demo/.pinned",
    ],
)
def test_a_page_is_current_until_something_that_it_is_made_from_is_written(path: str) -> None:
    """On its own index, or on one that it inherits from."""
    index = stage({"USER/root": 1, "USER/company": 5}, _Mirror())
    snapshot = Snapshot(index, "demo", lambda: 0)
    index.keyfs.serials["PROJSIMPLELINKS/company/dev/other"] = 6
    assert snapshot.is_current()
    index.keyfs.serials[path] = 6
    assert not snapshot.is_current()


def test_a_page_is_current_until_the_upstreams_page_is_another() -> None:
    """That is in no key of devpi's."""
    mirror = _Mirror()
    snapshot = Snapshot(stage({}, mirror), "demo", lambda: 0)
    mirror.version = 2
    assert not snapshot.is_current()


def test_a_page_is_current_until_the_advisories_are_others() -> None:
    """They are in a file of their own: one that was rendered by the old ones must not appear later."""
    states = iter([1, 1, 2])
    snapshot = Snapshot(stage({}, _Mirror()), "demo", lambda: next(states))
    assert snapshot.is_current()
    assert not snapshot.is_current()
