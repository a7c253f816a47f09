"""The promises of release.upload.twine, with a twine that does nothing."""

import hashlib
import os
from pathlib import Path

import pytest

from packhorse.errors import PackhorseError
from packhorse.process import Finished
from release.build import repack
from release.credentials import Credentials
from release.host.formats import artifact
from release.upload import twine
from tests.support import built_dists
from tests.support.fakes import INDEX, FakeIndex, FakeRunner, a_context
from tests.unit.release.host.formats.test_artifact import STAMPED

WHO = Credentials("company", "s3cret")


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    """A wheel as `release build` leaves it."""
    dist = tmp_path / "dist"
    dist.mkdir()
    repack.wheel(built_dists.wheel(tmp_path), dist / "sample_app-0.1.0-py3-none-any.whl", STAMPED, 0)
    return dist / "sample_app-0.1.0-py3-none-any.whl"


def holding(wheel: Path, sha256: str | None = None) -> FakeIndex:
    """An index that has the wheel, with its own bytes or with those of `sha256`."""
    digest = sha256 or hashlib.sha256(wheel.read_bytes()).hexdigest()
    return FakeIndex({wheel.name: (f"/company/dev/+f/ab/{wheel.name}", digest)})


def nobody() -> Credentials:
    raise AssertionError("nobody may ask for a password here")


def test_a_new_file_is_checked_and_uploaded(wheel: Path, tmp_path: Path) -> None:
    """check first: a description that cannot be shown is found before the upload."""
    fake = FakeRunner()
    done = twine.upload([wheel], lambda: WHO, a_context(tmp_path, run=fake))
    assert [item.new for item in done] == [True]
    assert [command[3] for command in fake.commands] == ["check", "upload"]
    assert fake.environments[1]["TWINE_REPOSITORY_URL"] == f"{INDEX}/"


def test_the_password_travels_in_the_environment_of_the_upload_only(wheel: Path, tmp_path: Path) -> None:
    """Argument lists are readable for every user of the machine."""
    fake = FakeRunner()
    twine.upload([wheel], lambda: WHO, a_context(tmp_path, run=fake))
    assert "s3cret" not in str(fake.commands)
    assert ["TWINE_PASSWORD" in environment for environment in fake.environments] == [False, True]


def test_settings_that_point_twine_elsewhere_do_not_reach_it(
    wheel: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """TWINE_REPOSITORY of somebody's shell must not decide where a release goes."""
    monkeypatch.setitem(os.environ, "TWINE_REPOSITORY", "elsewhere")
    fake = FakeRunner()
    twine.upload([wheel], lambda: WHO, a_context(tmp_path, run=fake))
    assert [environment.get("TWINE_REPOSITORY") for environment in fake.environments] == [None, None]


def test_the_same_bytes_are_left_alone_and_need_no_password(wheel: Path, tmp_path: Path) -> None:
    """A pipeline that runs twice succeeds twice."""
    fake = FakeRunner()
    done = twine.upload([wheel], nobody, a_context(tmp_path, run=fake, index=holding(wheel)))
    assert [item.new for item in done] == [False]
    assert fake.commands == []


def test_other_bytes_are_refused_before_anything_is_uploaded(wheel: Path, tmp_path: Path) -> None:
    """A volatile index of devpi would take them and replace the old ones."""
    fake = FakeRunner()
    with pytest.raises(PackhorseError, match="with other content") as caught:
        twine.upload([wheel], nobody, a_context(tmp_path, run=fake, index=holding(wheel, "ab")))
    assert "Raise the version" in caught.value.hint
    assert fake.commands == []


def test_a_wheel_of_somebody_else_is_refused(tmp_path: Path) -> None:
    """Without lock and manifest no host could run it."""
    with pytest.raises(PackhorseError, match="was not made by release build") as caught:
        twine.upload([built_dists.wheel(tmp_path)], nobody, a_context(tmp_path))
    assert caught.value.hint.startswith("Build it with: release build")


@pytest.mark.parametrize(
    ("said", "message", "detail"),
    [
        ("ERROR HTTPError: 401 Unauthorized from x", "refuses the password of company", ""),
        ("ERROR HTTPError: 403 Forbidden from x", "company may not upload", ""),
        ("ERROR HTTPError: 409 Conflict from x", "with other content by now", "409 Conflict"),
        ("Connection refused; sent s3cret", "twine could not upload", "sent ********"),
    ],
)
def test_twines_failures_become_two_lines(
    said: str, message: str, detail: str, wheel: Path, tmp_path: Path
) -> None:
    """And the password is in none of them."""
    fake = FakeRunner(lambda command: Finished(int("upload" in command), "", said))
    with pytest.raises(PackhorseError, match=message) as caught:
        twine.upload([wheel], lambda: WHO, a_context(tmp_path, run=fake))
    assert detail in caught.value.detail
    assert "s3cret" not in caught.value.detail


def test_a_description_that_twine_refuses_is_shown(wheel: Path, tmp_path: Path) -> None:
    """A readme that no page can show; twine says what exactly."""
    fake = FakeRunner(lambda _: Finished(1, "long_description missing", ""))
    with pytest.raises(PackhorseError, match="twine check") as caught:
        twine.upload([wheel], nobody, a_context(tmp_path, run=fake))
    assert "long_description missing" in caught.value.detail
    assert "readme" in caught.value.hint


def test_by_default_the_version_that_was_built_last_is_taken(tmp_path: Path) -> None:
    """dist keeps the artifacts of earlier versions, and of the name that the project had before."""
    names = ["app-0.9.tar.gz", "old-0.10.tar.gz", "app-0.10.tar.gz", "app-0.10-py3-none-any.whl", "notes.txt"]
    for seconds, name in enumerate(names):
        tmp_path.joinpath(name).touch()
        os.utime(tmp_path / name, (seconds, seconds))
    assert [path.name for path in twine.last_built(tmp_path)] == [names[3], names[2]]


def test_a_version_that_was_raised_and_not_built_is_not_left_out(tmp_path: Path) -> None:
    """The one before was already uploaded, and deployed again."""
    (tmp_path / "app-0.2.0.tar.gz").touch()
    assert twine.last_built(tmp_path, "0.2")
    with pytest.raises(PackhorseError, match=r"says version 0\.3\.0, but 0\.2\.0 was built last"):
        twine.last_built(tmp_path, "0.3.0")


def test_without_an_artifact_the_error_says_how_to_build_one(tmp_path: Path) -> None:
    """The order of commands is not obvious on the first day."""
    with pytest.raises(PackhorseError) as caught:
        twine.last_built(tmp_path)
    assert caught.value.hint == "Build one first: release build"


def test_the_manifest_of_the_example_is_the_one_in_the_wheel(wheel: Path) -> None:
    """The fixture is what `release build` leaves, or the tests above prove nothing."""
    assert artifact.read(wheel).manifest.name == "sample-app"
