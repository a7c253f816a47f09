"""Attacks on the audit log of a real mirror: lines about what was not done, and things done without one."""

import json
from typing import Any

import pytest
import requests

from tests.support.dists import wheel
from tests.support.mirror_and_upstream import Mirrored, new_name
from tests.support.servers import BIN
from tests.support.team_indexes import Team, new_team

READ = (
    *(
        "/+api",
        "/company/+api",
        "/company/dev/+api",
        "/+authcheck",
        "/+status",
        "/+health",
        "/+ready",
        "/+metrics",
    ),
    *(
        "/company/dev/+simple",
        "/company/dev/+simple/",
        "/company/dev/+simple/demo",
        "/company/dev/+simple//demo",
    ),
    *("/company/dev/+why/demo", "/root/pypi/demo/json", "/pypi/demo/json", "/pypi/demo/1.0/json", "/+search"),
    *(
        "/root/pypi/+f/abc/0123456789abc/demo-1.0.zip",
        "/root/pypi/+f/abc/0123456789abc/demo-1.0.zip.provenance",
    ),
    *("/root/pypi/+first-seen/demo", "/+advisories", "/+changelog/0", "/.granted/company/dev/"),
)
PUSH = {"name": "acme-pay", "version": "6.6.6", "targetindex": "company/prod"}
# The end of JSON. In UTF-7 the first value is empty, and both keys come again, so that they count.
HIDDEN = "+ACI-, +ACI-{}+ACI-: +ACI-{}+ACI-, +ACI-{}+ACI-: +ACI-{}"


@pytest.fixture
def team(mirrored: Mirrored) -> Team:
    return new_team(mirrored)


def done(mirrored: Mirrored) -> list[Any]:
    """The events of the log that somebody was not denied."""
    shown = mirrored.mirror.run(BIN / "mirror", "audit-log", "--json").stdout
    return [event for event in map(json.loads, shown.splitlines()) if event["result"] == "ok"]


@pytest.mark.parametrize("path", READ)
def test_an_address_that_reads_records_no_change(mirrored: Mirrored, team: Team, path: str) -> None:
    """devpi answers DELETE /USER/+api with 200: the log had a deletion, and webhooks told of promotions."""
    before = len(done(mirrored))
    for method in ("POST", "PUT", "PATCH", "DELETE", "PUSH", "FOO"):
        for login in (None, (team.name, "pw")):
            answer = requests.request(
                method,
                f"{mirrored.mirror.url}{path}",
                json=PUSH,
                auth=login,
                headers={"Accept": "application/json"},
                allow_redirects=False,
                timeout=30,
            )
            assert answer.status_code in {401, 403, 404, 405, 429}, f"{method} {answer.status_code}"
    assert len(done(mirrored)) == before


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        (
            "application/json; charset=utf-7",
            '{{"name": "innocent", "targetindex": "{target}", "version": "{hidden}"}}',
        ),
        ("application/json; charset=utf-16-le", "{{{push}}}"),
        ("application/json", "{{{push}}}" + " " * 70_000),
        (
            "application/x-www-form-urlencoded",
            '{{"name": "&:action=&name=innocent&version=9.0&z=", {push}}}',
        ),
    ],
    ids=["UTF-7", "UTF-16", "spaces", "form"],
)
def test_a_push_is_recorded_as_it_is_done(mirrored: Mirrored, team: Team, kind: str, body: str) -> None:
    """The log read the body in another way than devpi, and named another project, or none."""
    name = new_name("pushed")
    team.upload(wheel(name, "1.0"))
    push = f'"name": "{name}", "version": "1.0", "targetindex": "{team.index("prod")}"'
    hidden = HIDDEN.format("name", name, "version", "1.0")
    text = body.format(push=push, target=team.index("prod"), hidden=hidden)
    answer = requests.post(
        f"{mirrored.mirror.url}/{team.index('dev')}",
        data=text.encode("utf-16-le" if "16" in kind else "ascii"),
        auth=(team.name, "pw"),
        headers={"Content-Type": kind, "Accept": "application/json"},
        timeout=30,
    )
    assert answer.status_code == 200, answer.text
    event = done(mirrored)[-1]
    keys = ("action", "who", "project", "version", "target")
    assert [event.get(key) for key in keys] == ["push", team.name, name, "1.0", team.index("prod")]


def test_a_login_names_who_has_logged_in(mirrored: Mirrored, team: Team) -> None:
    """With a charset in which later keys are other ones, the log said root."""
    hidden = HIDDEN.format("user", team.name, "password", "pw")
    body = f'{{"user": "root", "password": "{hidden}"}}'
    headers = {"Content-Type": "application/json; charset=utf-7", "Accept": "application/json"}
    answer = requests.post(f"{mirrored.mirror.url}/+login", data=body, headers=headers, timeout=30)
    assert answer.status_code == 200, answer.text
    assert done(mirrored)[-1]["who"] == team.name


def test_a_token_that_was_not_used_is_not_named(mirrored: Mirrored, team: Team) -> None:
    """Beside a right login, a forged token had its id in the log: it would be revoked, not the leaked one."""
    options = ("--index", team.index("dev"), "--user", team.name, "--json")
    made = json.loads(mirrored.mirror.run(BIN / "mirror", "token", "create", *options).stdout)
    name = new_name("own")
    form = {":action": "file_upload", "metadata_version": "2.1", "name": name, "version": "1.0"}
    dist = wheel(name, "1.0")
    answer = requests.post(
        f"{mirrored.mirror.url}/{team.index('dev')}/",
        data=form,
        files={"content": (dist.filename, dist.content)},
        auth=(team.name, "pw"),
        headers={"X-Devpi-Auth": made["token"]},
        timeout=30,
    )
    event = done(mirrored)[-1]
    assert (answer.status_code, event["action"], event["who"]) == (200, "upload", team.name)
    assert "token" not in event
