"""The metrics of a server as numbers for scripts and as lines for people."""

from collections.abc import Iterator, Mapping

from packhorse import quantities

PREFIX = "packhorse_mirror_"
Numbers = Mapping[str, float]  # "requests_total{kind=page,result=hit}" -> its value


def parse(text: str) -> dict[str, float]:
    """The samples of /+metrics without those of histograms' buckets and of the process."""
    from prometheus_client.parser import text_string_to_metric_families

    return {
        _name(sample.name, sample.labels): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name.startswith(PREFIX) and not sample.name.endswith("_bucket")
    }


def _name(name: str, labels: Mapping[str, str]) -> str:
    text = ",".join(f"{key}={value}" for key, value in sorted(labels.items()))
    return name.removeprefix(PREFIX) + (f"{{{text}}}" if text else "")


def lines(numbers: Numbers) -> Iterator[str]:
    """The most useful ones for people, since the server started."""
    cached = [_sum(numbers, "requests_total", f"result={result}") for result in ("hit", "miss", "stale")]
    requests, errors = _sum(numbers, "requests_total"), _sum(numbers, "requests_total", "result=error")
    hits = f", {100 * cached[0] / sum(cached):.0f} % of pages and files from here" if sum(cached) else ""
    yield f"requests   {requests:.0f}{hits}, {errors:.0f} errors (without those that nginx answered)"
    count, seconds = _sum(numbers, "upstream_seconds_count"), _sum(numbers, "upstream_seconds_sum")
    failed = sum(
        _sum(numbers, "upstream_requests_total", f"result={each}") for each in ("error", "unreachable")
    )
    asked = _sum(numbers, "upstream_requests_total")
    mean = f", {1000 * seconds / count:.0f} ms on average" if count else ""
    fetched, saved = (
        quantities.shown(_sum(numbers, f"{each}_bytes_total")) for each in ("upstream", "saved")
    )
    times = f"{asked:.0f} times upstream, {failed:.0f} failed{mean}"
    yield f"asked      {times}; {fetched} fetched, {saved} saved"
    waiting = {name: value for name, value in _labelled(numbers, "queue_length", "queue") if value}
    if waiting:
        yield f"waiting    {', '.join(f'{value:.0f} {name}' for name, value in waiting.items())}"
    denials = list(_labelled(numbers, "denials_total", "rule"))
    if denials:
        yield f"denied     {', '.join(f'{value:.0f} by {name}' for name, value in denials)}"
    free, size = _sum(numbers, "disk_free_bytes"), _sum(numbers, "disk_size_bytes")
    yield f"disk       {quantities.shown(free)} of {quantities.shown(size)} free"
    if "replica_lag_serials" in numbers:
        silence = numbers.get("replica_silence_seconds", 0)
        yield f"replica    {numbers['replica_lag_serials']:.0f} changes behind, silent for {silence:.0f} s"
    if lost := numbers.get("audit_lost_total"):
        yield f"audit log  {lost:.0f} events could not be written: see the server's log"


def _sum(numbers: Numbers, name: str, label: str = "") -> float:
    return sum(
        value
        for key, value in numbers.items()
        if key.partition("{")[0] == name
        and (not label or label in key.partition("{")[2].rstrip("}").split(","))
    )


def _labelled(numbers: Numbers, name: str, label: str) -> Iterator[tuple[str, float]]:
    start = f"{name}{{{label}="
    return ((key[len(start) : -1], value) for key, value in numbers.items() if key.startswith(start))
