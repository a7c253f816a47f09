"""What release.cli.releases.assets promises without a host: what a prune asks, and when it has failed."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from packhorse.errors import PackhorseError
from release.agents import controller
from release.agents.schedule import HostState, Stage
from release.assets.prune import Prune
from release.assets.push import Files
from release.cli.main import cli
from release.cli.releases import assets
from release.config.assets import Assets
from release.config.static import Static
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


def test_a_prune_during_which_a_host_was_lost_is_no_success(monkeypatch: pytest.MonkeyPatch) -> None:
    """All were heard, and then it was cut short: the host that was lost is the reason."""
    last = {"event": "error", "message": "the connection was lost", "exit_code": 1}
    lost = HostState("web2", Stage.ENDED, order={"go": "lock"}, last=last)

    def run(agents: object, _asked: object, hear: Callable[..., None], *_: Any, **__: Any) -> Any:  # noqa: ANN401
        assert agents == {"web1": None, "web2": None}
        for host in ("web1", "web2"):
            hear(host, {"event": "gate", "name": "start", "names": []})
        return controller.Outcome((HostState("web1", Stage.ENDED), lost), "Stopped before all was done.")

    @contextlib.contextmanager
    def asked(*_: object) -> Iterator[tuple[dict[str, None], dict[str, None]]]:
        yield {"web1": None, "web2": None}, {}

    monkeypatch.setattr(controller, "run", run)
    monkeypatch.setattr(assets, "_asked", asked)
    which = Files("shop", Static(folder="shop/static"), Assets(bucket="shop", url="https://s.example.com"))
    pruned: Callable[..., object] = vars(assets)["_pruned"]
    with pytest.raises(PackhorseError, match="web2: the connection was lost") as caught:
        pruned(None, which, 0.0, None)
    assert "Perhaps not all was removed" in caught.value.hint
