"""The promises of release.cli.services that need no host: what leads to a database, what is asked."""

import contextlib
from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import CliRunner

from packhorse.errors import PackhorseError
from release.cli import service_arguments, services
from release.cli.main import cli
from release.config.release_toml import ReleaseConfig, Target
from release.services import answers, databases, reach

URL = "postgresql://shop_production_db__a:p@10.0.0.4:5432/shop_production_db"


def test_a_variable_leads_to_a_database_by_its_login() -> None:
    """With any scheme and options; not by a name that only begins alike."""
    values = {
        "DATABASE_URL": URL,
        "ASYNC_URL": URL.replace("postgresql:", "postgresql+asyncpg:").replace("__a", "__b"),
        "OTHER": URL.replace("shop_production_db__a", "shop_production_db2__a"),
        "PATH": "/usr/bin",
    }
    assert services._leading(values, "shop_production_db") == ["ASYNC_URL", "DATABASE_URL"]


@pytest.mark.parametrize(
    ("number", "text"), [(0, "0 B"), (999, "999 B"), (1500, "2 kB"), (10**13, "10.0 TB")]
)
def test_sizes_are_for_people(number: int, text: str) -> None:
    """As disks are sold."""
    assert service_arguments.size(number) == text


def test_what_destroys_asks_or_wants_yes(monkeypatch: pytest.MonkeyPatch) -> None:
    """A script says --yes; a person says y."""
    service_arguments.ask_first("Remove it?", yes=True)
    monkeypatch.setattr("sys.stdin.isatty", lambda: False, raising=False)
    with pytest.raises(PackhorseError, match="Nobody can be asked here"):
        service_arguments.ask_first("Remove it?", yes=False)


@pytest.mark.parametrize("name", [None, *services.services.commands])
def test_each_command_explains_itself(name: str | None) -> None:
    """What to type is in the help of the group, and what happens in that of the command."""
    done = CliRunner().invoke(cli, ["services", *([name] if name else []), "--help"])
    assert done.exit_code == 0
    assert "[services.db]" in done.output or name


@pytest.mark.parametrize(
    ("app", "host", "values", "refused"),
    [
        ("shop", "10.0.0.4", {"DATABASE_URL": URL}, True),
        ("shop", "10.0.0.5", {"DATABASE_URL": URL}, False),  # it has moved
        ("shop", "10.0.0.4", {"DATABASE_URL": URL.replace("_db__a", "_other__a")}, False),
        ("another", "10.0.0.4", {"DATABASE_URL": URL}, False),
        ("shop", "10.0.0.4", None, False),
    ],
)
def test_a_database_that_the_application_uses_is_not_removed(
    monkeypatch: pytest.MonkeyPatch, app: str, host: str, values: dict[str, str] | None, *, refused: bool
) -> None:
    """With --yes neither; where no host can be asked, its hosts may be gone for good."""

    def variables(_project: Path, target: str) -> dict[str, str]:
        assert target == "production"
        if values is None:
            raise PackhorseError("web1 does not answer.", "")
        return values

    monkeypatch.setattr(services, "_variables", variables)
    config = ReleaseConfig(app="shop", targets={"production": Target(hosts=["web1"])})
    server = SimpleNamespace(
        app=app, target="production", service="db", name="shop_production_db", host=host, port=5432
    )
    row = databases.Row(None, SimpleNamespace(server=server, host="db1"))  # type: ignore[arg-type]
    with pytest.raises(PackhorseError, match="production uses") if refused else contextlib.nullcontext():
        services._require_unused(Path(), config, row)


@pytest.mark.parametrize("command", [["--remove", "--yes"], ["remove", "db", "--yes"]])
def test_nothing_is_removed_when_one_of_all_is_in_use(
    monkeypatch: pytest.MonkeyPatch, command: list[str]
) -> None:
    """With either command; an application would fail without its database."""
    config = ReleaseConfig(app="shop", targets={"production": Target(hosts=["web1"])})
    monkeypatch.setattr(service_arguments, "config", lambda _project: config)
    known = {"name": "shop_production_db", "app": "shop", "target": "production", "service": "db"}
    server = answers.Server.model_validate(
        {**known, "kind": "postgresql", "login": "x", "host": "10.0.0.4", "port": 5432}
    )
    found = {"web1": [databases.Found("web1", server, None)]}
    monkeypatch.setattr(databases, "ask", lambda _config, _hosts: found)
    monkeypatch.setattr(services, "_variables", lambda *_: {"DATABASE_URL": URL})
    monkeypatch.setattr(reach.Host, "ask", lambda *_: pytest.fail("it begins"))
    done = CliRunner().invoke(services.services, command, obj=Path())
    assert isinstance(done.exception, PackhorseError)
    assert done.exception.message == "production uses shop_production_db: DATABASE_URL."


def test_what_is_removed_already_is_nothing_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """A script may run twice."""
    monkeypatch.setattr(service_arguments, "config", lambda _project: ReleaseConfig(app="shop"))
    monkeypatch.setattr(databases, "ask", lambda _config, hosts: {name: [] for name in hosts})
    done = CliRunner().invoke(services.remove, ["db", "--host", "db1", "--yes"], obj=Path())
    assert done.exit_code == 0
    assert "No database of db is left on db1: there is nothing to do." in done.output
