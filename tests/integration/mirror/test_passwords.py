"""Passwords that somebody guesses: each check is slow on purpose, and no upload waits for it."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import argon2
import pytest
import requests

from tests.support.dists import wheel
from tests.support.mirror_and_upstream import Mirrored, mirror_of, new_name
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
