"""What an administrator sees of a real mirror: /+metrics, /+health, /+ready."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests
from prometheus_client.parser import text_string_to_metric_families

from tests.support import faults
from tests.support.dists import wheel
from tests.support.mirror_and_upstream import Mirrored, new_name
from tests.support.nginx_front import fronted as fronted_mirror
from tests.support.servers import free_port, wait_until
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
