"""The promises of release.host.formats.lockfile."""

import pytest
from packaging.requirements import Requirement

from packhorse.errors import PackhorseError
from release.host.formats import lockfile

A, B = "a" * 64, "b" * 64
HEAD = 'lock-version = "1.0"\ncreated-by = "uv"\n'


def package(name: str, body: str) -> str:
    return f'[[packages]]\nname = "{name}"\nversion = "1.0"\n{body}\n'


def file(filename: str, digest: str) -> str:
    return f'{{ path = "wheels/{filename}", hashes = {{ sha256 = "{digest}" }} }}'


def requirements(text: str) -> list[str]:
    return lockfile.requirements(lockfile.parse((HEAD + text).encode(), "pylock.toml"), "pylock.toml")


def test_a_package_becomes_one_line_with_the_hash_of_every_file() -> None:
    """Names, versions and hashes count; where the build machine saw the files does not."""
    sdist, wheel = file("flask-1.0.tar.gz", B), file("flask-1.0-py3-none-any.whl", A)
    text = package("flask", f"marker = \"sys_platform == 'linux'\"\nsdist = {sdist}\nwheels = [{wheel}]")
    line = f'flask==1.0 ; sys_platform == "linux" --hash=sha256:{A} --hash=sha256:{B}'
    assert requirements(text) == [line]
    assert Requirement(line.partition(" --hash")[0]).name == "flask"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[[packages]\n", "pylock.toml: this is not a valid lock"),
        (package("Flask", ""), "pylock.toml: this is not a valid lock"),
        (package("a", 'directory = { path = "." }'), "a comes from a folder, a URL or a repository"),
        (package("a", 'vcs = { type = "git", url = "u", commit-id = "1" }'), "a comes from a folder"),
        (package("a", f"wheels = [{file('a-1.0-py3-none-any.whl', 'x --index-url=e')}]"), "has no sha256"),
        (
            package("a", f"marker = \"'x' in extras\"\nwheels = [{file('a-1.0-py3-none-any.whl', A)}]"),
            "a belongs to an extra",
        ),
    ],
)
def test_a_lock_that_an_index_cannot_deliver_is_refused(text: str, message: str) -> None:
    """An artifact comes from elsewhere: nothing in it may reach pip's command line unchecked."""
    with pytest.raises(PackhorseError) as caught:
        requirements(text)
    assert message in caught.value.message
