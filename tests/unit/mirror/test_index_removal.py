"""mirror.index_removal: an index goes when nothing needs it, and in an order that opens it to nobody."""

from typing import Any

import pytest

from mirror import index_removal
from mirror.config import MirrorConfig
from packhorse.errors import PackhorseError


class _Api:
    """A server with the default index company/dev, and company/dve, which mirror.toml does not name."""

    def __init__(self) -> None:
        self.users: dict[str, Any] = {
            "root": {"indexes": {"pypi": {"type": "mirror"}}},
            "company": {
                "indexes": {
                    "dev": {"type": "stage", "bases": ["root/pypi"]},
                    "dve": {"type": "stage", "bases": []},
                }
            },
        }
        self.changes: list[tuple[str, str, object]] = []

    def call(self, method: str, path: str, body: object = None) -> Any:  # noqa: ANN401 (as Api has it)
        if method != "GET":
            self.changes.append((method, path, body))
        return {"/": self.users, "/+readers": {"company/dve": [], "company/x": ["anna"]}}.get(
            path, {"projects": ["demo"]}
        )

    def accepts(self, user: str, password: str) -> bool:  # noqa: ARG002 (as Api has it)
        return False


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("company/nix", "There is no index company/nix"),
        ("root/pypi", "root/pypi is what the mirror caches"),
        ("company/dev", "company/dev is declared in mirror.toml"),
        ("company/dve", "company/heir inherits from company/dve"),
    ],
)
def test_an_index_that_is_needed_is_not_removed(name: str, reason: str) -> None:
    """`mirror init` would make it again, or others would lose what they show."""
    api = _Api()
    api.users["company"]["indexes"]["heir"] = {"type": "stage", "bases": ["company/dve"]}
    with pytest.raises(PackhorseError, match=reason):
        index_removal.projects_to_remove(api, MirrorConfig(), name)


def test_an_index_is_removed_before_its_protection() -> None:
    """It would be open for a moment; devpi deletes volatile indexes alone."""
    api = _Api()
    assert index_removal.projects_to_remove(api, MirrorConfig(), "company/dve") == ["demo"]
    assert index_removal.remove(api, "company/dve") == "removed index company/dve"
    assert api.changes == [
        ("PATCH", "/company/dve", {"volatile": True}),
        ("DELETE", "/company/dve", None),
        ("PUT", "/+readers", {"company/x": ["anna"]}),
    ]
