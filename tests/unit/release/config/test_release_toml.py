"""The promises of release.config.release_toml."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from packhorse.errors import PackhorseError
from release.config import release_toml
from release.config.hooks import Hooks
from release.config.servers import services
from release.config.servers.mirror import MirrorServers
from release.config.target.processes import ProcessSettings
from release.config.target.provision import Provision
from release.config.target.target import Target

EXAMPLE = Path(__file__).parents[4] / "release.example.toml"


def project(folder: Path, release: str = "", pyproject: str = '[project]\nname = "Sample_App"\n') -> Path:
    folder.joinpath("pyproject.toml").write_text(pyproject, encoding="utf-8")
    if release:
        folder.joinpath("release.toml").write_text(release, encoding="utf-8")
    return folder


def test_a_project_without_release_toml_has_working_defaults(tmp_path: Path) -> None:
    """Nothing has to be written to release a project: convention first."""
    loaded = release_toml.load(project(tmp_path))
    assert loaded.app == "sample-app"
    assert loaded.health == release_toml.Health(path=None, host="localhost", timeout=30, interval=0.1)
    assert loaded.target("local").address == ("127.0.0.1", 8000)


def test_the_example_file_shows_every_key_and_is_valid(tmp_path: Path) -> None:
    """An example that is not tested rots."""
    text = EXAMPLE.read_text(encoding="utf-8")
    loaded = release_toml.load(project(tmp_path, text))
    assert loaded.model_fields_set == set(release_toml.ReleaseConfig.model_fields)
    assert loaded.health.model_fields_set == set(release_toml.Health.model_fields)
    assert loaded.hooks.model_fields_set == set(Hooks.model_fields)
    local, production = loaded.targets["local"], loaded.targets["production"]
    assert local.model_fields_set | production.model_fields_set == set(Target.model_fields)
    assert production.processes["worker"].model_fields_set == set(ProcessSettings.model_fields)
    assert production.provision.model_fields_set == set(Provision.model_fields)
    assert loaded.services["db"].model_fields_set == set(services.Service.model_fields)
    assert loaded.services["db"].backup.model_fields_set == set(services.BackupSettings.model_fields)
    assert loaded.mirror
    assert loaded.mirror.model_fields_set == set(MirrorServers.model_fields)


def test_pyproject_may_hold_the_table_instead(tmp_path: Path) -> None:
    """One file less for those who like it."""
    loaded = release_toml.load(project(tmp_path, "", '[project]\nname = "a"\n[tool.release]\napp = "shop"\n'))
    assert loaded.app == "shop"


@pytest.mark.parametrize(
    ("name", "text", "version"),
    [
        (".python-version", "3.12\n", "3.12"),
        (".python-version", "3.12.4\n3.11\n", "3.12"),
        (".python-version", "cpython-3.13.1", "3.13"),
        ("runtime.txt", "python-3.12.7", "3.12"),
        (".python-version", "3.9", None),
        (".python-version", "my-virtualenv", None),
        (".python-version", "", None),
        (".python-version", "3.12; rm -rf /", None),
    ],
)
def test_the_python_is_read_from_the_files_that_projects_have(
    name: str, text: str, version: str | None, tmp_path: Path
) -> None:
    """pyenv, uv and Heroku read them; a patch version is whatever the host has."""
    (project(tmp_path) / name).write_text(text)
    assert release_toml.load(tmp_path).python == version
    (tmp_path / "release.toml").write_text('python = "3.14"\n')
    assert release_toml.load(tmp_path).python == "3.14"


@pytest.mark.parametrize("version", ["3", "3.12.4", "3.9", "2.7", "pypy3.11", "../3.12", "3.12 ", "3.12\\n"])
def test_a_version_of_python_has_one_form(version: str, tmp_path: Path) -> None:
    """It becomes a part of paths and of names of packages, on hosts as root."""
    with pytest.raises(PackhorseError, match=r'a version of Python, such as "3\.12"'):
        release_toml.load(project(tmp_path, f'[targets.local]\npython = "{version}"\n'))


def test_two_places_at_once_are_refused(tmp_path: Path) -> None:
    """Two sources of truth: nobody would know which one counts."""
    folder = project(tmp_path, 'app = "a"\n', '[tool.release]\napp = "b"\n')
    with pytest.raises(PackhorseError, match="both configure"):
        release_toml.load(folder)


def test_the_option_goes_before_the_file(tmp_path: Path) -> None:
    """Precedence: flag, environment, file, default."""
    folder = project(tmp_path, 'index = "https://pypi.example.com/company/dev/"\n')
    assert release_toml.load(folder).index == "https://pypi.example.com/company/dev"
    assert (
        release_toml.load(folder, index="http://127.0.0.1:1/a/b/+simple/").index == "http://127.0.0.1:1/a/b"
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[heatlh]\n", 'release.toml: heatlh: unknown key, did you mean "health"?'),
        ("[targets.local]\ninstalller = 'uv'\n", 'targets.local.installler: unknown key, did you mean "ins'),
        ("[health]\ntimeout = '30'\n", "release.toml: health.timeout: input should be a valid number"),
        ("[health]\ntimeout = 0\n", "release.toml: health.timeout: input should be greater than 0"),
        ("[targets.local]\nbind = '8000'\n", 'targets.local.bind: "8000" is neither "unix" nor'),
        ("[targets.local]\nbind = 'h:70000'\n", 'targets.local.bind: "h:70000" is neither'),
        (
            "[health]\npath = 'healthz'\n",
            'health.path: "healthz" is not a path that begins with "/" and has no spaces, such as "/healthz"',
        ),
        ("index = 'pypi.example.com'\n", "release.toml: index: needs an address"),
        ("index = 'https://me:pw@example.com/a/b'\n", "release.toml: index: needs an address without a user"),
        (
            "[targets.local.env]\n'A-B' = '1'\n",
            'release.toml: targets.local.env.A-B: "A-B" is not a variable',
        ),
        ("[targets.local]\nhosts = ['a']\n", "release.toml: targets: local is this machine"),
        ("[targets.a]\nhosts = []\n", "release.toml: targets.a.hosts: list should have at least 1 item"),
        (
            "[targets.a]\nhosts = ['-oProxyCommand=x']\n",
            'targets.a.hosts.0: "-oProxyCommand=x" is not the name of a host without a user, such as "web1',
        ),
        (
            "[targets.a]\nhosts = ['root@web1']\n",
            'release.toml: targets.a.hosts.0: "root@web1" is not the name',
        ),
        ("[targets.a]\nhosts = ['a', 'a']\n", "release.toml: targets.a.hosts: a is listed twice"),
        ("[targets.a]\nhosts = ['a']\nbind = 'h:80'\n", "release.toml: targets.a: bind: on hosts, nginx"),
        ("[targets.a]\nbatch = '0%'\n", "release.toml: targets.a.batch: '0%' is neither a number of"),
        ("[targets.a]\nbatch = true\n", "release.toml: targets.a.batch: true is neither a number of"),
        (
            "[targets.a]\ntls_certificate = '/a'\n",
            "targets.a: tls_certificate and tls_certificate_key belong",
        ),
        ("[targets.a]\ndomains = ['a', 'a']\n", "release.toml: targets.a.domains: a is listed twice"),
        (
            "[targets.a]\nbind = '$(circus.env.x):80'\n",
            'release.toml: targets.a.bind: "$(circus.env.x):80" is',
        ),
        (
            "[targets.a]\ngraceful_timeout = inf\n",
            "release.toml: targets.a.graceful_timeout: input should be",
        ),
        ("[targets.a.env]\nA = 'x\\u0000'\n".replace("'", '"'), "targets.a.env.A: has a NUL"),
        ('[health]\nhost = "a\\r\\nX: y"\n', "release.toml: health.host: "),
        ("[targets.a]\ndomains = ['a;b']\n", 'release.toml: targets.a.domains.0: "a;b" is not a domain'),
        (
            "[targets.a.processes.worker]\noverlp = true\n",
            'worker.overlp: unknown key, did you mean "overlap"',
        ),
        (
            "app = 'My App'\n",
            'release.toml: app: "My App" is not a name of lower-case letters, digits and "-", such as "my',
        ),
    ],
)
def test_a_mistake_is_named_with_its_full_path(tmp_path: Path, text: str, message: str) -> None:
    """Who reads the message must be able to go straight to the line."""
    with pytest.raises(PackhorseError) as caught:
        release_toml.load(project(tmp_path, text))
    assert message in caught.value.message
    assert "me:pw" not in caught.value.message


def test_an_unknown_target_is_answered_with_the_nearest_name(tmp_path: Path) -> None:
    """A typing error at deploy time should cost seconds."""
    loaded = release_toml.load(project(tmp_path, "[targets.production]\n"))
    with pytest.raises(PackhorseError, match='did you mean "production"'):
        loaded.target("prodution")


@pytest.mark.parametrize(
    "wrong",
    [
        {"static": {"media": "/srv"}},
        {"static": {"/media/": "srv"}},
        {"static": {"/media/ { }": "/srv"}},
        {"static": {"/media/": "/srv; }"}},
        {"max_body": "10m; }"},
        {"log_size": "100M\n}"},
        {"log_size": "10m"},
        {"log_days": 0},
        {"memory_max": "1G\nUser=root"},
        {"cpu_quota": "all"},
        {"authorized_keys": ["command=/bin/sh"]},
        {"authorized_keys": ["ssh-ed25519 AAAA a\nssh-ed25519 AAAA b"]},
        {"writable": ["/srv/a b"]},
        {"writable": ["/srv/%h"]},
        {"writable": ["/srv/../etc"]},
        {"static": {"/": "/srv"}},
        {"static": {"/../": "/srv"}},
        {"static": {"/média/": "/srv"}},
        {"python": "/usr/bin/python3 -c x"},
        {"authorized_keys": ["ssh-ed25519 AAAA a\x1b[2Jb"]},
    ],
)
def test_what_would_end_up_as_something_else_in_a_servers_files_is_refused(wrong: dict[str, object]) -> None:
    """Values become lines of nginx's and systemd's configuration."""
    with pytest.raises(ValidationError):
        Provision(**wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "wrong",
    [
        {"hosts": []},
        {"hosts": ["-oProxyCommand=x"]},
        {"settings": "/etc/passwd"},
        {"settings": "../mirror.toml"},
        {"index_url": "https://user:secret@example.com/"},
        {"version": "1 --index-url=http://example.com"},
        {"backup_at": "daily\nUser=root"},
        {"backups": "/var/%h"},
        {"memory_max": "1G\nUser=root"},
        {"keep_backups": 0},
    ],
)
def test_the_same_for_the_mirror(wrong: dict[str, object]) -> None:
    """A password in release.toml would be in the repository besides."""
    with pytest.raises(ValidationError):
        MirrorServers(**{"hosts": ["pypi.example.com"], **wrong})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "lines",
    ['index = "http://pypi.example.com/a/b"', '[mirror]\nhosts = ["pypi"]\nindex_url = "http://10.0.0.1/"'],
)
def test_an_index_by_plain_http_is_refused_unless_it_is_allowed(tmp_path: Path, lines: str) -> None:
    """The password of uploads would be for all on the way, and what hosts install too."""
    with pytest.raises(PackhorseError, match=r"^\S*release\.toml: .*clear text.*allow_http = true"):
        release_toml.load(project(tmp_path, lines))
    assert release_toml.load(project(tmp_path, f"allow_http = true\n{lines}")).allow_http


@pytest.mark.parametrize(
    "path", ["/etc/passwd", "../x", "a/../b", "a//b", "", ".", "./a", "a\\\\b", "a\\u0000", "a\\nb", "/"]
)
def test_files_for_the_working_directory_lie_inside_the_project(path: str, tmp_path: Path) -> None:
    """They become paths on hosts."""
    with pytest.raises(PackhorseError, match="no file, folder or pattern inside the project"):
        release_toml.load(project(tmp_path, f'files = ["{path}"]\n'))


def test_files_may_have_spaces_and_any_letters(tmp_path: Path) -> None:
    loaded = release_toml.load(project(tmp_path, 'files = ["mit Leerzeichen/ü.ini", "sql/*.sql"]\n'))
    assert loaded.files == ["mit Leerzeichen/ü.ini", "sql/*.sql"]
