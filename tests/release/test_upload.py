"""The promises of release.upload, with a twine that does nothing."""

import hashlib
import os
from pathlib import Path

import pytest

from packhorse.errors import PackhorseError
from packhorse.process import Finished
from release import stamp, upload
from release.credentials import Credentials
from release.host import artifact
from tests.release import archives
from tests.release.fakes import INDEX, FakeIndex, FakeRunner, world
from tests.release.host.test_artifact import STAMPED

WHO = Credentials("company", "s3cret")


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    """A wheel as `release build` leaves it."""
    dist = tmp_path / "dist"
    dist.mkdir()
    stamp.wheel(archives.wheel(tmp_path), dist / "sample_app-0.1.0-py3-none-any.whl", STAMPED, 0)
    return dist / "sample_app-0.1.0-py3-none-any.whl"


def holding(wheel: Path, sha256: str | None = None) -> FakeIndex:
    """An index that has the wheel, with its own bytes or with those of `sha256`."""
    digest = sha256 or hashlib.sha256(wheel.read_bytes()).hexdigest()
    return FakeIndex({wheel.name: (f"/company/dev/+f/ab/{wheel.name}", digest)})


def nobody() -> Credentials:
    raise AssertionError("nobody may ask for a password here")


def test_a_new_file_is_checked_and_uploaded(wheel: Path, tmp_path: Path) -> None:
    """check --strict first: a description that cannot be shown is found before the upload."""
    twine = FakeRunner()
    done = upload.upload([wheel], lambda: WHO, world(tmp_path, run=twine))
    assert [item.new for item in done] == [True]
    assert [command[3:5] for command in twine.commands] == [
        ["check", "--strict"],
        ["upload", "--non-interactive"],
    ]
    assert twine.environments[1]["TWINE_REPOSITORY_URL"] == f"{INDEX}/"


def test_the_password_travels_in_the_environment_of_the_upload_only(wheel: Path, tmp_path: Path) -> None:
    """Argument lists are readable for every user of the machine."""
    twine = FakeRunner()
    upload.upload([wheel], lambda: WHO, world(tmp_path, run=twine))
    assert "s3cret" not in str(twine.commands)
    assert ["TWINE_PASSWORD" in environment for environment in twine.environments] == [False, True]


def test_settings_that_point_twine_elsewhere_do_not_reach_it(
    wheel: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """TWINE_REPOSITORY of somebody's shell must not decide where a release goes."""
    monkeypatch.setitem(os.environ, "TWINE_REPOSITORY", "elsewhere")
    twine = FakeRunner()
    upload.upload([wheel], lambda: WHO, world(tmp_path, run=twine))
    assert [environment.get("TWINE_REPOSITORY") for environment in twine.environments] == [None, None]


def test_the_same_bytes_are_left_alone_and_need_no_password(wheel: Path, tmp_path: Path) -> None:
    """A pipeline that runs twice succeeds twice."""
    twine = FakeRunner()
    done = upload.upload([wheel], nobody, world(tmp_path, run=twine, index=holding(wheel)))
    assert [item.new for item in done] == [False]
    assert twine.commands == []


def test_other_bytes_are_refused_before_anything_is_uploaded(wheel: Path, tmp_path: Path) -> None:
    """A volatile index of devpi would take them and replace the old ones."""
    twine = FakeRunner()
    with pytest.raises(PackhorseError, match="with other content") as caught:
        upload.upload([wheel], nobody, world(tmp_path, run=twine, index=holding(wheel, "ab")))
    assert "Raise the version" in caught.value.hint
    assert twine.commands == []


def test_a_wheel_of_somebody_else_is_refused(tmp_path: Path) -> None:
    """Without lock and manifest no host could run it."""
    with pytest.raises(PackhorseError, match="there is no Procfile") as caught:
        upload.upload([archives.wheel(tmp_path)], nobody, world(tmp_path))
    assert caught.value.hint == "Build it with: release build"


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
    twine = FakeRunner(lambda command: Finished(int("upload" in command), "", said))
    with pytest.raises(PackhorseError, match=message) as caught:
        upload.upload([wheel], lambda: WHO, world(tmp_path, run=twine))
    assert detail in caught.value.detail
    assert "s3cret" not in caught.value.detail


def test_a_description_that_twine_refuses_is_shown(wheel: Path, tmp_path: Path) -> None:
    """Mostly the readme is missing; twine says what exactly."""
    twine = FakeRunner(lambda _: Finished(1, "long_description missing", ""))
    with pytest.raises(PackhorseError, match="twine check") as caught:
        upload.upload([wheel], nobody, world(tmp_path, run=twine))
    assert "long_description missing" in caught.value.detail
    assert "readme" in caught.value.hint


def test_by_default_the_version_that_was_built_last_is_taken(tmp_path: Path) -> None:
    """dist keeps the artifacts of earlier versions, and of the name that the project had before."""
    names = ["app-0.9.tar.gz", "old-0.10.tar.gz", "app-0.10.tar.gz", "app-0.10-py3-none-any.whl", "notes.txt"]
    for seconds, name in enumerate(names):
        tmp_path.joinpath(name).touch()
        os.utime(tmp_path / name, (seconds, seconds))
    assert [path.name for path in upload.last_built(tmp_path)] == [names[3], names[2]]


def test_without_an_artifact_the_error_says_how_to_build_one(tmp_path: Path) -> None:
    """The order of commands is not obvious on the first day."""
    with pytest.raises(PackhorseError) as caught:
        upload.last_built(tmp_path)
    assert caught.value.hint == "Build one first: release build"


def test_the_manifest_of_the_example_is_the_one_in_the_wheel(wheel: Path) -> None:
    """The fixture is what `release build` leaves, or the tests above prove nothing."""
    assert artifact.read(wheel).manifest.name == "sample-app"
