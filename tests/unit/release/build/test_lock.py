"""The promises of release.build.lock."""

from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

import pytest
from packaging.pylock import Pylock

from packhorse.errors import PackhorseError
from packhorse.process import Finished
from release.build import lock
from release.host.formats import lockfile
from tests.support.fakes import INDEX, FakeRunner, a_context

A = "a" * 64


def uv_lock(*versions: str, python: str = ">=3.11") -> str:
    """What uv writes: `versions` are like flask==3.1."""
    packages = ""
    for pin in versions:
        name, _, version = pin.partition("==")
        url = f"http://127.0.0.1:3141/root/pypi/+f/ab/{name}-{quote(version)}-py3-none-any.whl"
        wheels = f'wheels = [{{ url = "{url}", hashes = {{ sha256 = "{A}" }} }}]'
        packages += f'\n[[packages]]\nname = "{name}"\nversion = "{version}"\n{wheels}\n'
    head = f'lock-version = "1.0"\ncreated-by = "uv"\nrequires-python = "{python}"\n'
    return head + (packages or "packages = []\n")


def fake_uv(text: str) -> FakeRunner:
    def write(command: list[str]) -> Finished:
        Path(command[command.index("--output-file") + 1]).write_text(text)
        return Finished(0, "", "")

    return FakeRunner(write)


def parsed(text: bytes) -> Pylock:
    return lockfile.parse(text, "pylock.toml")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "app"
    folder.mkdir()
    text = '[project]\nname = "app"\ndependencies = ["flask"]\nrequires-python = ">=3.11"\n'
    folder.joinpath("pyproject.toml").write_text(text)
    return folder


def test_a_lock_has_no_address_in_it() -> None:
    """A host sees the index under another name than the build machine: URLs would tie them together."""
    text = lock.without_addresses(uv_lock("flask==3.1+local"), ">=3.11").decode()
    assert "://" not in text
    assert 'path = "wheels/flask-3.1+local-py3-none-any.whl"' in text
    assert parsed(text.encode()).packages[0].name == "flask"


def test_an_upper_bound_for_python_is_kept() -> None:
    """uv drops it: it locks for everything above the lower bound."""
    text = lock.without_addresses(uv_lock("flask==3.1"), ">=3.12,<3.14").decode()
    assert 'requires-python = ">=3.12,<3.14"' in text


@pytest.mark.parametrize(
    ("allowed", "oldest"),
    [
        (None, "3.11"),
        (">=3.8", "3.11"),
        (">=3.12,<4", "3.12"),
        (">=3.11.4", "3.11.4"),
        ("~=3.13", "3.13"),
        ("==3.12.*", "3.12"),
        (">3.11", "3.11.1"),
        ("!=3.11.*", "3.12"),
    ],
)
def test_the_lock_begins_with_the_oldest_python_that_is_allowed(allowed: str | None, oldest: str) -> None:
    """Universal over the Pythons of the project, as far as Packhorse runs on them."""
    assert str(lock.oldest_python(allowed)) == oldest


@pytest.mark.parametrize(("allowed", "message"), [("<3.11", "allows no Python"), ("3.11", "is not valid")])
def test_a_project_for_no_python_of_ours_is_refused(allowed: str, message: str) -> None:
    """Better here than on a host."""
    with pytest.raises(PackhorseError, match=message):
        lock.oldest_python(allowed)


def test_uv_sees_the_company_index_and_nothing_else(project: Path, tmp_path: Path) -> None:
    """A second place to look is how dependency confusion happens."""
    run = fake_uv(uv_lock("flask==3.1"))
    lock.committed(project, a_context(tmp_path, run=run))
    assert run.environments[0]["UV_DEFAULT_INDEX"] == f"{INDEX}/+simple/"
    assert not [word for word in run.commands[0] if "http" in word]


def test_a_project_without_a_lock_gets_one(project: Path, tmp_path: Path) -> None:
    """The first build needs no preparation."""
    text = lock.committed(project, a_context(tmp_path, run=fake_uv(uv_lock("flask==3.1"))))
    assert project.joinpath("pylock.toml").read_bytes() == text
    assert lock.requirement_lines(project) == [f"flask==3.1 --hash=sha256:{A}"]


def test_a_committed_lock_that_fits_is_used_byte_for_byte(project: Path, tmp_path: Path) -> None:
    """New files for a known version (a wheel for a new Python) do not change what was decided."""
    kept = lock.without_addresses(uv_lock("flask==3.1"), ">=3.11").replace(b"aaaa", b"bbbb")
    project.joinpath("pylock.toml").write_bytes(kept)
    assert lock.committed(project, a_context(tmp_path, run=fake_uv(uv_lock("flask==3.1")))) == kept


@pytest.mark.parametrize(
    ("now", "said"),
    [
        (uv_lock("flask==3.2"), "flask 3.1 -> 3.2"),
        (uv_lock("flask==3.1", "gunicorn==25.1"), r"gunicorn \(new\) -> 25.1"),
        (uv_lock(), r"flask 3.1 -> \(gone\)"),
    ],
)
def test_a_committed_lock_that_does_not_fit_is_refused(
    now: str, said: str, project: Path, tmp_path: Path
) -> None:
    """Renewing it silently would release what nobody committed."""
    project.joinpath("pylock.toml").write_bytes(lock.without_addresses(uv_lock("flask==3.1"), ">=3.11"))
    with pytest.raises(PackhorseError, match=said) as caught:
        lock.committed(project, a_context(tmp_path, run=fake_uv(now)))
    assert caught.value.hint == "Renew it and commit it: release lock"


SDIST_ONLY = (
    uv_lock("flask==3.1")
    .replace("wheels = [", "sdist = ")
    .replace("}]", "}")
    .replace("-py3-none-any.whl", ".tar.gz")
)


def test_a_committed_lock_that_needs_an_sdist_is_refused_with_the_setting_to_change(
    project: Path, tmp_path: Path
) -> None:
    """Locks of an older Packhorse may: a host would have had to build it."""
    project.joinpath("pylock.toml").write_bytes(lock.without_addresses(SDIST_ONLY, ">=3.11"))
    context = a_context(tmp_path, run=fake_uv(SDIST_ONLY))
    with pytest.raises(PackhorseError, match="There is no wheel of flask") as caught:
        lock.committed(project, context)
    assert 'sdists = ["flask"] in release.toml' in caught.value.hint
    assert lock.committed(project, replace(context, sdists=["flask"]))


def test_only_wheels_are_locked_unless_the_package_is_named(project: Path, tmp_path: Path) -> None:
    """uv would run the build backend of anything else to learn what it depends on."""
    run = fake_uv(uv_lock("flask==3.1"))
    lock.committed(project, replace(a_context(tmp_path, run=run), sdists=["native"]))
    assert run.commands[0][-4:] == ["--only-binary", ":all:", "--no-binary", "native"]


def test_a_lock_for_other_pythons_does_not_fit(project: Path, tmp_path: Path) -> None:
    """requires-python was lowered: the lock says nothing about the new ones."""
    project.joinpath("pylock.toml").write_bytes(lock.without_addresses(uv_lock("flask==3.1"), ">=3.12"))
    with pytest.raises(PackhorseError, match="other Pythons or platforms"):
        lock.committed(project, a_context(tmp_path, run=fake_uv(uv_lock("flask==3.1"))))


def test_a_committed_lock_with_addresses_is_refused(project: Path, tmp_path: Path) -> None:
    """uv's own locks have them; they would put the build machine's index into every artifact."""
    project.joinpath("pylock.toml").write_text(uv_lock("flask==3.1"))
    with pytest.raises(PackhorseError, match="has addresses in it"):
        lock.committed(project, a_context(tmp_path, run=fake_uv(uv_lock("flask==3.1"))))


def test_renewing_says_what_has_changed_and_upgrading_forgets_the_old_versions(
    project: Path, tmp_path: Path
) -> None:
    """uv keeps the versions of the lock that it finds: without one it takes the newest."""
    path = project / "pylock.toml"
    path.write_bytes(lock.without_addresses(uv_lock("flask==3.1"), ">=3.11"))
    seen: list[bool] = []

    def upgrade(command: list[str]) -> Finished:
        output = Path(command[command.index("--output-file") + 1])
        seen.append(output.exists())
        output.write_text(uv_lock("flask==3.2"))
        return Finished(0, "", "")

    there = a_context(tmp_path, run=FakeRunner(upgrade), index=None)
    assert lock.renew(project, there, upgrade=False) == ["flask 3.1 -> 3.2"]
    assert lock.renew(project, there, upgrade=True) == []
    assert seen == [True, False]
    assert b"3.2" in path.read_bytes()


def test_what_uv_says_is_shown_and_the_old_lock_stays(project: Path, tmp_path: Path) -> None:
    """Its explanation of a conflict is the best there is."""
    kept = lock.without_addresses(uv_lock("flask==3.1"), ">=3.11")
    project.joinpath("pylock.toml").write_bytes(kept)
    failing = FakeRunner(lambda _: Finished(1, "", "Because flask==9 was not found"))
    with pytest.raises(PackhorseError, match="cannot be locked") as caught:
        lock.renew(project, a_context(tmp_path, run=failing), upgrade=True)
    assert "Because flask==9 was not found" in caught.value.detail
    assert project.joinpath("pylock.toml").read_bytes() == kept


def test_a_dependency_from_an_address_is_refused() -> None:
    """The index could not deliver it to a host."""
    text = uv_lock() + (
        '[[packages]]\nname = "x"\n'
        f'archive = {{ url = "https://example.com/x.zip", hashes = {{ sha256 = "{A}" }} }}\n'
    )
    with pytest.raises(PackhorseError, match="x comes from a folder, a URL or a repository"):
        lock.without_addresses(text.replace("packages = []\n", ""), None)


def test_without_a_lock_there_are_no_requirement_lines(project: Path) -> None:
    """Developers are told how to get one."""
    with pytest.raises(PackhorseError) as caught:
        lock.requirement_lines(project)
    assert caught.value.hint == "Make one: release lock"
