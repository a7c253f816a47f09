"""mirror.serving.command: what devpi-server is started with."""

from pathlib import Path

import pytest

from mirror.config import MirrorConfig
from mirror.serving import command
from mirror.state import Folder

FOLDER = Folder(Path("/state"))


def _options(config: MirrorConfig) -> dict[str, str]:
    """--name -> value, of everything after the interpreter and the module."""
    arguments = command.arguments(config, FOLDER)[3:]
    return dict(zip(arguments[::2], arguments[1::2], strict=True))


def test_strangers_cannot_create_users_and_a_slow_upstream_gets_its_time() -> None:
    """devpi's own defaults: anybody may, and 5 seconds."""
    options = _options(MirrorConfig(request_timeout=44))
    assert options["--restrict-modify"] == "root"
    assert options["--request-timeout"] == "44"


def test_the_settings_of_mirror_toml_reach_devpi() -> None:
    """Each one that is for the server."""
    config = MirrorConfig(host="::1", port=4000, threads=7, outside_url="https://packages.example.com")
    options = _options(config)
    assert {
        key: options[key] for key in ("--serverdir", "--host", "--port", "--threads", "--outside-url")
    } == {
        "--serverdir": "/state/mirror/server",
        "--host": "::1",
        "--port": "4000",
        "--threads": "7",
        "--outside-url": "https://packages.example.com",
    }
    assert "--outside-url" not in _options(MirrorConfig())


def test_logins_outlive_a_restart_and_the_key_costs_no_gigabyte() -> None:
    """Without --secretfile every restart logs everybody out; see the reason beside CHEAP_KEY."""
    options = _options(MirrorConfig())
    assert options["--secretfile"] == "/state/mirror/secret"
    assert int(options["--argon2-memory-cost"]) <= 8192


def test_a_choice_of_certificates_is_respected() -> None:
    """devpi looks at these two itself."""
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        assert command.environment({name: "/chosen.pem"})["REQUESTS_CA_BUNDLE"] == "/chosen.pem"


def test_without_a_choice_devpi_gets_the_certificates_of_the_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The authority of a company is installed there, and not in the list that devpi brings along."""
    bundle = tmp_path / "ca.pem"
    bundle.touch()
    monkeypatch.setenv("SSL_CERT_FILE", str(bundle))
    assert command.environment({"LANG": "C"})["REQUESTS_CA_BUNDLE"] == str(bundle)


def test_a_machine_without_certificates_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A path to nowhere would be worse than devpi's own list."""
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "missing.pem"))
    assert "REQUESTS_CA_BUNDLE" not in command.environment({"LANG": "C"})


def test_memory_that_threads_are_done_with_is_shared() -> None:
    """glibc gives each thread a pool of its own: 450 MB instead of 290 after a hundred large pages."""
    assert command.environment({"LANG": "C"})["MALLOC_ARENA_MAX"] == "2"
    assert command.environment({"MALLOC_ARENA_MAX": "8"})["MALLOC_ARENA_MAX"] == "8"


def test_uploads_are_checked_unless_mirror_toml_says_otherwise() -> None:
    """Checked by default."""
    assert "--skip-upload-checks" not in command.arguments(MirrorConfig(), FOLDER)
    assert "--skip-upload-checks" in command.arguments(MirrorConfig(check_uploads=False), FOLDER)
