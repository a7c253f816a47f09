"""mirror.config: a mistake in mirror.toml is named before anything is done."""

import re
import tomllib
import typing
from pathlib import Path
from typing import Any

import pydantic
import pytest

from mirror import config
from mirror.config import Index, MirrorConfig
from packhorse.errors import PackhorseError
from tests.support import documents

EXAMPLE = Path(__file__).parents[3] / "mirror.example.toml"
PAGES = [EXAMPLE, *(EXAMPLE.parent / "docs").glob("*.md")]


def _load(tmp_path: Path, text: str) -> MirrorConfig:
    path = tmp_path / "mirror.toml"
    path.write_text(text)
    return config.load(path)


def _problems(tmp_path: Path, text: str) -> list[str]:
    """The lines of the error, without the file's path."""
    with pytest.raises(PackhorseError) as caught:
        _load(tmp_path, text)
    lines = caught.value.message.splitlines()
    assert all(line.startswith(f"{tmp_path}/mirror.toml: ") for line in lines)
    return [line.removeprefix(f"{tmp_path}/mirror.toml: ") for line in lines]


def test_without_a_file_there_are_two_indexes_of_the_company_above_the_upstream(tmp_path: Path) -> None:
    """`mirror init` must be useful before anybody reads about mirror.toml."""
    loaded = config.load(tmp_path / "mirror.toml")
    assert (loaded.url, loaded.request_timeout, loaded.upstream.url) == ("http://127.0.0.1:3141", 30, None)
    assert list(loaded.users) == ["company"]
    assert loaded.indexes == {
        "company/prod": Index(bases=("root/pypi",), volatile=False),
        "company/dev": Index(bases=("company/prod",), volatile=True),
    }


def test_the_example_shows_exactly_the_defaults() -> None:
    """People copy it; a stale value in it would be a lie."""
    assert config.load(EXAMPLE) == MirrorConfig()


def test_the_example_shows_every_key() -> None:
    """It is the reference of mirror.toml."""
    text = EXAMPLE.read_text()
    models = (MirrorConfig, config.Upstream, config.User, config.Prune, Index)
    keys = [key for model in models for key in model.model_fields]
    assert [key for key in keys if key not in text] == []


def test_what_the_example_has_commented_out_is_valid_too(tmp_path: Path) -> None:
    """Who removes a comment sign must not get an error."""
    lines = [
        line.removeprefix("# ") if line.startswith("# ") and " = " in line else line
        for line in EXAMPLE.read_text().splitlines()
    ]
    loaded = _load(tmp_path, "\n".join(lines))
    assert loaded.outside_url == "https://packages.example.com"
    assert loaded.indexes["company/prod"].acl_upload == ("company",)


def test_a_table_that_is_given_replaces_the_default(tmp_path: Path) -> None:
    """What the file shows is what there is."""
    loaded = _load(tmp_path, '[users.alice]\n[indexes."alice/dev"]\nbases = ["root/pypi"]\n')
    assert (list(loaded.users), list(loaded.indexes)) == (["alice"], ["alice/dev"])


@pytest.mark.parametrize("name", ["company/dev", "company/prod"])
def test_a_table_of_a_default_index_changes_only_the_keys_that_it_has(tmp_path: Path, name: str) -> None:
    """Who adds an uploader must not cut the index off from all public packages."""
    loaded = _load(tmp_path, f'[indexes."{name}"]\nacl_upload = ["company", "ci"]\n').indexes
    assert loaded[name].acl_upload == ("company", "ci")
    assert {each: (loaded[each].bases, loaded[each].volatile) for each in loaded} == {
        "company/prod": (("root/pypi",), False),
        "company/dev": (("company/prod",), True),
    }


def test_what_a_declared_index_inherits_from_by_default_is_there(tmp_path: Path) -> None:
    """Beside indexes of one's own, company/dev still has its bases."""
    text = '[indexes."company/dev"]\nvolatile = false\n[indexes."company/x"]\nbases = ["root/pypi"]\n'
    loaded = _load(tmp_path, text).indexes
    assert set(loaded) == {"company/dev", "company/x", "company/prod"}
    assert loaded["company/dev"] == Index(bases=("company/prod",), volatile=False)
    only = _load(tmp_path, '[indexes."company/dev"]\nbases = ["root/pypi"]\n').indexes
    assert only == {"company/dev": Index(bases=("root/pypi",), volatile=True)}


def test_the_command_line_wins(tmp_path: Path) -> None:
    """Flag, environment, file, default."""
    path = tmp_path / "mirror.toml"
    path.write_text("port = 1000\nhost = '::1'")
    assert config.load(path, {"port": 2000}).url == "http://[::1]:2000"


def test_clients_on_this_machine_get_an_address_they_can_use(tmp_path: Path) -> None:
    """0.0.0.0 is a place to listen, not one to call."""
    assert _load(tmp_path, 'host = "0.0.0.0"').url == "http://127.0.0.1:3141"
    assert _load(tmp_path, 'host = "::"').url == "http://[::1]:3141"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("prot = 1", 'prot: unknown key, did you mean "port"?'),
        ('port = "3141"', "port: input should be a valid integer"),
        ("prune.max_size = 50", 'prune.max_size: should be a text such as "50G" or "80%" (of the disk)'),
        ("prune.unused_for = 90", 'prune.unused_for: should be a text such as "180d"'),
        ("port = 0", "port: input should be greater than or equal to 1"),
        (
            'reserved = ["*"]',
            "reserved.0: should be a project's name, or a pattern of such names, such as acme-*",
        ),
        (
            'outside_url = "packages.example.com"',
            'outside_url: needs an address without a user, such as "https://pypi.example.com/company/dev"',
        ),
        ("[upstream]\nurl = 'ftp://x'", "upstream.url: should start with http:// or https:// and a host"),
        (
            '[indexes."company/dev"]\nbase = []',
            'indexes.company/dev.base: unknown key, did you mean "bases"?',
        ),
        (
            '[indexes."company/dev"]\nbases = "root/pypi"',
            'indexes.company/dev.bases: should be an array, such as ["root/pypi"]',
        ),
        (
            '[advisories]\nignore = "PYSEC-2024-36"',
            'advisories.ignore: should be an array, such as ["PYSEC-2024-36"]',
        ),
        (
            '[indexes."company/dev"]\nvolatile = "no"',
            "indexes.company/dev.volatile: input should be a valid boolean",
        ),
        (
            '[indexes."company/dev"]\nbases = ["company/prd"]',
            "indexes.company/dev.bases: there is no index company/prd, declare it or use root/pypi",
        ),
        (
            '[indexes."alice/dev"]',
            "indexes.alice/dev: there is no user alice, add [users.alice]",
        ),
        (
            '[indexes."root/pypi"]',
            "indexes.root/pypi: this is the upstream index, set it up in [upstream]",
        ),
    ],
)
def test_a_mistake_is_named_with_its_full_path(tmp_path: Path, text: str, problem: str) -> None:
    """The user must find the place without reading our source."""
    assert _problems(tmp_path, text) == [problem]


@pytest.mark.parametrize("name", ["", "a b", "a/b", "a:b", "+a", "a'b", "..", ".", "a?b", "a#b"])
def test_a_user_name_that_devpi_or_a_url_does_not_allow_is_refused(tmp_path: Path, name: str) -> None:
    """devpi would answer 400 in the middle of the work; `..` would be another user's address."""
    assert _problems(tmp_path, f'[users."{name}"]\n[indexes]') == [
        f'users.{name}: devpi allows no such name, use letters, digits and "-._@"'
    ]


@pytest.mark.parametrize("name", ["dev", "company/dev/x", "company/", "/dev", "company/a b", "company/.."])
def test_an_index_is_named_by_its_user_and_one_name(tmp_path: Path, name: str) -> None:
    """As devpi does."""
    assert _problems(tmp_path, f'[indexes."{name}"]') == [
        f'indexes.{name}: should be "user/name" of letters, digits and "-._@"'
    ]


def test_names_with_every_allowed_sign_are_accepted(tmp_path: Path) -> None:
    """devpi allows - . @ _ and letters beyond ASCII."""
    loaded = _load(tmp_path, '[users."a.b@c-d_é"]\n[indexes."a.b@c-d_é/x.1"]')
    assert list(loaded.indexes) == ["a.b@c-d_é/x.1"]


def test_the_names_agree_with_devpi() -> None:
    """The rule is devpi's; ours is only earlier, and refuses the two names that mean a folder."""
    from devpi_server.model import is_valid_name

    for character in map(chr, range(0x250)):
        assert bool(config._NAME.fullmatch(f"a{character}")) == is_valid_name(f"a{character}"), character


def test_indexes_that_inherit_from_each_other_are_refused(tmp_path: Path) -> None:
    """devpi would look for a package for ever."""
    text = '[indexes."company/a"]\nbases = ["company/b"]\n[indexes."company/b"]\nbases = ["company/a"]'
    (problem,) = _problems(tmp_path, text)
    assert problem.startswith("indexes: these inherit from each other in a circle: company/")


def test_every_contradiction_is_named_at_once(tmp_path: Path) -> None:
    """One run per mistake would be tedious."""
    assert len(_problems(tmp_path, '[indexes."alice/dev"]\nbases = ["bob/dev"]')) == 2


def test_bases_come_before_those_who_inherit() -> None:
    """devpi creates no index above one that does not exist."""
    indexes = {
        "c/3": Index(bases=("c/2", "root/pypi")),
        "c/2": Index(bases=("c/1",)),
        "c/1": Index(),
    }
    assert config.in_order(indexes) == ["c/1", "c/2", "c/3"]


def test_the_file_of_the_current_folder_comes_before_the_one_at_home(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A checkout may bring its own."""
    work, home = tmp_path / "work", tmp_path / "home"
    work.mkdir()
    monkeypatch.chdir(work)
    assert config.find(home) == home / "mirror.toml"
    (work / "mirror.toml").touch()
    assert config.find(home) == work / "mirror.toml"


def test_the_example_is_valid_toml_for_every_reader() -> None:
    """ansible and editors read it too."""
    assert tomllib.loads(EXAMPLE.read_text())["port"] == 3141


def test_who_may_upload_may_read_what_is_protected(tmp_path: Path) -> None:
    """Else nobody could see what came of an upload; also a table of root/pypi may name readers."""
    loaded = _load(
        tmp_path,
        '[users.ci]\n[users.company]\n[indexes."company/prod"]\nread = ["anna"]\nacl_upload = ["ci"]\n'
        '[indexes."company/dev"]\nread = []\n[indexes."root/pypi"]\nread = [":AUTHENTICATED:"]\n',
    )
    readers = {"company/prod": ["anna", "ci"], "company/dev": ["company"], "root/pypi": [":AUTHENTICATED:"]}
    assert loaded.readers == readers
    assert _load(tmp_path, "").readers == {}


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ('read = "anna"', "should be an array"),
        ('read = [":ANONYMOUS:"]', "should be the name of a user"),
        ('read = ["anna"]\nacl_upload = [":AUTHENTICATED:"]', "may upload there, and so may read"),
        ('read = ["anna"]\nacl_upload = [":ANONYMOUS:"]', "name users in acl_upload"),
    ],
)
def test_readers_that_protect_nothing_are_refused(tmp_path: Path, line: str, reason: str) -> None:
    """Who protects an index by mistake in a way that opens it would not find out."""
    with pytest.raises(PackhorseError, match=reason):
        _load(tmp_path, f'[indexes."company/prod"]\n{line}\n')


def test_the_settings_of_a_team_are_valid(tmp_path: Path) -> None:
    """The admin copies them from docs/team.md; all whom an index names have users."""
    (text,) = (block.text for block in documents.blocks("team.md") if block.filename == "mirror.toml")
    loaded = _load(tmp_path, text)
    named = {name for index in loaded.indexes.values() for name in index.acl_upload or ()}
    assert named == set(loaded.users)


def _keys(model: type[pydantic.BaseModel]) -> set[str]:
    """The keys of a table, and of those in it."""
    found = set(model.model_fields)
    waiting: list[Any] = [field.annotation for field in model.model_fields.values()]
    while waiting:
        kind = waiting.pop()
        if isinstance(kind, type) and issubclass(kind, pydantic.BaseModel):
            found |= _keys(kind)
        waiting += typing.get_args(kind)
    return found


def test_each_key_is_explained() -> None:
    """In the example, or on a page of docs: of a key that stands nowhere, nobody knows."""
    text = "\n".join(page.read_text() for page in PAGES)
    keys = _keys(MirrorConfig)
    assert {"upstream", "keep_last", "minimum_age"} <= keys
    assert {key for key in keys if not re.search(rf"\b{key}\b", text)} == set()
