"""What an administrator sees of a real mirror: /+metrics, /+health, /+ready, the audit log."""

import json
import os
import re
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests
from prometheus_client.parser import text_string_to_metric_families

from mirror import state
from mirror.state import Folder
from tests.support import documents, faults
from tests.support.dists import wheel
from tests.support.mirror_and_upstream import Mirrored, new_name
from tests.support.nginx_front import fronted as fronted_mirror
from tests.support.nginx_front import through
from tests.support.servers import BIN, free_port, wait_until
from tests.support.team_indexes import new_team
from tests.support.upstream import Upstream

pytestmark = pytest.mark.needs("nginx")


@pytest.fixture(scope="module")
def port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def watched(port: int) -> Iterator[Mirrored]:
    """A mirror with few threads, and nginx on `port`."""
    with Upstream() as upstream, fronted_mirror(upstream, port, "threads = 2\n") as mirrored:
        yield mirrored


def metrics(watched: Mirrored) -> dict[str, float]:
    """Each sample as "name{label=value,…}", without the common start of all names."""
    answer = requests.get(f"{watched.mirror.url}/+metrics", timeout=30)
    assert answer.headers["Content-Type"].startswith("text/plain; version=")
    return {
        sample.name.removeprefix("packhorse_mirror_")
        + "".join(f" {value}" for _, value in sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def test_requests_are_counted_by_kind_and_result(watched: Mirrored) -> None:
    """A miss, hits, nothing, and an upload, as clients make them; and what came from the upstream."""
    before = metrics(watched)
    dist = wheel(new_name("seen"), "1.0", padding=5000)
    (address,) = watched.publish(dist)
    for _ in range(3):
        assert requests.get(address, timeout=30).content == dist.content
    index = watched.mirror.index_url("root/pypi")
    assert requests.get(f"{index}{new_name('absent')}/", timeout=30).status_code == 404
    assert (
        requests.post(f"{watched.mirror.url}/company/dev/", files={"content": b"1"}, timeout=30).status_code
        == 401
    )

    def counted() -> dict[str, float]:
        after = metrics(watched)
        return {key: value - before.get(key, 0) for key, value in after.items()}

    more = counted()
    assert more["requests_total page miss"] == 1
    assert more["requests_total file miss"] == 1
    assert more["requests_total file hit"] == 2
    assert more["requests_total page not_found"] == 1
    assert more["requests_total upload denied"] == 1
    assert more["request_seconds_count file hit"] == 2
    assert more["saved_bytes_total"] >= 2 * len(dist.content)
    assert more["upstream_bytes_total"] >= len(dist.content)
    assert more["upstream_requests_total ok"] == 2
    assert more["upstream_requests_total not_found"] == 1
    assert more["upstream_seconds_count"] == 3
    shown = metrics(watched)
    assert shown["disk_free_bytes"] > 0
    assert "oldest_page_seconds" in shown
    assert {f"queue_length {name}" for name in ("database", "pages", "parser", "requests_reads")} <= set(
        shown
    )
    wait_until("the sizes", lambda: "cache_bytes files" in metrics(watched))


def test_status_shows_the_same_numbers(watched: Mirrored) -> None:
    """To people, and to scripts."""
    assert requests.get(f"{watched.mirror.url}/+api", timeout=30).status_code == 200
    shown = json.loads(watched.mirror.run(BIN / "mirror", "status", "--json").stdout)
    assert shown["numbers"]["requests_total{kind=api,result=ok}"] >= 1
    assert shown["problems"] == {}
    text = watched.mirror.run(BIN / "mirror", "status").stdout
    assert all(f"\n{word} " in text for word in ("requests", "asked", "disk"))


def test_metrics_name_no_project_and_no_client(watched: Mirrored) -> None:
    """Labels are words of ours: a stranger's words would be a time series each."""
    name = new_name("secret")
    requests.get(f"{watched.mirror.index_url('root/pypi')}{name}/", timeout=30)
    requests.request("BREW", f"{watched.mirror.url}/{name}", timeout=30)
    text = requests.get(f"{watched.mirror.url}/+metrics", timeout=30).text
    assert name not in text
    assert "BREW" not in text


@pytest.mark.parametrize("header", ["X-Real-IP", "X-Forwarded-For", "Forwarded", "Via"])
def test_metrics_are_for_this_machine_alone_and_not_through_a_proxy(
    watched: Mirrored, port: int, header: str
) -> None:
    """Each web server on this machine connects from loopback."""
    url = f"{watched.mirror.url}/+metrics"
    assert requests.get(url, timeout=30).status_code == 200
    assert requests.get(url, headers={header: "192.0.2.1"}, timeout=30).status_code == 403
    for spelling in ("/+metrics", "//+metrics", "/%2Bmetrics", "/x/../+metrics"):
        request = requests.Request("GET", f"http://127.0.0.1:{port}/").prepare()
        request.url = f"http://127.0.0.1:{port}{spelling}"
        with requests.Session() as session:
            answer = session.send(request, timeout=30)
        assert answer.status_code == 404, spelling
        assert "packhorse_mirror" not in answer.text


def test_health_answers_while_all_threads_are_busy(watched: Mirrored, port: int) -> None:
    """Who restarts a busy server because it is busy makes it worse. The metrics show the queue."""
    gate = threading.Event()
    names = [new_name("slow") for _ in range(6)]
    for name in names:
        watched.upstream.fail(f"/simple/{name}/", faults.held(gate))
    index = watched.mirror.index_url("root/pypi")
    with ThreadPoolExecutor(len(names)) as pool:
        waiting = [pool.submit(requests.get, f"{index}{name}/", timeout=60) for name in names]
        wait_until("a queue", lambda: metrics(watched)["queue_length requests_reads"] > 0)
        for base in (watched.mirror.url, f"http://127.0.0.1:{port}"):
            assert requests.get(f"{base}/+health", timeout=30).text == "ok\n"
            assert requests.get(f"{base}/+ready", timeout=30).json() == {"ready": True, "problems": {}}
        assert not all(each.done() for each in waiting)
        gate.set()
    watched.upstream.heal()


def audited(watched: Mirrored, *options: str) -> list[dict[str, Any]]:
    """What `mirror audit-log` prints."""
    lines = watched.mirror.run(BIN / "mirror", "audit-log", "--json", *options).stdout.splitlines()
    return [json.loads(line) for line in lines]


def test_the_page_about_the_audit_log_shows_commands_that_work(watched: Mirrored, tmp_path: Path) -> None:
    """docs/monitoring-mirror.md; lines for people begin with the fields that the page names."""
    dist = wheel("shop", "1.2")
    (tmp_path / dist.filename).write_bytes(dist.content)
    watched.upload(tmp_path / dist.filename)
    (commands,) = [
        block.text for block in documents.blocks("monitoring-mirror.md") if "mirror audit-log" in block.text
    ]
    shown = watched.mirror.run("sh", "-ec", documents.script(commands)).stdout
    assert re.search(
        r"^2\S+Z  ok      upload         company       127.0.0.1        .*shop", shown, re.MULTILINE
    )


def test_the_audit_log_has_who_did_what_from_where_and_no_secret(watched: Mirrored, port: int) -> None:
    """Through nginx the address is the client's, whatever else the client says."""
    team = new_team(through(port, watched))
    project = new_name("audited")
    first, second = wheel(project, "1.0"), wheel(project, "1.1")
    team.upload(first, description="a description")
    team.upload(second)
    team.call("PUT", f"{team.name}/dev/{project}/1.0/+yank", json={"reason": "broken"})
    pushed = {"name": project, "version": "1.0", "targetindex": f"{team.name}/prod"}
    team.call("POST", f"{team.name}/dev", json=pushed)
    team.call("DELETE", f"{team.name}/dev/{project}/1.1")
    team.call("POST", "+login", json={"user": team.name, "password": "pw"})
    team.call("PATCH", team.name, json={"password": "a-new-password"})
    url = f"http://127.0.0.1:{port}"
    forged = {"X-Real-IP": "198.51.100.1", "X-Forwarded-For": "198.51.100.2", "Forwarded": "for=198.51.100.3"}
    wrong = {"user": team.name, "password": "a-wrong-password"}
    assert requests.post(f"{url}/+login", json=wrong, headers=forged, timeout=30).status_code == 401
    typed = {"user": "a-password-in-the-wrong-field", "password": "x"}
    assert requests.post(f"{url}/+login", json=typed, timeout=30).status_code == 401
    refused = requests.post(f"{url}/{team.name}/dev/", files={"content": b"1" * 100_000}, timeout=30)
    assert refused.status_code == 401
    done = audited(watched, "--project", project)
    assert [event["action"] for event in done] == ["upload", "upload", "yank", "push", "delete"]
    assert {event["who"] for event in done} == {team.name}
    assert (done[0]["file"], done[0]["version"], done[0]["index"]) == (
        first.filename,
        "1.0",
        f"{team.name}/dev",
    )
    assert done[3]["target"] == f"{team.name}/prod"
    theirs = audited(watched, "--who", team.name)
    assert [event["action"] for event in theirs[-3:]] == ["login", "user-change", "login"]
    assert theirs[-2]["detail"] == "keys: password"
    assert (theirs[-1]["result"], theirs[-1]["rule"], theirs[-1]["claimed"]) == ("denied", "login", team.name)
    denied = audited(watched, "--denied")
    assert [event["action"] for event in denied[-3:]] == ["login", "login", "upload"]
    assert {event["from"] for event in (*done, *theirs, *denied)} == {"127.0.0.1"}
    folder = watched.mirror.home / "mirror" / "audit"
    everything = "".join(path.read_text() for path in folder.iterdir())
    for secret in ("a-new-password", "a-wrong-password", "a-password-in-the-wrong-field", "198.51.100."):
        assert secret not in everything


def test_what_tokens_and_the_administrator_do_is_named(watched: Mirrored) -> None:
    """Which token of a user it was; what a prune took. A new one is described, and not shown."""
    shop = new_name("shop")
    options = ("--index", "company/dev", "--project", shop, "--expires", "1d", "--json")
    made = json.loads(watched.mirror.run(BIN / "mirror", "token", "create", *options).stdout)
    url, login = f"{watched.mirror.url}/company/dev/", ("__token__", made["token"])

    def upload(project: str) -> int:
        dist = wheel(project, "1.0")
        form = {":action": "file_upload", "metadata_version": "2.1", "name": project, "version": "1.0"}
        files = {"content": (dist.filename, dist.content)}
        return requests.post(url, data=form, files=files, auth=login, timeout=30).status_code

    other, cached = new_name("other"), wheel(new_name("cached"), "1.0")
    assert (upload(shop), upload(other)) == (200, 403)
    assert requests.delete(f"{url}{shop}", auth=login, timeout=30).status_code == 403
    watched.mirror.run(BIN / "mirror", "token", "revoke", made["id"])
    assert upload(shop) == 403
    assert requests.get(watched.publish(cached)[0], timeout=30).status_code == 200
    watched.mirror.run(BIN / "mirror", "prune", "--max-size", "0")
    keys = ("action", "result", "who", "claimed", "token", "user", "id", "project")
    events = [tuple(event.get(key) for key in keys) for event in audited(watched)]
    start = next(number for number, event in enumerate(events) if event[0] == "token-create")
    assert events[start : start + 6] == [
        ("token-create", "ok", "root", None, None, "company", made["id"], shop),
        ("upload", "ok", "company", None, made["id"], None, None, shop),
        ("upload", "denied", None, "company", made["id"], None, None, other),
        ("delete", "denied", "company", None, made["id"], None, None, shop),
        ("token-revoke", "ok", "root", None, None, "company", made["id"], None),
        ("upload", "denied", None, "company", made["id"], None, None, shop),
    ]
    (created,) = audited(watched, "--action", "token-create", "--project", shop)
    assert (created["index"], created["may"]) == ("company/dev", "pkg_read,upload")
    assert cached.filename in audited(watched, "--action", "prune")[0]["detail"]
    folder = watched.mirror.home / "mirror" / "audit"
    assert made["token"][-20:] not in "".join(path.read_text() for path in folder.iterdir())
    assert "token-revoke" in watched.mirror.run(BIN / "mirror", "audit-log", "--action", "x", status=2).stderr


def test_a_web_server_on_this_machine_names_the_client(watched: Mirrored) -> None:
    """As nginx does; each address has tries of its own."""
    user = {"user": "root", "password": "wrong"}
    header = {"X-Real-IP": "2001:db8::7", "X-Forwarded-For": "192.0.2.1"}
    assert (
        requests.post(f"{watched.mirror.url}/+login", json=user, headers=header, timeout=30).status_code
        == 401
    )
    assert audited(watched, "--denied", "--who", "root")[-1]["from"] == "2001:db8::7"


def test_events_outlive_the_server_and_a_full_disk_harms_no_request(watched: Mirrored) -> None:
    """Each is written before its answer; a folder in the place of the file is as bad as a full disk."""
    team = new_team(watched)
    team.call("POST", "+login", json={"user": team.name, "password": "pw"})
    serving = state.read_serving(Folder(watched.mirror.home))
    assert serving
    os.kill(serving.pid, signal.SIGKILL)
    log = watched.mirror.home / "mirror" / "audit" / "audit.jsonl"
    with log.open("a") as file:
        file.write('{"time": "20')  # what a power cut leaves
    watched.mirror.run(BIN / "mirror", "serve", "--background", cwd=watched.mirror.home)
    assert audited(watched, "--who", team.name)[-1]["action"] == "login"
    aside = log.rename(log.with_name("aside"))
    log.mkdir()
    try:
        team.upload(wheel(new_name("unaudited"), "1.0"))
        wait_until("the count", lambda: metrics(watched)["audit_lost_total"] >= 1)
    finally:
        log.rmdir()
        aside.rename(log)
    team.call("POST", "+login", json={"user": team.name, "password": "pw"})
    assert [json.loads(line)["action"] for line in log.read_text().splitlines()][-1] == "login"


def test_guessing_passwords_is_slowed_down_and_locks_out_nobody(watched: Mirrored) -> None:
    """By user and address, as nginx states it. The test beside login_throttle.py makes ten thousand."""
    team, url = new_team(watched), f"{watched.mirror.url}/+login"

    def login(password: str, address: str) -> requests.Response:
        user = {"user": team.name, "password": password}
        return requests.post(url, json=user, headers={"X-Real-IP": address}, timeout=60)

    guesses = [login(f"guess{number}", "192.0.2.66") for number in range(40)]
    assert {guess.status_code for guess in guesses} == {401, 429}
    assert guesses[-1].status_code == 429
    assert 1 <= int(guesses[-1].headers["Retry-After"]) <= 120
    assert "Too many wrong passwords" in guesses[-1].text
    assert login("pw", "192.0.2.1").status_code == 200
    assert login("pw", "192.0.2.66").status_code == 200  # known by now
    assert metrics(watched)["denials_total throttle"] >= 1
    assert audited(watched, "--denied", "--action", "login")[-1]["rule"] == "throttle"
