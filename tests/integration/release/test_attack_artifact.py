"""Attacks on what `release deploy` installs: another artifact than the company's."""

import io
import json
import tarfile
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from release import signing
from release.host.disk import journal
from release.host.disk.layout import Layout
from tests.support.dists import Dist, wheel
from tests.support.local_target import running_host
from tests.support.mirror_and_upstream import Mirrored, mirror_of
from tests.support.servers import BIN, clean_environment, free_port, run_command
from tests.support.tiny_app import NAME, app_sdist, app_wheel
from tests.support.upstream import Upstream

STRANGER = app_wheel("99.0")
OWN = app_wheel("1.0")


@dataclass(frozen=True)
class Team:
    """A mirror whose upstream has a stranger's package under the application's name, and a deployer."""

    mirrored: Mirrored
    home: Path

    def configure(self, more: str = "") -> None:
        """Write release.toml, with `more` at its top."""
        (self.home / NAME).mkdir(exist_ok=True)
        (self.home / NAME / "release.toml").write_text(
            f'app = "{NAME}"\nindex = "{self.mirrored.mirror.url}/company/dev"\n{more}\n'
            f'[targets.local]\nbind = "127.0.0.1:{free_port()}"\n'
        )

    def release(self, *arguments: str, status: int = 0, more: Mapping[str, str] | None = None) -> str:
        """What `release` prints; `more` adds to the environment."""
        environment = clean_environment(self.home, **(more or {}))
        done = run_command(BIN / "release", *arguments, env=environment, cwd=self.home / NAME, status=status)
        return done.stdout if status == 0 else done.stderr

    def refused(self, *arguments: str) -> str:
        """The error of a `release deploy local` that fails: two lines, and nothing was installed."""
        lines = self.release("deploy", "local", *arguments, status=1).splitlines()
        assert [line.split()[0] for line in lines[-2:]] == ["Error:", "Hint:"]
        assert "Traceback" not in "".join(lines)
        assert not (self.layout.files.exists() and list(self.layout.files.iterdir()))
        return lines[-2]

    def upload(self, dist: Dist, index: str) -> None:
        """Upload `dist` as the owner of `index`."""
        path = self.home / dist.filename
        path.write_bytes(dist.content)
        self.mirrored.upload(path, index)

    def delete(self, version: str) -> None:
        """Delete `version` from company/dev, with the devpi client's own call."""
        import requests

        mirror = self.mirrored.mirror
        url, login = f"{mirror.url}/company/dev/{NAME}/{version}", ("company", mirror.credentials["company"])
        assert requests.delete(url, auth=login, timeout=30).status_code == 200

    @property
    def layout(self) -> Layout:
        """Where the application lies."""
        return Layout(NAME, self.home / "apps", self.home / "run")


@pytest.fixture(scope="module")
def _mirrored() -> Iterator[Mirrored]:
    with Upstream() as upstream, mirror_of(upstream) as mirrored:
        upstream.add(NAME, STRANGER)
        yield mirrored


@pytest.fixture
def team(_mirrored: Mirrored, home: Path) -> Iterator[Team]:
    made = Team(_mirrored, home)
    made.configure()
    yield made
    made.release("stop", "local", status=0 if made.layout.current.exists() else 1)


def index_of(team: Team, name: str) -> str:
    return f"{team.mirrored.mirror.url}/{name}"


def test_a_strangers_package_is_not_deployed_before_the_first_upload(team: Team) -> None:
    """It is a valid artifact of `release build`: only where it comes from tells it apart."""
    for arguments in ([], [f"{NAME}==99.0"], ["--plan"], ["--index", index_of(team, "company/prod")]):
        assert "of an upstream only" in team.refused(*arguments)
    assert "is an index of type mirror" in team.refused("--index", index_of(team, "root/pypi"))


def test_the_users_word_for_an_index_does_not_count_where_devpi_says_more(team: Team) -> None:
    """`index_is_private` is for servers that say nothing."""
    team.configure("index_is_private = true")
    assert "of an upstream only" in team.refused()


def names_nothing_of_ours(said: str) -> bool:
    """Whether that is the reason: our mirror shows no upstream under a name of uploads; other devpis do."""
    return "of an upstream only" in said or "it has no version at all" in said


def test_what_is_deployed_is_the_companys_and_everybody_can_see_which(team: Team) -> None:
    """From the first upload to the deletion of the last version; the journal keeps what was installed."""
    team.upload(OWN, "company/dev")
    prod = ("--index", index_of(team, "company/prod"))
    assert names_nothing_of_ours(team.refused(*prod, "--plan"))
    assert names_nothing_of_ours(team.refused(f"{NAME}==99.0", *prod))
    assert "has no tiny==99.0; it has 1.0" in team.refused(f"{NAME}==99.0")
    planned = team.release("deploy", "local", "--plan")
    assert f"tiny 1.0 from {index_of(team, 'company/dev')}: {OWN.filename}, sha256 {OWN.sha256}" in planned
    as_json = json.loads(team.release("deploy", "local", "--plan", "--json"))
    assert as_json["artifact"]["sha256"] == OWN.sha256
    done = json.loads(team.release("deploy", "local", "--json"))["hosts"][0]
    assert done["artifact"] == as_json["artifact"]
    assert journal.read(team.layout.journal)[-1].artifact == done["artifact"]
    team.delete("1.0")
    for arguments in ([], [f"{NAME}==99.0"]):
        assert names_nothing_of_ours(team.release("deploy", "local", *arguments, status=1))


def test_a_file_on_dev_does_not_replace_the_promoted_one(team: Team) -> None:
    """Uploads to company/dev are for everybody, those to company/prod for few."""
    promoted, shadow = app_wheel("3.0"), app_wheel("3.0", "slow")
    team.upload(promoted, "company/prod")
    team.upload(shadow, "company/dev")
    assert "is not the same file on" in team.refused(f"{NAME}==3.0")
    planned = team.release(
        "deploy", "local", f"{NAME}==3.0", "--plan", "--index", index_of(team, "company/prod")
    )
    assert promoted.sha256 in planned


def test_other_content_under_the_name_of_a_version_is_not_deployed(home: Path) -> None:
    """An index lists anything under any name: what is inside says what it is."""
    other = app_wheel("2.5")
    with running_host(home) as host:
        host.served.add(NAME, Dist(app_wheel("4.0").filename, other.content, other.metadata))
        for more in ([], ["--plan"]):
            said = host.release("deploy", "local", f"{NAME}==4.0", *more, status=1).stderr
            assert "is not tiny 4.0: its metadata says 'tiny' '2.5'" in said


def new_key(folder: Path, name: str) -> Path:
    """A new ssh key without a passphrase."""
    path = folder / name
    command = ("ssh-keygen", "-q", "-N", "", "-t", "ed25519", "-C", name, "-f", path)
    run_command(*command, env=clean_environment(folder))
    return path


def public(key: Path) -> str:
    """Its line in `signers`."""
    return key.with_suffix(".pub").read_text().strip()


BACKEND = """\
import json, os, pathlib, zipfile
def build_wheel(folder, *_, **__):
    seen = pathlib.Path({seen!r})
    seen.write_text(json.dumps({{**os.environ, "TOOL": {tool}}}))
    with zipfile.ZipFile(pathlib.Path(folder, {wheel!r}), "w") as archive:
        for name, text in {members!r}.items():
            archive.writestr(name, text)
    return {wheel!r}
def build_sdist(folder, *_, **__):
    import io, tarfile
    with tarfile.open(pathlib.Path(folder, {sdist!r}), "w:gz") as tar:
        tar.add(".", {root!r}, filter=lambda entry: None if "/dist" in entry.name else entry)
        entry = tarfile.TarInfo({root!r} + "/PKG-INFO")
        entry.size = len({metadata!r})
        tar.addfile(entry, io.BytesIO({metadata!r}))
    return {sdist!r}
"""


def project(folder: Path, made: Dist, seen: Path, *, tool: bool = False, more: str = "") -> None:
    """Sources that build as `made`, by a backend that writes its environment into the file `seen`.

    With `tool` it needs the package buildtool, and writes down the version of it that it got.
    """
    name, version, *_ = made.filename.split("-")
    with zipfile.ZipFile(io.BytesIO(made.content)) as archive:
        members = {each: archive.read(each).decode() for each in archive.namelist()}
    root = f"{name}-{version}"
    backend = BACKEND.format(
        seen=str(seen),
        tool="__import__('buildtool').__version__" if tool else "''",
        wheel=made.filename,
        members=members,
        sdist=f"{root}.tar.gz",
        root=root,
        metadata=made.metadata,
    )
    folder.mkdir(exist_ok=True)
    (folder / "backend.py").write_text(backend)
    (folder / "pyproject.toml").write_text(
        f'[build-system]\nrequires = {["buildtool"] if tool else []}\nbuild-backend = "backend"\n'
        f'backend-path = ["."]\n[project]\nname = "{name}"\nversion = "{version}"\n{more}'
    )


def packed(folder: Path, name: str, metadata: bytes) -> Dist:
    """The sdist of the sources in `folder`, as a package index has it."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        tar.add(folder, name)
    return Dist(f"{name}.tar.gz", buffer.getvalue(), metadata)


def test_a_build_backend_gets_no_secret_of_the_environment(team: Team) -> None:
    """It is code of strangers, and a build server's environment holds all secrets that there are."""
    seen = team.home / "seen.json"
    project(team.home / NAME, app_wheel("5.0"), seen)
    (team.home / NAME / "Procfile").write_text("web: python -m tiny\n")
    secrets = {
        "TWINE_PASSWORD": "hunter2",
        "AWS_SECRET_ACCESS_KEY": "hunter2",
        "SSH_AUTH_SOCK": "/hunter2",
        "UV_INDEX": "https://hunter2.example.com",
        "PYTHONPATH": "/hunter2",
        "LD_PRELOAD": "",
        "NODE_ENV": "hunter2",
    }
    needed = {"CFLAGS": "-O2", "HTTPS_PROXY": "http://127.0.0.1:9", "NO_PROXY": "127.0.0.1"}
    team.release("build", more=secrets | needed)
    environment = json.loads(seen.read_text())
    assert "hunter2" not in "".join(environment.values())
    assert needed.items() <= environment.items()
    assert environment["SOURCE_DATE_EPOCH"]
    team.configure('build_environment = ["NODE_ENV"]')
    team.release("build", more=secrets)
    environment = json.loads(seen.read_text())
    assert [name for name, value in environment.items() if "hunter2" in value] == ["NODE_ENV"]


@pytest.mark.needs("ssh-keygen")
def test_a_dependency_without_wheels_is_built_by_choice_once_and_never_on_a_host(team: Team) -> None:
    """A package of a stranger that only has sdists would run its backend wherever it is installed."""
    seen, upstream = team.home / "seen.json", team.mirrored.upstream
    made = wheel("native", "1.0")
    project(team.home / "native", made, seen, tool=True)
    upstream.add("buildtool", wheel("buildtool", "1.0"))
    upstream.add("native", packed(team.home / "native", "native-1.0", made.metadata))
    project(team.home / NAME, app_wheel("6.0"), team.home / "own.json", more='dependencies = ["native"]\n')
    (team.home / NAME / "Procfile").write_text("web: python -m tiny\n")
    for command in ("lock", "build"):
        error, hint = team.release(command, status=1).splitlines()[-2:]
        assert error.startswith("Error: There is no wheel of native")
        assert 'sdists = ["native"] in release.toml' in hint
        assert not seen.exists()
    team.configure('sdists = ["native"]')
    assert "pylock.build-native.toml" in team.release("lock", more={"GITHUB_TOKEN": "hunter2"})
    upstream.add("buildtool", wheel("buildtool", "2.0"))
    team.mirrored.refresh("buildtool")
    seen.unlink(missing_ok=True)
    key = new_key(team.home, "ann")
    team.configure(f'sdists = ["native"]\nrequire_signature = true\nsigners = ["{public(key)}"]')
    team.release("build", "--sign", str(key), more={"GITHUB_TOKEN": "hunter2"})
    environment = json.loads(seen.read_text())
    assert environment["TOOL"] == "1.0", "build requirements are locked"
    assert "hunter2" not in "".join(environment.values())
    built = {path.name: path.read_bytes() for path in (team.home / NAME / "dist").iterdir()}
    seen.unlink()
    team.release("build")
    assert not seen.exists(), "built once"
    password = {"TWINE_PASSWORD": team.mirrored.mirror.credentials["company"]}
    assert "is not signed, and require_signature is set" in team.release("upload", status=1, more=password)
    team.release("upload", "--sign", str(key), more=password)
    assert {path.name: path.read_bytes() for path in (team.home / NAME / "dist").iterdir()} == built
    with upstream.refusing():
        team.release("deploy", "local", f"{NAME}==6.0")
    assert not seen.exists()
    site = next(team.layout.release(1).glob("venv/lib/*/site-packages"))
    assert (site / "native" / "__init__.py").exists()


@pytest.mark.needs("ssh-keygen")
def test_with_require_signature_a_host_runs_nothing_that_nobody_signed(home: Path) -> None:
    """Whoever controls the index decides on every file and every hash there."""
    keys = [new_key(home, "ann"), new_key(home, "mallory")]
    with running_host(home) as host:
        host.deploy("0.1.0")
        host.deploy("0.2.0")
        unsigned, evil, good = (
            app_wheel("0.3.0"),
            signed(app_wheel("0.4.0"), keys[1]),
            signed(app_wheel("0.5.0"), keys[0]),
        )
        changed = Dist(evil.filename.replace("0.4.0", "0.6.0"), good.content, good.metadata)
        sdist = signed(app_sdist("0.7.0"), keys[0])
        host.served.add(NAME, unsigned, evil, good, changed, sdist)
        settings = host.project / "release.toml"
        signer = public(keys[0])
        settings.write_text(f'require_signature = true\nsigners = ["{signer}"]\n{settings.read_text()}')
        for version, reason in (
            ("0.3.0", "is not signed"),
            ("0.4.0", "has no valid signature of a key in signers"),
            ("0.6.0", "has no valid signature of a key in signers"),
        ):
            for more in ([], ["--plan"]):
                said = host.release("deploy", "local", f"{NAME}=={version}", *more, status=1).stderr
                assert reason in said
            assert [path.name for path in sorted(host.layout.releases.iterdir())] == ["1", "2"]
            assert host.get() == "0.2.0"
        assert host.release("rollback", "local").returncode == 0, "what ran before needs no signature"
        assert host.get() == "0.1.0"
        for version, installer in (("0.5.0", "uv"), ("0.7.0", "pip")):
            settings.write_text(
                settings.read_text().replace(
                    "[targets.local]\n", f'[targets.local]\ninstaller = "{installer}"\n'
                )
            )
            done = json.loads(host.release("deploy", "local", f"{NAME}=={version}", "--json").stdout)
            assert done["hosts"][0]["artifact"]["signer"] == signer
            assert host.get() == version
            settings.write_text(settings.read_text().replace(f'installer = "{installer}"\n', ""))


def signed(dist: Dist, key: Path) -> Dist:
    """`dist` as `release build --sign` leaves it."""
    path = key.parent / dist.filename
    path.write_bytes(dist.content)
    signing.sign(path, key)
    return Dist(dist.filename, path.read_bytes(), dist.metadata)
