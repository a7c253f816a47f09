"""The promises of release.cli.assets that need no host: what a prune asks."""

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from release.assets.prune import Prune
from release.cli import assets
from release.cli.main import cli
from tests.unit.release.assets.test_prune import Memory, ready

TOML = """app = "shop"
[static]
folder = "shop/static"
[assets]
bucket = "shop-static"
url = "https://static.example.com/"
[targets.production]
hosts = ["web1"]
index = "https://pypi.example.com/root/dev"
"""


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Memory:
    """The bucket, of which the only host needs nothing."""
    made = Memory("shop/a.css")

    def pruned(_settings: object, _which: object, _wait: float, agreed: frozenset[str] | None) -> Prune:
        pruning = Prune(made, "shop/", ["web1"], agreed)
        pruning.hear("web1", ready([]))
        pruning.run(lambda *_: None)
        return pruning

    monkeypatch.setattr(assets, "_pruned", pruned)
    return made


def prune(project: Path, *options: str) -> Result:
    (project / "release.toml").write_text(TOML)
    (project / "pyproject.toml").write_text('[project]\nname = "shop"\n')
    return CliRunner().invoke(cli, ["-C", str(project), "assets", "prune", "production", *options])


def test_a_prune_removes_nothing_that_nobody_has_agreed_to(store: Memory, tmp_path: Path) -> None:
    """One host that has lost its releases would empty the bucket."""
    refused = prune(tmp_path)
    assert "Remove 1 of 1 objects from shop-static/shop/? Nobody can be asked" in str(refused.exception)
    assert store.keys == {"shop/a.css"}
    assert prune(tmp_path, "--yes").exit_code == 0
    assert not store.keys
    assert prune(tmp_path).exit_code == 0, "there is nothing to ask"
