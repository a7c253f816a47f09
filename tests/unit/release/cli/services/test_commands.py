"""What release.cli.services promises without a host: what leads to a database, what is asked."""

import contextlib
from pathlib import Path
from types import SimpleNamespace

import click
import pytest
from click.testing import CliRunner, Result

from packhorse.errors import PackhorseError
from release.cli.config import changes
from release.cli.main import cli
from release.cli.services import arguments, attached, backups, commands, logins, removal
from release.config.release_toml import ReleaseConfig
from release.config.target.target import Target
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
    assert attached.leading_to(values, "shop_production_db") == ["ASYNC_URL", "DATABASE_URL"]


@pytest.mark.parametrize(
    ("number", "text"), [(0, "0 B"), (999, "999 B"), (1500, "2 kB"), (10**13, "10.0 TB")]
)
def test_sizes_are_for_people(number: int, text: str) -> None:
    """As disks are sold."""
    assert arguments.size(number) == text


@pytest.mark.parametrize("name", [None, *commands.services.commands])
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

    monkeypatch.setattr(attached, "variables", variables)
    config = ReleaseConfig(app="shop", targets={"production": Target(hosts=["web1"])})
    server = SimpleNamespace(
        app=app, target="production", service="db", name="shop_production_db", host=host, port=5432
    )
    row = databases.KnownDatabase(None, SimpleNamespace(server=server, host="db1"))  # type: ignore[arg-type]
    with pytest.raises(PackhorseError, match="production uses") if refused else contextlib.nullcontext():
        removal._require_unused(Path(), config, row)


@pytest.mark.parametrize("command", [["--remove", "--yes"], ["remove", "db", "--yes"]])
def test_nothing_is_removed_when_one_of_all_is_in_use(
    monkeypatch: pytest.MonkeyPatch, command: list[str]
) -> None:
    """With either command; an application would fail without its database."""
    config = ReleaseConfig(app="shop", targets={"production": Target(hosts=["web1"])})
    monkeypatch.setattr(arguments, "config", lambda _project: config)
    known = {"name": "shop_production_db", "app": "shop", "target": "production", "service": "db"}
    server = answers.DatabaseState.model_validate(
        {**known, "kind": "postgresql", "login": "x", "host": "10.0.0.4", "port": 5432}
    )
    found = {"web1": [databases.Found("web1", server, None)]}
    monkeypatch.setattr(databases, "ask", lambda _config, _hosts: found)
    monkeypatch.setattr(attached, "variables", lambda *_: {"DATABASE_URL": URL})
    monkeypatch.setattr(reach.Host, "ask", lambda *_: pytest.fail("it begins"))
    done = CliRunner().invoke(commands.services, command, obj=Path())
    assert isinstance(done.exception, PackhorseError)
    assert done.exception.message == "production uses shop_production_db: DATABASE_URL."


def test_what_is_removed_already_is_nothing_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """A script may run twice."""
    monkeypatch.setattr(arguments, "config", lambda _project: ReleaseConfig(app="shop"))
    monkeypatch.setattr(databases, "ask", lambda _config, hosts: {name: [] for name in hosts})
    done = CliRunner().invoke(removal.remove, ["db", "--host", "db1", "--yes"], obj=Path())
    assert done.exit_code == 0
    assert "No database of db is left on db1: there is nothing to do." in done.output


DECLARED = ReleaseConfig.model_validate(
    {
        "app": "shop",
        "services": {
            "db": {"kind": "postgresql", "hosts": ["db1"]},
            "my": {"kind": "mariadb", "hosts": ["db1"]},
            "cache": {"kind": "redis", "hosts": ["db2"]},
        },
        "targets": {"production": {"hosts": ["web1"], "services": ["db", "my"]}},
    }
)
DOWN = PackhorseError("db1: it cannot be reached.", "Try: ssh db1 true")


@pytest.fixture
def declared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arguments, "config", lambda _project: DECLARED)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["services", *arguments])


@pytest.mark.usefixtures("declared")
@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        (("attach", "production", "db"), "services attach db production"),
        (("attach", "prodution", "db"), "services attach db prodution"),
        (("rotate", "production", "production"), "services rotate db production"),
        (("detach", "production", "db"), "services detach db production"),
        (("shell", "production", "my"), "services shell my production"),
        (("url", "production", "my"), "services url my production"),
        (("backup", "production"), "services backup db production"),
        (("backups", "production", "my"), "services backups my production"),
        (("restore", "production", "db"), "services restore db production"),
        (("remove", "production", "db"), "services remove db production"),
        (("upgrade", "production"), "services upgrade db production"),
    ],
)
def test_arguments_in_the_wrong_order_are_answered_with_the_right_one(
    typed: tuple[str, ...], meant: str
) -> None:
    """As `release config set production NAME` has the target first."""
    refused = run(*typed).exception
    assert isinstance(refused, PackhorseError)
    assert refused.hint.endswith(meant)


@pytest.mark.usefixtures("declared")
@pytest.mark.parametrize("options", [(), ("--plan",), ("--json",), ("--remove", "--yes")])
def test_a_host_that_does_not_answer_fails_the_command_after_what_the_others_say(
    monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...]
) -> None:
    """A job that looks at the exit status alone must not take silence for good news."""
    monkeypatch.setattr(databases, "ask", lambda _config, hosts: dict.fromkeys(hosts, DOWN))
    monkeypatch.setattr(attached, "names", lambda *_: {})
    done = run(*options)
    assert done.exception is DOWN
    assert done.stdout
    monkeypatch.setattr(databases, "ask", lambda _config, hosts: {name: [] for name in hosts})
    assert run(*options).exit_code == 0
    assert "No target uses cache. Write services = [" in run(*options).stderr


@pytest.mark.usefixtures("declared")
@pytest.mark.parametrize("options", [(), ("--json",)])
def test_a_list_of_backups_without_those_of_a_host_fails(
    monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...]
) -> None:
    """It would look as if there were none; each host that is missing is named."""
    other = PackhorseError("vault: it cannot be reached.", "Try: ssh vault true")
    monkeypatch.setattr(backups, "_all_backups", lambda *_: ([], [DOWN, other]))
    done = run("backups", "db", *options)
    assert done.exception is DOWN
    assert "vault: it cannot be reached." in done.stderr
    assert "There are no backups" not in done.stdout


@pytest.mark.usefixtures("declared")
def test_a_host_that_was_asked_for_by_its_name_has_to_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hosts of the application are looked at without a word: they need not have databases."""
    down = {"web1", "db9"}
    monkeypatch.setattr(
        databases, "ask", lambda _config, hosts: {name: DOWN if name in down else [] for name in hosts}
    )
    assert run("--plan").exit_code == 0
    assert run("--plan", "--host", "db9").exception is DOWN


@pytest.mark.usefixtures("declared")
@pytest.mark.parametrize("option", ["--plan", "--remove"])
def test_who_finds_nothing_left_over_learns_where_else_to_look(
    monkeypatch: pytest.MonkeyPatch, option: str
) -> None:
    """A host that release.toml has lost with its service is asked by nobody."""
    declared = [databases.KnownDatabase(place, None) for place in databases.declared(DECLARED)]
    there = [databases.KnownDatabase(row.place, SimpleNamespace(host="db1")) for row in declared]  # type: ignore[arg-type]
    monkeypatch.setattr(databases, "ask", lambda _config, hosts: {name: [] for name in hosts})
    monkeypatch.setattr(databases, "rows", lambda *_: there)
    assert "--host HOST" in run(option).stdout


KEPT = URL.replace("postgresql:", "postgresql+asyncpg:") + "?ssl=require"


@pytest.mark.usefixtures("declared")
@pytest.mark.parametrize(
    ("present", "options", "expected"),
    [
        (None, (), f"{URL}?sslmode=require"),
        (None, ("--scheme", "postgresql+psycopg"), f"{URL}?sslmode=require".replace(":", "+psycopg:", 1)),
        (KEPT.replace(":p@", ":old@"), (), KEPT),
        (KEPT.replace("10.0.0.4", "10.0.0.9"), (), KEPT),
        (KEPT, ("--scheme", "postgresql"), f"{URL}?sslmode=require"),
        (KEPT, ("--replace",), f"{URL}?sslmode=require"),
    ],
)
def test_attach_writes_the_scheme_of_the_driver_and_keeps_it(
    monkeypatch: pytest.MonkeyPatch, present: str | None, options: tuple[str, ...], expected: str
) -> None:
    """Also when the database has moved to another host."""
    login = {"url": f"{URL}?sslmode=require", "login": "shop_production_db__a"}
    credentials = answers.ServiceCredentials.model_validate(
        {**login, "name": "shop_production_db", "kind": "x"}
    )
    monkeypatch.setattr(attached, "credentials", lambda *_: credentials)
    monkeypatch.setattr(attached, "variables", lambda *_: {"DATABASE_URL": present} if present else {})
    written: list[dict[str, str]] = []
    monkeypatch.setattr(changes, "change", lambda _project, _target, values, **_how: written.append(values))
    done = run("attach", "db", "production", *options)
    assert done.exit_code == 0, done
    assert written == [{"DATABASE_URL": expected}]


@pytest.mark.usefixtures("declared")
def test_a_scheme_of_another_database_is_refused_before_anything_is_asked() -> None:
    """With two that fit."""
    refused = run("attach", "db", "production", "--scheme", "mysql").exception
    assert isinstance(refused, PackhorseError)
    assert refused.hint == "Such as: --scheme postgresql or postgresql+psycopg"


def test_schemes_are_completed_for_the_kind_of_the_service(tmp_path: Path) -> None:
    """Without a service all of them."""
    (tmp_path / "release.toml").write_text('app = "shop"\n[services.my]\nkind = "mariadb"\nhosts = ["db1"]\n')
    root = click.Context(cli)
    root.params = {"project": tmp_path}
    context = click.Context(logins.attach, parent=root)
    parameter = logins.attach.params[0]
    assert "postgresql" in arguments.schemes(context, parameter, "")
    context.params = {"service": "my"}
    assert arguments.schemes(context, parameter, "mysql+p") == ["mysql+pymysql"]
