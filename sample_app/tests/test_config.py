"""Settings: what the variables mean, and how they are refused."""

from pathlib import Path

from pydantic import SecretStr
from sample_app.config import Settings

from sample_app import create_app


def test_a_file_of_sqlite_may_be_named(tmp_path: Path) -> None:
    """As docs/twelve-factor.md does; a time limit for connecting is for servers."""
    url = f"sqlite:///{tmp_path / 'other.sqlite'}"
    app = create_app(Settings(environment="testing", data_dir=tmp_path, database_url=SecretStr(url)))
    done = app.test_cli_runner().invoke(args=["deploy"])
    assert done.exit_code == 0, done.output
    assert app.test_client().get("/readyz").status_code == 200
    assert (tmp_path / "other.sqlite").exists()
