"""mirror.init: passwords and the server agree afterwards, whatever was there before."""

import importlib.util
import os
from pathlib import Path
from typing import Any

import pytest

from mirror import config, init, settings_hashes, state
from mirror.config import Index, MirrorConfig, Upstream, User
from mirror.init import InitRequest
from mirror.policy.settings import Policy, Vulnerabilities
from mirror.serving import devpi_init, server
from mirror.state import Credentials, Folder, Serving
from packhorse.errors import PackhorseError

URL = "http://127.0.0.1:3141"
GIVEN = Credentials(URL, {"root": "r"})


class FakeDevpi:
    """A devpi that keeps users and indexes in memory, and can die before any of its calls."""

    def __init__(self, folder: Folder, *, dies_before: int | None = None) -> None:
        self.folder = folder
        self.calls: list[str] = []
        self.dies_before = dies_before
        self.passwords = {"root": "r"}
        self.declared: dict[str, Any] = {"/+policies": {"settings": {}}, "/+publishers": {}, "/+readers": {}}
        pypi: dict[str, Any] = {"type": "mirror", "volatile": False, "mirror_url": "https://p.example/"}
        self.users: dict[str, dict[str, Any]] = {"root": {"indexes": {"pypi": pypi}}}

    def close(self) -> None:
        """As there is no connection, nothing."""

    def accepts(self, user: str, password: str) -> bool:
        return self.passwords.get(user) == password

    def call(self, method: str, path: str, body: object = None) -> Any:  # noqa: ANN401 (as the protocol)
        if method == "GET":
            return self.declared.get(path, self.users)
        if len(self.calls) == self.dies_before:
            raise KeyboardInterrupt
        assert isinstance(body, dict)
        self.calls.append(f"{method} {path}")
        if path.startswith("/+"):
            return None
        user, _, index = path[1:].partition("/")
        if "password" in body:
            kept = state.read_credentials(self.folder)
            assert kept is not None
            assert kept.users[user] == body["password"], "the server learned a password that is not on disk"
            self.passwords[user] = body["password"]
        if index:
            self.users[user]["indexes"].setdefault(index, {}).update(body)
        else:
            self.users.setdefault(user, {"indexes": {}})
        return None


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    """An empty home with the mirror's folder in it."""
    made = Folder(tmp_path)
    made.root.mkdir()
    return made


def _match(
    devpi: FakeDevpi, folder: Folder, request: InitRequest | None = None
) -> tuple[list[str], list[str]]:
    """What was changed, and what was noted."""
    notes: list[str] = []
    return list(init.match(request or InitRequest(MirrorConfig()), devpi, folder, GIVEN, notes.append)), notes


def test_a_new_server_gets_everything_and_the_file_opens_it(folder: Folder) -> None:
    """Every password is on disk before the server learns it (the fake checks that)."""
    devpi = FakeDevpi(folder)
    assert len(_match(devpi, folder)[0]) == 4
    kept = state.read_credentials(folder)
    assert kept == Credentials(URL, devpi.passwords)
    assert len(devpi.passwords["company"]) >= 24


def test_a_second_run_changes_nothing(folder: Folder) -> None:
    """Also not the file: its passwords are in somebody's keyring by now."""
    devpi = FakeDevpi(folder)
    _match(devpi, folder)
    before = folder.credentials.stat()
    assert _match(devpi, folder) == ([], [])
    assert folder.credentials.stat() == before


@pytest.mark.parametrize("moment", range(4))
def test_a_run_that_dies_between_two_calls_is_finished_by_the_next(folder: Folder, moment: int) -> None:
    """Ctrl-C, a power cut, a kill: the second run is the repair."""
    devpi = FakeDevpi(folder, dies_before=moment)
    with pytest.raises(KeyboardInterrupt):
        _match(devpi, folder)
    devpi.dies_before = None
    _match(devpi, folder)
    undisturbed = FakeDevpi(folder)
    _match(undisturbed, folder)
    assert devpi.calls == undisturbed.calls
    assert devpi.users == undisturbed.users
    assert state.read_credentials(folder) == Credentials(URL, devpi.passwords)


def test_a_user_added_to_mirror_toml_gets_a_password_and_the_others_keep_theirs(folder: Folder) -> None:
    """Passwords that exist are kept."""
    devpi = FakeDevpi(folder)
    _match(devpi, folder)
    before = dict(devpi.passwords)
    more = MirrorConfig(users={"company": User(), "alice": User()}, indexes={"alice/dev": Index()})
    changed, notes = _match(devpi, folder, InitRequest(more))
    assert changed == ["created user alice", "created index alice/dev (volatile, bases: none)"]
    left = (
        "besides those of mirror.toml, and left alone until `mirror index remove` or `mirror user remove`: "
    )
    assert notes == [f"{left}index company/prod, index company/dev"]
    assert {name: devpi.passwords[name] for name in before} == before


def test_a_name_that_is_no_user_is_told_at_each_run(folder: Folder) -> None:
    """It is no error: a login plugin may know more users than devpi lists."""
    indexes = {
        "company/prod": Index(read=("deploy",)),
        "company/dev": Index(bases=("company/prod",), acl_upload=("anna",)),
    }
    for _ in range(2):
        _, notes = _match(FakeDevpi(folder), folder, InitRequest(MirrorConfig(indexes=indexes)))
        assert [note for note in notes if "no user deploy" in note]
        assert [note for note in notes if "company/dev is refused to anna" in note]


def test_a_policy_by_vulnerabilities_without_advisories_is_told(folder: Folder) -> None:
    """It lists nothing of upstreams until they come; one that only reports does no harm."""
    wanted = MirrorConfig(
        policy=Policy(vulnerabilities=Vulnerabilities(report="low")),
        indexes={"company/prod": Index(policy=Policy(vulnerabilities=Vulnerabilities(block="high")))},
    )
    told = (
        "no advisories yet: nothing of upstreams is listed on company/prod; "
        "mirror advisories update FILE brings them"
    )
    assert _match(FakeDevpi(folder), folder, InitRequest(wanted))[1] == [told]
    folder.advisories.touch()
    assert _match(FakeDevpi(folder), folder, InitRequest(wanted))[1] == []


def test_a_wrong_password_of_root_stops_before_anything_is_changed(folder: Folder) -> None:
    """Somebody changed it on the server; we cannot know the new one."""
    devpi = FakeDevpi(folder)
    devpi.passwords["root"] = "changed"
    with pytest.raises(PackhorseError, match="does not accept the password of root") as caught:
        _match(devpi, folder)
    assert "devpi-passwd" in caught.value.hint
    assert devpi.calls == []
    assert not folder.credentials.exists()


def test_protection_is_not_changed_by_another_mirror_toml_that_nobody_named(folder: Folder) -> None:
    """One that lies in the folder where somebody happens to be."""
    devpi = FakeDevpi(folder)
    own, other = Path("/own/mirror.toml"), Path("/other/mirror.toml")
    _match(devpi, folder, InitRequest(MirrorConfig(), file=own))
    assert _match(devpi, folder, InitRequest(MirrorConfig(), file=other)) == ([], []), "it says the same"
    _match(devpi, folder, InitRequest(MirrorConfig(), file=own))
    devpi.declared["/+readers"] = {"company/prod": ["anna"]}
    kept = folder.last_settings.read_bytes()
    with pytest.raises(PackhorseError) as caught:
        _match(devpi, folder, InitRequest(MirrorConfig(), file=other))
    assert caught.value.message == (
        f"{other} is not the mirror.toml of last time, and would change what that has declared: readers."
    )
    assert caught.value.hint == (
        f"Run the command in the folder of {own}. If this one counts now: `mirror --config {other} init`."
    )
    assert folder.last_settings.read_bytes() == kept
    _match(devpi, folder, InitRequest(MirrorConfig(), file=own))  # as it was edited
    _match(devpi, folder, InitRequest(MirrorConfig(), file=other, is_named=True))
    _match(devpi, folder, InitRequest(MirrorConfig(), file=other))
    with pytest.raises(PackhorseError, match="is not the mirror"):
        _match(devpi, folder, InitRequest(MirrorConfig(), file=own))


def test_an_upstream_that_mirror_toml_names_no_more_is_the_default_again(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """But not one that it never named: that was chosen with the devpi client, or came with an export."""
    monkeypatch.setattr(devpi_init, "default_upstream", lambda: "https://default.example/")
    devpi, file = FakeDevpi(folder), Path("/own/mirror.toml")
    unnamed = InitRequest(MirrorConfig(), file=file)
    named = InitRequest(MirrorConfig(upstream=Upstream(url="https://own.example/")), file=file)
    _match(devpi, folder, unnamed)
    assert _match(devpi, folder, unnamed) == ([], [])
    _match(devpi, folder, named)
    nowhere = InitRequest(
        MirrorConfig(), missing=(Path("/here/mirror.toml"),), file=Path("/here/mirror.toml")
    )
    with pytest.raises(PackhorseError, match="declared: mirror_url of root/pypi"):
        _match(devpi, folder, nowhere)
    devpi.dies_before = len(devpi.calls)
    with pytest.raises(KeyboardInterrupt):
        _match(devpi, folder, unnamed)
    devpi.dies_before = None
    assert _match(devpi, folder, unnamed)[0] == [
        "changed index root/pypi: mirror_url https://own.example/ -> https://default.example/"
    ]
    devpi.users["root"]["indexes"]["pypi"]["mirror_url"] = "https://client.example/"
    assert _match(devpi, folder, unnamed) == ([], [])


def test_a_user_with_a_password_that_we_do_not_know_is_reported_with_the_way_out(folder: Folder) -> None:
    """The file would open nothing, and `release upload` would fail much later."""
    devpi = FakeDevpi(folder)
    _match(devpi, folder)
    devpi.passwords["company"] = "changed"
    with pytest.raises(PackhorseError, match="lacks the right password of company") as caught:
        _match(devpi, folder)
    assert "mirror init --new-password company" in caught.value.hint
    folder.credentials.unlink()  # a lost file is the same for this user
    with pytest.raises(PackhorseError, match="lacks the right password of company"):
        _match(devpi, folder)
    assert state.read_credentials(folder) == GIVEN, "the password of root was right: keep it"


def test_users_may_have_changed_their_own_password(folder: Folder) -> None:
    """Who owns no index: nothing on this machine needs it, and `mirror init` has to go on working."""
    devpi, request = FakeDevpi(folder), InitRequest(MirrorConfig(users={"company": User(), "anna": User()}))
    _match(devpi, folder, request)
    devpi.passwords["anna"] = "her own"
    said = f"have another password than in {folder.credentials}, their own: anna"
    assert _match(devpi, folder, request) == ([], [said])


def test_a_new_password_is_made_on_demand(folder: Folder) -> None:
    """The way out of the error above."""
    devpi = FakeDevpi(folder)
    _match(devpi, folder)
    devpi.passwords["company"] = "changed"
    changed, _ = _match(devpi, folder, InitRequest(MirrorConfig(), new_passwords=("company",)))
    assert changed == ["changed the password of company"]
    assert state.read_credentials(folder) == Credentials(URL, devpi.passwords)


def test_settings_that_wait_for_a_restart_are_named(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    """ "nothing to change" alone would mean that the new limits hold."""
    devpi = FakeDevpi(folder)
    _match(devpi, folder)
    folder.server.mkdir()
    monkeypatch.setattr(init, "HttpApi", lambda *_: devpi)
    monkeypatch.setattr(server, "answers", lambda _: True)
    lock = state.try_lock(folder.lock)
    assert lock is not None
    state.write_serving(folder, Serving(URL, 1, settings=settings_hashes.by_key(MirrorConfig())))
    notes: list[str] = []

    def run(**settings: Any) -> list[str]:  # noqa: ANN401 (any key of mirror.toml)
        notes.clear()
        return list(init.run(InitRequest(MirrorConfig(**settings)), folder, notes.append))

    try:
        assert (run(), notes) == ([], [])
        assert (run(host="::1", port=1, offline=True), notes) == ([], []), "serve may have these as options"
        changed = {"prune": {"max_size": "1G"}, "threads": 7, "upstream": {"hosts": ["http://a.example"]}}
        assert run(**changed) == []
        assert notes[0].endswith("waits for a restart of `mirror serve`: threads, prune, upstream.hosts")
        state.write_serving(folder, Serving(URL, 1))  # started by an earlier version
        assert (run(threads=7), notes) == ([], [])
    finally:
        os.close(lock)


def test_protection_is_not_taken_back_because_mirror_toml_lies_elsewhere(folder: Folder) -> None:
    """`mirror init` in another folder, by who looks for something else: nothing may be changed before."""
    devpi = FakeDevpi(folder)
    _match(devpi, folder)
    nowhere = InitRequest(MirrorConfig(), missing=(Path("/here/mirror.toml"), Path("/home/mirror.toml")))
    assert _match(devpi, folder, nowhere) == ([], []), "made without a file: it may be repeated"
    devpi.declared |= {
        "/+readers": {"company/prod": ["anna"]},
        "/+policies": {"settings": {"": {"deny": []}}},
    }
    devpi.users["company"]["indexes"]["dev"]["acl_upload"] = ["company", "anna"]
    devpi.calls.clear()
    folder.credentials.unlink()
    with pytest.raises(PackhorseError, match="readers, acl_upload of company/dev, policies") as caught:
        _match(devpi, folder, nowhere)
    assert "no /here/mirror.toml or /home/mirror.toml" in str(caught.value)
    assert "an empty /home/mirror.toml" in caught.value.hint
    assert devpi.calls == []
    assert not folder.credentials.exists()


@pytest.mark.parametrize(
    "settings",
    [
        'metrics.token_file = "{}"',
        'webhooks = [{{url = "https://chat.example.com", secret_file = "{}"}}]',
    ],
)
def test_a_secret_without_which_the_server_would_not_start_is_refused(settings: str, tmp_path: Path) -> None:
    """With the server's own words, and before the stop after which it would be missing."""
    toml, file, home = tmp_path / "mirror.toml", tmp_path / "secret", Folder(tmp_path / "home")
    toml.write_text(settings.format(file))
    for text in (None, "short"):
        if text:
            file.write_text(text)
        with pytest.raises(PackhorseError, match=f"in mirror.toml: .*{file}") as caught:
            list(init.run(InitRequest(config.load(toml)), home, print))
        assert "does not start" in caught.value.hint
    assert not home.root.exists()


@pytest.mark.parametrize("name", ["alice", "root"])
def test_a_new_password_for_nobody_is_refused_before_anything_is_done(tmp_path: Path, name: str) -> None:
    """A password on disk for a user who does not exist would mislead everybody."""
    with pytest.raises(PackhorseError, match=f"--new-password {name}"):
        list(init.run(InitRequest(MirrorConfig(), new_passwords=(name,)), Folder(tmp_path), print))
    assert list(tmp_path.iterdir()) == []


def test_data_without_the_password_of_root_says_what_to_do(folder: Folder) -> None:
    """credentials.json was lost; the packages were not."""
    folder.server.mkdir()
    with pytest.raises(PackhorseError, match="has no password of root") as caught:
        list(init.run(InitRequest(MirrorConfig()), folder, print))
    assert "Restore that file from a backup" in caught.value.hint
    assert "MIRROR_INIT_ROOT_PASSWORD" in caught.value.hint


def test_a_rule_that_needs_a_package_is_refused_without_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing of these projects would be listed, and people would look for the reason."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    (tmp_path / "mirror.toml").write_text('policy.require_provenance = ["demo"]\n')
    wanted = InitRequest(config.load(tmp_path / "mirror.toml"))
    with pytest.raises(PackhorseError, match="which is not installed") as caught:
        list(init.run(wanted, Folder(tmp_path / "home"), print))
    assert "packhorse[provenance]" in str(caught.value.hint)
