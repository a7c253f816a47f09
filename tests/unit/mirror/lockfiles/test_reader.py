"""Lock files that real tools wrote, and files that are none: what is read of them, or the error.

The files in locks/ were made by uv 0.13, Poetry 2.5, PDM 2.25 and Pipenv 2026 of one project with a
dependency for windows, one with an extra, one from git, one in a folder. Names of hosts are replaced, and
wheels of rare platforms left out.
"""

import subprocess
import sys
from pathlib import Path

import pytest

from mirror.lockfiles import environments, reader
from mirror.lockfiles.lock import Lock, Pin
from packhorse.errors import PackhorseError

LOCKS = Path(__file__).with_name("locks")
ENVIRONMENTS = environments.wanted(["3.12"], ["linux-x86_64", "windows-x86_64"])
LINUX, WINDOWS = ENVIRONMENTS
COMMON = {
    *("blinker", "certifi", "charset-normalizer", "click", "flask", "idna", "itsdangerous", "jinja2"),
    *("iniconfig", "markupsafe", "pysocks", "requests", "urllib3", "werkzeug"),
}
PACKAGE = "[[package]]\nname='a'\nversion='1'\n"
REAL = {
    "uv.lock": ("uv.lock", COMMON | {"orjson"}),
    "pylock.toml": ("pylock.toml", COMMON),  # uv exports extras when told to
    "requirements.txt": ("requirements", COMMON),
    "poetry.lock": ("poetry.lock", COMMON | {"orjson"}),
    "pdm.lock": ("pdm.lock", COMMON | {"orjson"}),
    "pdm.static.lock": ("pdm.lock", COMMON | {"orjson"}),
    "Pipfile.lock": ("Pipfile.lock", COMMON),
}


def read(tmp_path: Path, text: str, name: str = "requirements.txt") -> Lock:
    """What a file of this name says."""
    path = tmp_path / name
    path.write_text(text)
    return reader.read(str(path), ENVIRONMENTS)


def pins(lock: Lock) -> dict[str, list[Pin]]:
    """By project."""
    found: dict[str, list[Pin]] = {}
    for pin in lock.pins:
        found.setdefault(pin.project, []).append(pin)
    return found


@pytest.mark.parametrize("name", REAL)
def test_the_locks_of_every_tool_say_the_same(name: str) -> None:
    """The same project, locked by each: versions, hashes, markers, extras, and what no index has."""
    kind, projects = REAL[name]
    lock = reader.read(str(LOCKS / name), ENVIRONMENTS)
    found = pins(lock)
    assert lock.formats == (kind,)
    assert set(found) - {"colorama"} == projects
    assert {pin.version for pin in found["jinja2"]} == {"3.1.6"}
    hashes = {pair for file in found["jinja2"][0].files for pair in file.hashes} | found["jinja2"][0].hashes
    assert {kind for kind, _ in hashes} == {"sha256"}
    assert len(hashes) == 2
    assert {each.project: each.local for each in lock.elsewhere} == {"gitdep": False, "pathdep": True}
    assert {pin.environments for pin in found["flask"]} == {(LINUX, WINDOWS)}


@pytest.mark.parametrize("name", REAL)
def test_logins_in_addresses_are_forgotten(tmp_path: Path, name: str) -> None:
    """Words of a lock are printed, and CI jobs keep them for years."""
    text = (LOCKS / name).read_text().replace("://", "://tok3n:s3c@ret@")
    found = read(tmp_path, text, name)
    assert "ret@" in text
    assert "s3c" not in repr(found)
    assert {each.project for each in found.elsewhere} == {"gitdep", "pathdep"}


@pytest.mark.parametrize(
    "line",
    [
        "git+https://tok3n:s3cret@example.com",
        "-e git+ssh://tok3n:s3cret@example.com/a.git@v1",
        "a @ https://tok3n:s3cret@b/ c",
    ],
)
def test_logins_are_in_no_name_and_no_error(tmp_path: Path, line: str) -> None:
    """Of a place without a name, its end stands for one; errors quote lines."""
    try:
        said = repr(read(tmp_path, line))
    except PackhorseError as error:
        said = str(error)
    assert "example.com" in said or "https://b/" in said
    assert "s3cret" not in said


@pytest.mark.parametrize("name", sorted(REAL.keys() - {"Pipfile.lock", "pdm.static.lock"}))
def test_markers_decide_where_a_package_is_needed(name: str) -> None:
    """Colorama is for windows."""
    (colorama,) = pins(reader.read(str(LOCKS / name), ENVIRONMENTS))["colorama"]
    assert colorama.environments == (WINDOWS,)


@pytest.mark.parametrize("name", ["uv.lock", "pylock.toml", "poetry.lock", "pdm.lock", "pdm.static.lock"])
def test_files_have_names(name: str) -> None:
    """Also where the lock has addresses only."""
    (jinja2,) = pins(reader.read(str(LOCKS / name), ENVIRONMENTS))["jinja2"]
    assert sorted(file.filename for file in jinja2.files) == [
        "jinja2-3.1.6-py3-none-any.whl",
        "jinja2-3.1.6.tar.gz",
    ]


@pytest.mark.parametrize("name", ["uv.lock", "pdm.lock", "Pipfile.lock"])
def test_extras_are_told(name: str) -> None:
    """Where a lock has them."""
    assert ("socks",) in [
        pin.extras for pin in pins(reader.read(str(LOCKS / name), ENVIRONMENTS))["requests"]
    ]


def test_what_pipenv_could_not_lock_is_left_to_be_resolved() -> None:
    """It writes `*` for a package of another platform."""
    (open_one,) = reader.read(str(LOCKS / "Pipfile.lock"), ENVIRONMENTS).requirements
    assert open_one.text.partition(" ")[0] == "colorama"


def test_uv_forks_by_marker_and_conflicting_extras_are_followed(tmp_path: Path) -> None:
    """Two versions of one project, by Python; and edges that uv marks with the extras of a conflict."""
    source = 'source = { registry = "https://example.com/simple/" }'
    text = f"""
version = 1
[[package]]
name = "app"
version = "0"
source = {{ virtual = "." }}
dependencies = [
    {{ name = "numpy", version = "1.0", {source}, marker = "python_full_version < '3.12'" }},
    {{ name = "numpy", version = "2.0", {source}, marker = "python_full_version >= '3.12'" }},
    {{ name = "torch", marker = "sys_platform == 'linux' and extra == 'extra-3-app-cpu'" }},
]
"""
    for name, version in (("numpy", "1.0"), ("numpy", "2.0"), ("torch", "1.0"), ("not-reached", "1.0")):
        text += f'[[package]]\nname = "{name}"\nversion = "{version}"\n{source}\n'
    found = read(tmp_path, text, "uv.lock").pins
    assert sorted((str(pin), pin.environments) for pin in found) == [
        ("numpy==2.0", ENVIRONMENTS),
        ("torch==1.0", (LINUX,)),
    ]


def test_a_poetry_lock_without_markers_goes_by_what_depends_on_a_package(tmp_path: Path) -> None:
    """Lock version 2.0, of Poetry 1: pywin32 has no file for Linux, and nobody needs one there."""
    package = '[[package]]\nname = "{}"\nversion = "1.0"\npython-versions = "{}"\nfiles = []\n'
    text = (
        package.format("app", ">=3.8,<3.10 || >=3.12")
        + '[package.dependencies]\nPyWin32 = {version = "*", markers = "sys_platform == \\"win32\\""}\n'
        + """both = [{markers = "python_version < '3'"}, {markers = "python_version > '3'"}]\n"""
        + package.format("pywin32", "*")
        + package.format("both", "*")
        + package.format("old", "<3.10")
        + '[metadata]\nlock-version = "2.0"\n'
    )
    found = {str(pin): pin.environments for pin in read(tmp_path, text, "poetry.lock").pins}
    assert found == {"app==1.0": ENVIRONMENTS, "pywin32==1.0": (WINDOWS,), "both==1.0": ENVIRONMENTS}


def test_a_pylock_s_extras_and_groups_count(tmp_path: Path) -> None:
    """A cache that is filled ahead knows not which of them will be installed."""
    text = 'lock-version = "1.0"\ncreated-by = "t"\nextras = ["a"]\ndependency-groups = ["dev"]\n' + "".join(
        f'[[packages]]\nname = "{name}"\nversion = "1"\nmarker = "{marker}"\n'
        f'wheels = [{{ path = "{name}-1-py3-none-any.whl", hashes = {{ sha256 = "{"0" * 64}" }} }}]\n'
        for name, marker in {
            "one": "'a' in extras",
            "two": "'dev' in dependency_groups and sys_platform == 'linux'",
            "three": "'a' not in extras",
            "four": "'other' in extras",
        }.items()
    )
    found = {pin.project: pin.environments for pin in read(tmp_path, text, "pylock.dev.toml").pins}
    assert found == {"one": ENVIRONMENTS, "two": (LINUX,), "three": ENVIRONMENTS}


def test_several_files_are_one_lock(tmp_path: Path) -> None:
    """What two of them ask for is asked for once."""
    (tmp_path / "a.txt").write_text("flask==3.1 ; sys_platform == 'linux'\nidna==3\nmore>=1\n")
    (tmp_path / "b.txt").write_text("flask==3.1 ; sys_platform == 'linux'\nidna==3\n")
    lock = reader.read_all([str(tmp_path / "a.txt"), str(tmp_path / "b.txt"), "more>=1"], ENVIRONMENTS)
    assert [str(pin) for pin in lock.pins] == ["flask==3.1", "idna==3"]
    assert [each.text for each in lock.requirements] == ["more>=1"]


@pytest.mark.parametrize(
    "text", ["flask", "Flask[async]==3.1", "flask>=2,<4", "flask~=3.0 ; python_version>'3'"]
)
def test_an_argument_that_is_no_file_is_a_requirement(text: str) -> None:
    """With one version it is a pin without hashes, and is resolved: what it depends on belongs to it."""
    lock = reader.read(text, ENVIRONMENTS)
    assert len(lock.requirements) + len(lock.pins) == 1
    assert all(pin.is_bare for pin in lock.pins)


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("uv.lock", "version = 2\nrequires-python = '>=3'\n", "version 2 of uv.lock is unknown"),
        ("uv.lock", "version = 1\n[[package]]\nname = 3\n", "Expected `str`"),
        ("uv.lock", "version = 1\n[[package]]\nname = 'a'\nsource = {registry = 'x'}\n", "a has no version"),
        ("uv.lock", "version = 1\npackage = 'x'\n", "Expected `array`"),
        ("poetry.lock", "[metadata]\nlock-version = '1.1'\n", "lock-version 1.1 is unknown"),
        ("poetry.lock", "[metadata]\nlock-version = '3.0'\n", "lock-version 3.0 is unknown"),
        ("pdm.lock", "[metadata]\nlock_version = '5.0'\n", "lock_version 5.0 is unknown"),
        ("Pipfile.lock", '{"_meta": {"pipfile-spec": 7}}', "pipfile-spec 7 is unknown"),
        ("Pipfile.lock", '{"_meta": 3}', "Expected `object`"),
        ("Pipfile.lock", '{"_meta": {"pipfile-spec": 6}, "default": []}', "Expected `object`"),
        ("Pipfile.lock", "{", "line 1"),
        ("pylock.toml", 'lock-version = "9.0"\ncreated-by = "x"\npackages = []\n', "9.0"),
        ("pylock.toml", "lock-version =", "Invalid value"),
        ("x.json", "{}", "no lock that can be read"),
        ("pyproject.toml", "[project]\nname = 'a'\n", "no lock that can be read"),
        ("uv.lock", "x = " + "[" * 100_000, "uv.lock"),
        ("Pipfile.lock", '{"a":' * 100_000, "Pipfile.lock"),
        ("poetry.lock", f"[metadata]\nlock-version = '2.1'\n{PACKAGE}markers='('\n", "marker"),
        ("uv.lock", f"version = 1\n{PACKAGE}source={{registry='x'}}\nsdist={{hash='nonsense'}}\n", "no hash"),
    ],
)
def test_other_files_and_versions_are_an_error_of_two_lines(
    tmp_path: Path, name: str, text: str, words: str
) -> None:
    """Never a traceback, and never nothing."""
    with pytest.raises(PackhorseError) as caught:
        read(tmp_path, text, name)
    assert words in caught.value.message
    assert str(tmp_path / name) in caught.value.message
    assert caught.value.hint


PIPFILE = '{"_meta": {"pipfile-spec": 6}, "default": {"a": {%s}}}'
LINE = "\\n--extra-index-url https://example.com/"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("Pipfile.lock", PIPFILE % '"version": " @ https://example.com/a.whl"'),
        ("Pipfile.lock", PIPFILE % f'"version": ">=1{LINE}"'),
        ("Pipfile.lock", PIPFILE % f'"version": "==1{LINE}"'),
        ("Pipfile.lock", PIPFILE % '"version": "*", "extras": ["x] @ https://example.com/a.whl #"]'),
        ("Pipfile.lock", PIPFILE % f'"version": "*", "markers": "python_version > \'3{LINE}\'"'),
        ("poetry.lock", f"[metadata]\nlock-version='2.1'\n[[package]]\nname='a'\nversion=\"1{LINE}\"\n"),
        ("poetry.lock", f"[metadata]\nlock-version='2.1'\n[[package]]\nname=\"a{LINE}\"\nversion='1'\n"),
        ("poetry.lock", f"[metadata]\nlock-version='2.1'\n{PACKAGE}markers=\"python_version > '3{LINE}'\"\n"),
        ("pdm.lock", f"[metadata]\nlock_version='4.5'\n{PACKAGE}extras=[\"x]==1{LINE}\"]\n"),
        ("pdm.lock", "[metadata]\nlock_version='4.5'\n[[package]]\nname='a'\nversion='1 @ file:///etc'\n"),
        ("uv.lock", "version=1\n[[package]]\nname='-r/etc'\nversion='1'\nsource={registry='x'}\n"),
        ("uv.lock", "version=1\n[[package]]\nname='a'\nversion='1 ; x'\nsource={registry='x'}\n"),
        ("requirements.txt", "a===nonsense\n"),
    ],
)
def test_a_lock_gives_resolvers_no_options_or_addresses(tmp_path: Path, name: str, text: str) -> None:
    """What it asks for become lines that uv reads."""
    with pytest.raises(PackhorseError) as caught:
        read(tmp_path, text, name)
    assert caught.value.hint


def test_a_huge_or_binary_or_missing_file_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A wheel, an image of a disk, a name with a typing error."""
    monkeypatch.setattr(reader, "LARGEST", 100)
    with pytest.raises(PackhorseError, match="has more than"):
        read(tmp_path, "#" * 101)
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    for argument in (
        str(tmp_path / "binary"),
        str(tmp_path / "none.txt"),
        str(tmp_path),
        "a\0b",
        "x" * 5000 + "/",
    ):
        with pytest.raises(PackhorseError):
            reader.read(argument, ENVIRONMENTS)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-be"])
def test_files_of_windows_are_read(tmp_path: Path, encoding: str) -> None:
    """`pip freeze > requirements.txt` in PowerShell writes UTF-16, which pip reads."""
    mark = "\ufeff" if encoding == "utf-16-be" else ""
    for name, text in {
        "requirements.txt": "-r more.txt\r\nidna==3.10\r\n",
        "more.txt": "flask==3.1\r\n",
    }.items():
        (tmp_path / name).write_bytes((mark + text).encode(encoding))
    found = reader.read(str(tmp_path / "requirements.txt"), ENVIRONMENTS)
    assert {str(pin) for pin in found.pins} == {"flask==3.1", "idna==3.10"}


@pytest.mark.parametrize("text", ["", "\n \n", "# This file was written by a tool\n", "\ufeff"])
@pytest.mark.parametrize("name", ["requirements.txt", "uv.lock", "pylock.toml", "no-suffix"])
def test_an_empty_file_is_an_error(tmp_path: Path, text: str, name: str) -> None:
    """Of `uv export | mirror verify -` the first may have failed: nothing to verify is no success."""
    with pytest.raises(PackhorseError, match="there is nothing in it"):
        read(tmp_path, text, name)


def test_what_another_machine_alone_needs_is_not_nothing(tmp_path: Path) -> None:
    """A lock may say that here nothing is needed."""
    assert read(tmp_path, "colorama==0.4 ; sys_platform == 'darwin'\n").pins == ()


@pytest.mark.parametrize(
    "name",
    ["pylock.toml", "nolock.txt", "uv.lock", "Pipfile.lock", "x.JSON", "a.in", "demo-1.0-py3-none-any.whl"],
)
def test_a_mistyped_file_is_not_a_project(name: str) -> None:
    """`pylock.toml` would be a valid name of one, and an upstream would be asked for it."""
    with pytest.raises(PackhorseError, match="there is no such file") as caught:
        reader.read(name, ENVIRONMENTS)
    assert caught.value.message == f"{name}: there is no such file."


def test_a_folder_is_not_a_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The names of our folders are not for an upstream; the project of such a name can be asked for."""
    (tmp_path / "locks").mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(PackhorseError, match="this is a folder") as caught:
        reader.read("locks", ENVIRONMENTS)
    assert "locks>=0" in (caught.value.hint or "")
    assert reader.read("locks>=0", ENVIRONMENTS).requirements


def test_a_wheel_is_no_lock(tmp_path: Path) -> None:
    """In words, and not in those of a codec."""
    (tmp_path / "x.whl").write_bytes(b"PK\3\4\xff\xfe")
    with pytest.raises(PackhorseError, match="this is no text, and so no lock"):
        reader.read(str(tmp_path / "x.whl"), ENVIRONMENTS)


def test_requirements_come_from_standard_input_too() -> None:
    """`uv export | mirror prefetch -`."""
    code = (
        "from mirror.lockfiles import environments, reader\n"
        "print(*reader.read('-', environments.wanted()).pins)"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, input="flask==3.1\n", check=True, capture_output=True, text=True)
    assert done.stdout == "flask==3.1\n"


def test_a_lock_that_is_not_for_a_python_is_refused(tmp_path: Path) -> None:
    """uv and pip would not install it there; `mirror prune --keep` takes it for any."""
    path = tmp_path / "uv.lock"
    path.write_text('version = 1\nrequires-python = ">=3.12"\n' + PACKAGE + 'source = {registry = "x"}\n')
    old = environments.wanted(["3.12", "3.11"], ["linux-x86_64"])
    with pytest.raises(PackhorseError, match=r"is for Python >=3\.12, not for 3\.11 on linux-x86_64"):
        reader.read_for([str(path)], old)
    assert reader.read_for([str(path), "flask==3.1"], old[:1]).names == (str(path), "flask==3.1")
    assert reader.read_all([str(path)], old).names == (str(path),)
