"""Where the login of an upstream goes: to that upstream, and nowhere else."""

from collections.abc import Iterator

import pytest
import requests

from tests.support import faults
from tests.support.dists import wheel
from tests.support.mirror_and_upstream import Mirrored, mirror_of
from tests.support.servers import BIN
from tests.support.upstream import Upstream

SMALL = 5_000  # bytes
PASSWORD = "upstream-password"


@pytest.fixture(scope="module")
def guarded() -> Iterator[Mirrored]:
    """A mirror of an upstream that wants a login."""
    with Upstream() as upstream:
        upstream.credentials = ("packhorse", PASSWORD)
        with mirror_of(upstream) as mirrored:
            yield mirrored


def _get(url: str) -> requests.Response:
    return requests.get(url, timeout=30)


def test_credentials_of_the_mirror_url_go_to_that_server_only() -> None:
    """They are in the server's configuration for the upstream, not for a host that its pages name."""
    with Upstream() as upstream, Upstream() as elsewhere:
        upstream.credentials = ("packhorse", PASSWORD)
        own, foreign = wheel("guarded", "1.0"), wheel("guarded", "2.0")
        elsewhere.add("guarded", foreign)
        upstream.add("guarded", own, foreign)
        upstream.files_elsewhere[foreign.filename] = elsewhere
        with mirror_of(upstream, hosts=[elsewhere]) as mirrored:
            assert _get(mirrored.url_of(own)).content == own.content
            assert _get(mirrored.url_of(foreign)).content == foreign.content
            assert PASSWORD not in str(mirrored.page("guarded"))
    assert "authorization" in upstream.requests[-1].headers
    assert all("authorization" not in seen.headers for seen in elsewhere.requests)


def test_credentials_do_not_follow_a_redirect_to_another_server_and_are_in_no_log() -> None:
    """Who can make an upstream redirect must not get its password."""
    with Upstream() as upstream, Upstream() as elsewhere:
        dist = wheel("redirected", "1.0", padding=SMALL)
        for server in (upstream, elsewhere):
            server.add("redirected", dist)
        upstream.credentials = ("packhorse", PASSWORD)
        for path in ("/simple/redirected/", upstream.file_path(dist)):
            upstream.fail(path, faults.redirect(f"http://127.0.0.1:{elsewhere.port}{path}"))
        upstream.fail("/simple/broken/", faults.status(500))
        with mirror_of(upstream, hosts=[elsewhere]) as mirrored:
            assert _get(mirrored.url_of(dist)).content == dist.content
            refused = _get(f"{mirrored.mirror.index_url('root/pypi')}broken/")
            assert (refused.status_code, "password" in refused.text) == (503, False)
            log = (mirrored.mirror.home / "mirror" / "server.log").read_text()
            assert "redirected" in log
            assert PASSWORD not in log
    assert [seen.path for seen in elsewhere.requests] == ["/simple/redirected/", upstream.file_path(dist)]
    assert all("authorization" not in seen.headers for seen in elsewhere.requests)


@pytest.mark.parametrize("path", ["", "root", "root/pypi", "root/pypi?no_projects="])
def test_credentials_of_the_mirror_url_are_shown_to_root_alone(guarded: Mirrored, path: str) -> None:
    """devpi tells the settings of all indexes to anybody."""
    users = guarded.mirror.credentials

    def settings(user: str | None) -> str:
        login = (user, users[user]) if user else None
        url, plain = f"{guarded.mirror.url}/{path}", {"Accept": "application/json"}
        answer = requests.get(url, headers=plain, auth=login, timeout=30)
        assert answer.json().get("result") or (user, answer.status_code) == (None, 401)
        return answer.text

    assert [PASSWORD in settings(user) for user in (None, "company", "root")] == [False, False, True]
    assert f'"mirror_url": "http://127.0.0.1:{guarded.upstream.port}/simple/"' in settings("company")


def test_status_asks_the_upstream_with_the_login_and_does_not_show_it(guarded: Mirrored) -> None:
    """Without, it would call an upstream broken that is not; without credentials.json it says the rest."""
    credentials = guarded.mirror.home / "mirror" / "credentials.json"
    said = guarded.mirror.run(BIN / "mirror", "status").stdout
    assert f"http://127.0.0.1:{guarded.upstream.port}/simple/ is reachable" in said
    whole = credentials.read_text()
    try:
        credentials.write_text(whole.replace(guarded.mirror.credentials["root"], "another"))
        assert "serves at http" in guarded.mirror.run(BIN / "mirror", "status").stdout
        credentials.write_text("damaged")
        assert "serves at http" in guarded.mirror.run(BIN / "mirror", "status").stdout
    finally:
        credentials.write_text(whole)
