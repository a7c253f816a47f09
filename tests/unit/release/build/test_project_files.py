"""The promises of release.build.project_files."""

from pathlib import Path

import pytest

from packhorse.errors import PackhorseError
from release.build import project_files
from release.host.formats import artifact

KEY = b"-----BEGIN OPENSSH PRIVATE KEY-----\n"
CERTIFICATE = b"-----BEGIN CERTIFICATE-----\n"


def write(folder: Path, *paths: str, content: bytes = b"x") -> list[str]:
    """Files of a project; all are tracked."""
    for path in paths:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
    return [*paths]


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("manage.py", ["manage.py"]),
        ("migrations/", ["migrations/0001.py", "migrations/sql/ü 1.sql"]),
        ("migrations", ["migrations/0001.py", "migrations/sql/ü 1.sql"]),
        ("*.ini", ["a.ini", "b.ini"]),
        ("[ab].ini", ["a.ini", "b.ini"]),
        ("migrations/*.py", ["migrations/0001.py"]),
        ("**/*.sql", ["migrations/sql/ü 1.sql"]),
        ("dist/*.ini", ["dist/a.ini"]),
        ("migrations/**", ["migrations/0001.py", "migrations/sql/ü 1.sql"]),
        ("*", ["a.ini", "b.ini", "manage.py", "migrations/0001.py", "migrations/sql/ü 1.sql"]),
    ],
)
def test_files_folders_and_patterns_select_what_is_tracked(
    pattern: str, found: list[str], tmp_path: Path
) -> None:
    """Hidden and compiled files only when they are named: as in a shell, and as nobody wants them."""
    names = ("a.ini", "b.ini", "manage.py", "migrations/0001.py", "migrations/sql/ü 1.sql", ".hidden")
    made = ("migrations/__pycache__/x.pyc", "dist/a.ini", "build/lib/a.ini", "a.egg-info/PKG-INFO")
    tracked = write(tmp_path, *names, *made)
    write(tmp_path, "migrations/ignored.log", "ignored.ini")
    assert list(project_files.find(tmp_path, [pattern], tracked)) == found


def test_a_file_that_is_named_may_be_ignored_by_git(tmp_path: Path) -> None:
    """What a front-end build has made is not tracked."""
    write(tmp_path, "static/bundle.js")
    assert list(project_files.find(tmp_path, ["static/bundle.js"], [])) == ["static/bundle.js"]


def test_content_and_whether_it_is_a_program_are_kept(tmp_path: Path) -> None:
    """`web: ./start.sh` runs."""
    tracked = write(tmp_path, "start.sh", "data.json", content=b"#!/bin/sh\n")
    (tmp_path / "start.sh").chmod(0o755)
    found = project_files.find(tmp_path, ["*"], tracked)
    assert found["start.sh"] == artifact.ProjectFile(b"#!/bin/sh\n", executable=True)
    assert not found["data.json"].executable


@pytest.mark.parametrize(
    ("name", "content"),
    [
        (".env", b"A=1"),
        (".env.production", b"A=1"),
        ("prod.env", b"A=1"),
        ("id_ed25519", b"?"),
        ("server.pem", b"?"),
        ("server.pem", CERTIFICATE + KEY),
        ("server.KEY", b"?"),
        ("notes.txt", KEY),
        ("keys.txt", b"# public key: age1x\nAGE-SECRET-KEY-1ABC"),
        (".git/config", b"url = https://me:word@example.com"),
    ],
)
@pytest.mark.parametrize("pattern", ["conf/", "conf/{}"])
def test_a_secret_is_refused_by_name_or_content(
    name: str, content: bytes, pattern: str, tmp_path: Path
) -> None:
    """Who reads the index reads artifacts: mostly everybody in the company."""
    tracked = write(tmp_path, f"conf/{name}", content=content)
    with pytest.raises(PackhorseError, match=f"files: conf/{name} looks like a secret"):
        project_files.find(tmp_path, [pattern.format(name)], tracked)


def test_a_secret_behind_a_link_is_refused(tmp_path: Path) -> None:
    """One small commit would send the token of a build server to everybody."""
    write(tmp_path, ".env", ".git/config")
    (tmp_path / "static").mkdir()
    for name, target in (("a.txt", "../.env"), ("b.txt", "../.git/config")):
        (tmp_path / "static" / name).symlink_to(target)
        with pytest.raises(PackhorseError, match="looks like a secret"):
            project_files.find(tmp_path, [f"static/{name}"], [f"static/{name}"])


def test_public_certificates_and_examples_are_no_secrets(tmp_path: Path) -> None:
    """The certificates of a database's authority belong to the application."""
    tracked = write(tmp_path, "ca.pem", content=CERTIFICATE) + write(
        tmp_path, ".env.example", "id_ed25519.pub"
    )
    assert len(project_files.find(tmp_path, tracked, tracked)) == 3


def test_links_out_of_the_project_devices_and_what_is_not_there_are_refused(tmp_path: Path) -> None:
    """A link to /etc/shadow would go to the index with the next build by root."""
    folder = tmp_path / "a project"
    write(folder, "real/inside.txt")
    write(tmp_path, "outside.txt")
    (folder / "out.txt").symlink_to(tmp_path / "outside.txt")
    (folder / "parent").symlink_to(tmp_path)
    (folder / "zero").symlink_to("/dev/zero")
    (folder / "in.txt").symlink_to("real/inside.txt")
    (folder / "alias").symlink_to("real")
    for pattern, message in (
        ("out.txt", "is a link out of the project"),
        ("parent/outside.txt", "is a link out of the project"),
        ("alias", "is a link, and not to a file"),
        ("zero", "is a link, and not to a file"),
        ("missing.py", '"missing.py" matches no file'),
        ("real/*.py", "matches no file"),
    ):
        with pytest.raises(PackhorseError, match=message):
            project_files.find(folder, [pattern], ["out.txt", "in.txt", "real/inside.txt"])
    assert project_files.find(folder, ["in.txt"], [])["in.txt"].content == b"x"


def test_more_than_hosts_take_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They read it whole."""
    tracked = write(tmp_path, "a", "b", content=bytes(60))
    monkeypatch.setattr("release.host.formats.artifact.LARGEST_FILES", 100)
    assert len(project_files.find(tmp_path, ["a"], tracked)) == 1
    with pytest.raises(PackhorseError, match="they have 0 MiB, more than"):
        project_files.find(tmp_path, ["*"], tracked)


def test_values_that_look_secret_and_databases_are_warned_of() -> None:
    """Settings are often committed with them; a variable or a template in their place is none."""
    text = b"[app]\n# secret = commented out\nhmac_secret = ${HMAC_SECRET}\npassword: %(PASSWORD)s\n"
    files = {
        "fine.ini": artifact.ProjectFile(text),
        "kinto.ini": artifact.ProjectFile(
            text + b"kinto.userid_hmac_secret = b4c96a8692291d88fe5a97dd91846eb4\n"
        ),
        "alembic.ini": artifact.ProjectFile(b"sqlalchemy.url = postgresql://me:s3cret@db/shop\n"),
        "shop.db": artifact.ProjectFile(b""),
    }
    found = list(project_files.warnings(files))
    assert [text.partition(" seems")[0] for text in found[:2]] == ["kinto.ini line 5", "alembic.ini line 1"]
    assert "$DATA_DIR" in found[2]
    assert len(found) == 3
    assert "b4c96" not in str(found)
