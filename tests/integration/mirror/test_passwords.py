"""Passwords that somebody guesses: each check is slow on purpose, and no upload waits for it."""

import json
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import argon2
import pytest
import requests

from tests.support.dists import wheel
from tests.support.mirror_and_upstream import Mirrored, mirror_of, new_name
from tests.support.servers import BIN, clean_environment
from tests.support.team_indexes import Team, new_team
from tests.support.upstream import Upstream

PASSWORD = "the right password"


@pytest.fixture(scope="module")
def team() -> Iterator[Team]:
    with Upstream() as upstream, mirror_of(upstream) as mirrored:
        yield new_team(mirrored)


def _user(mirrored: Mirrored, cost: int) -> str:
    """A user whose stored hash costs `cost` times 64 MB to compare."""
    name, mirror = new_name("guessed"), mirrored.mirror
    stored = argon2.PasswordHasher(time_cost=cost, memory_cost=65536, parallelism=1).hash(PASSWORD)
    root = ("root", mirror.credentials["root"])
    for method, body in (("PUT", {"password": PASSWORD}), ("PATCH", {"pwhash": stored})):
        answer = requests.request(method, f"{mirror.url}/{name}", json=body, auth=root, timeout=60)
        assert answer.status_code < 400, answer.text
    return name


def _guess(url: str, how: str, name: str) -> requests.Response:
    if how == "login":
        body = {"user": name, "password": "wrong"}
        return requests.post(f"{url}/+login", json=body, timeout=120)
    return requests.post(f"{url}/company/dev/", data={":action": "submit"}, auth=(name, "wrong"), timeout=120)


@pytest.mark.parametrize("how", ["login", "upload"])
def test_uploads_do_not_wait_for_passwords_that_are_checked(team: Team, how: str) -> None:
    """devpi checks them while it holds its only writer."""
    mirror = team.mirrored.mirror
    name = _user(team.mirrored, cost=40)
    with ThreadPoolExecutor(1) as pool:
        guess = pool.submit(_guess, mirror.url, how, name)
        time.sleep(1)  # no proof: uploads that come before the guess would hide that later ones wait
        project, uploaded = new_name("meanwhile"), 0
        while not guess.done():
            team.upload(wheel(project, f"1.{uploaded}"))
            uploaded += not guess.done()
        assert guess.result().status_code in {401, 403}
    assert uploaded > 1


def test_a_right_login_in_the_header_opens_no_other_users_session(team: Team) -> None:
    """devpi remembers on the request what came of the first password, of whatever user."""
    url = f"{team.mirrored.mirror.url}/+login"
    for body, status in (
        ({"user": "root", "password": "x"}, 401),
        ({"user": team.name, "password": "pw"}, 200),
    ):
        assert requests.post(url, json=body, auth=(team.name, "pw"), timeout=60).status_code == status
    right = {"user": team.name, "password": "pw"}
    assert requests.post(url, json=right, auth=(team.name, "wrong"), timeout=60).status_code == 200


def test_a_body_that_is_no_login_is_refused_as_before(team: Team) -> None:
    """It is read once more, before devpi reads it."""
    url = f"{team.mirrored.mirror.url}/+login"
    for body in (b"", b"{", b"[]", b'{"user": 1, "password": []}'):
        assert requests.post(url, data=body, timeout=60).status_code == 400


def test_an_old_password_is_throttled_like_a_wrong_one(team: Team) -> None:
    """It was right before, and passed without end; whoever has the new one gets in from elsewhere."""
    mirror, name = team.mirrored.mirror, new_name("changed")
    root = ("root", mirror.credentials["root"])

    def login(password: str, address: str) -> int:
        body, headers = {"user": name, "password": password}, {"X-Real-IP": address}
        return requests.post(f"{mirror.url}/+login", json=body, headers=headers, timeout=120).status_code

    for method, password in (("PUT", "the old one"), ("PATCH", "the new one")):
        body = {"password": password}
        answer = requests.request(method, f"{mirror.url}/{name}", json=body, auth=root, timeout=60)
        assert answer.status_code < 400, answer.text
        assert login(password, "192.0.2.70") == 200
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: login("the old one", "192.0.2.70"), range(40)))
    assert set(found) == {401, 429}
    assert found.count(401) < 20  # ten, and one more each six seconds
    assert [login("the new one", address) for address in ("192.0.2.70", "192.0.2.71")] == [200, 200]


def _added(team: Team) -> tuple[str, str]:
    """A new user, and the password."""
    name = new_name("person")
    made = team.mirrored.mirror.run(BIN / "mirror", "user", "add", name, "--generate")
    return name, made.stdout.strip()


def _patch(team: Team, login: tuple[str, str] | None, name: str, body: object) -> requests.Response:
    headers = {"Accept": "application/json", "X-Real-IP": "192.0.2.80"}
    return requests.patch(
        f"{team.mirrored.mirror.url}/{name}", json=body, auth=login, headers=headers, timeout=60
    )


def _login(team: Team, name: str, password: str) -> requests.Response:
    body = {"user": name, "password": password}
    return requests.post(f"{team.mirrored.mirror.url}/+login", json=body, timeout=60)


def test_users_change_their_own_password_with_devpis_client(team: Team) -> None:
    """It sends all that it knows of the user along; the audit log says what was changed, and by whom."""
    mirror, (name, old) = team.mirrored.mirror, _added(team)
    folder = ("--clientdir", str(mirror.home / "own-client"))
    mirror.run(BIN / "devpi", "use", *folder, mirror.url)
    mirror.run(BIN / "devpi", "login", *folder, name, "--password", old)
    mirror.run(BIN / "devpi", "user", *folder, "-m", name, "password=the new one")
    assert [_login(team, name, password).status_code for password in (old, "the new one")] == [401, 200]
    lines = mirror.run(BIN / "mirror", "audit-log", "--json", "--action", "user-change").stdout
    changed = [event for line in lines.splitlines() if (event := json.loads(line))["user"] == name]
    assert [(event["who"], event["result"], event["detail"]) for event in changed] == [
        (name, "ok", "keys: password")
    ]
    assert "the new one" not in lines


def test_users_change_their_own_password_with_our_command(team: Team) -> None:
    """From anywhere, with the present one; a wrong one, or a short new one, changes nothing."""
    mirror, (name, old) = team.mirrored.mirror, _added(team)

    def change(typed: str, url: str = mirror.url) -> subprocess.CompletedProcess[str]:
        command = [str(BIN / "mirror"), "user", "password", name, "--url", url]
        environment = clean_environment(mirror.home / "elsewhere")
        return subprocess.run(
            command, input=typed, env=environment, capture_output=True, text=True, check=False, timeout=60
        )

    wrong, short = change("guessed\nthe new one\n"), change(f"{old}\nshort\n")
    assert wrong.stderr.startswith(f"Error: The mirror does not take this as the present password of {name}.")
    assert short.stderr.startswith("Error: The password has fewer than 8 characters.")
    clear = change(f"{old}\nthe new one\n", "http://packages.example.com")
    assert "is no https:// address" in clear.stderr
    assert (wrong.returncode, short.returncode, clear.returncode) == (1, 1, 1)
    done = change(f"{old}\nthe new one\n")
    assert (done.returncode, done.stdout) == (
        0,
        f"changed the password of {name}; its tokens stay valid\n",
    )
    assert [_login(team, name, password).status_code for password in (old, "the new one")] == [401, 200]


def test_users_change_nothing_else_of_themselves_and_nothing_of_others(team: Team) -> None:
    """Each is told why; devpi named an object of Python's."""
    (name, old), other = _added(team), _added(team)[0]
    create = ("token", "create", "--may", "read", "--index", team.index("dev"), "--user", name)
    made = team.mirrored.mirror.run(BIN / "mirror", *create).stdout.strip()
    url, anonymous, new = team.mirrored.mirror.url, None, {"password": "long enough"}
    own = "users may change their own password alone; root changes "
    for login, whom, body, said in (
        ((name, old), name, {"email": "x@y.example"}, f"{own}email"),
        ((name, old), name, {**new, "email": "x@y.example"}, f"{own}email, password"),
        ((name, old), name, {"pwhash": "x"}, f"{own}pwhash"),
        ((name, old), name, {"indexes": {"dev": {}}, "username": "root", **new}, f"{own}indexes, password, "),
        ((name, old), name, {}, f"{own}more"),
        ((name, old), other, new, f"{name} may not change user {other}"),
        ((name, old), "root", new, f"{name} may not change user root"),
        (("__token__", made), name, new, "a token may not change users"),
        ((name, "wrong"), name, new, f"log in to change user {name}"),
        (anonymous, name, new, f"log in to change user {name}"),
    ):
        answer = _patch(team, login, whom, body)
        assert (answer.status_code, answer.json()["message"][: len(said)]) == (403, said), body
    assert _patch(team, (name, old), name, {"password": ""}).status_code == 400
    assert requests.get(f"{url}/{name}", headers={"Accept": "application/json"}, timeout=30).json()["result"]
    assert _login(team, name, old).status_code == 200


def test_who_guesses_the_present_password_is_throttled(team: Team) -> None:
    """The address is one more place to try passwords at."""
    name, old = _added(team)
    with ThreadPoolExecutor(8) as pool:
        tries = pool.map(
            lambda number: _patch(team, (name, f"guess {number}"), name, {"password": "long enough"}),
            range(30),
        )
        found = [answer.status_code for answer in tries]
    assert set(found) == {403, 429}
    assert found.count(403) < 20
    assert _login(team, name, old).status_code == 200


def test_a_login_of_devpis_client_ends_with_its_password(team: Team) -> None:
    """It is for ten hours; who changes a stolen password means all that was made of it."""
    name, old = _added(team)
    session, url = _login(team, name, old).json()["result"]["password"], team.mirrored.mirror.url

    def works(session: str) -> bool:
        checked = requests.get(f"{url}/+api", auth=(name, session), timeout=60)
        return bool(checked.json()["result"]["authstatus"][0] == "ok")

    assert works(session)
    new = _patch(team, (name, session), name, {"password": "long enough"}).json()["result"]["password"]
    assert [works(each) for each in (session, new)] == [False, True]
    assert _patch(team, (name, session), name, {"password": "of the thief"}).status_code == 403
