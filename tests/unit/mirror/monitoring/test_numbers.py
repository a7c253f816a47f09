"""Metrics for scripts and people."""

from mirror.monitoring import numbers

TEXT = """\
# TYPE packhorse_mirror_requests_total counter
packhorse_mirror_requests_total{kind="page",result="hit"} 90.0
packhorse_mirror_requests_total{kind="file",result="miss"} 10.0
packhorse_mirror_requests_total{kind="api",result="error"} 2.0
# TYPE packhorse_mirror_upstream_seconds histogram
packhorse_mirror_upstream_seconds_bucket{le="+Inf"} 4.0
packhorse_mirror_upstream_seconds_count 4.0
packhorse_mirror_upstream_seconds_sum 1.0
# TYPE packhorse_mirror_upstream_requests_total counter
packhorse_mirror_upstream_requests_total{result="ok"} 4.0
packhorse_mirror_upstream_requests_total{result="unreachable"} 1.0
# TYPE packhorse_mirror_upstream_bytes_total counter
packhorse_mirror_upstream_bytes_total 3e+06
# TYPE packhorse_mirror_saved_bytes_total counter
packhorse_mirror_saved_bytes_total 5e+09
# TYPE packhorse_mirror_queue_length gauge
packhorse_mirror_queue_length{queue="database"} 0.0
packhorse_mirror_queue_length{queue="pages"} 3.0
# TYPE packhorse_mirror_denials_total counter
packhorse_mirror_denials_total{rule="login"} 7.0
# TYPE packhorse_mirror_disk_free_bytes gauge
packhorse_mirror_disk_free_bytes 1e+10
# TYPE packhorse_mirror_disk_size_bytes gauge
packhorse_mirror_disk_size_bytes 1e+11
# TYPE process_open_fds gauge
process_open_fds 24.0
"""


def test_people_see_what_matters() -> None:
    """Rates of a whole life say little, sums and failures much."""
    assert list(numbers.lines(numbers.parse(TEXT))) == [
        "requests   102, 90 % of pages and files from here, 2 errors (without those that nginx answered)",
        "asked      5 times upstream, 1 failed, 250 ms on average; 3.0 MB fetched, 5.0 GB saved",
        "waiting    3 pages",
        "denied     7 by login",
        "disk       10.0 GB of 100.0 GB free",
    ]


def test_a_server_that_has_done_nothing_divides_by_nothing() -> None:
    """Just started."""
    assert len(list(numbers.lines({}))) == 3


def test_a_replica_and_a_broken_audit_log_are_named() -> None:
    """Both call for somebody."""
    shown = list(
        numbers.lines({"replica_lag_serials": 7.0, "replica_silence_seconds": 400.0, "audit_lost_total": 2.0})
    )
    assert "replica    7 changes behind, silent for 400 s" in shown
    assert shown[-1].startswith("audit log  2 events could not be written")


def test_scripts_get_all_numbers_by_name_and_labels() -> None:
    """Without buckets, which are for Prometheus."""
    found = numbers.parse(TEXT)
    assert found["requests_total{kind=page,result=hit}"] == 90
    assert found["queue_length{queue=pages}"] == 3
    assert not any("bucket" in name or "process" in name for name in found)
