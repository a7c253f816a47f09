"""packhorse-metrics: no line is counted twice or left out, and no visitor or application forges metrics."""

import importlib.util
import json
import os
from pathlib import Path
from types import ModuleType

import pytest

ROLE = Path(__file__).parents[3] / "ansible/roles/monitoring/files"
LINE = (
    '::1 - - [26/Nov/2026:09:38:53 +0000] "{method} /a HTTP/1.1" {status} 5 "-" "x" "a" {time} "{answer}"\n'
)


def loaded(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, ROLE / f"{name}.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def program() -> ModuleType:
    return loaded("packhorse_metrics")


def line(method: str = "GET", status: str = "200", time: str = "0.001", answer: str = "0.001") -> str:
    return LINE.format(method=method, status=status, time=time, answer=answer)


class Host:
    """A folder of logs and the program's own folders."""

    def __init__(self, program: ModuleType, folder: Path) -> None:
        self.program = program
        self.logs, self.state, self.told, self.shown = (folder / name for name in ("logs", "s", "t", "m"))
        for each in (self.logs, self.state, self.told, self.shown):
            each.mkdir()
        self.log = self.logs / "shop.access.log"

    def append(self, text: str, log: Path | None = None) -> None:
        with (log or self.log).open("a") as file:
            file.write(text)

    def metrics(self) -> dict[str, float]:
        """The samples after one more pass, by name and labels."""
        self.program.one_pass(self.logs, self.state, self.told, self.shown)
        text = (self.shown / "packhorse.prom").read_text()
        rows = [row.rpartition(" ") for row in text.splitlines() if not row.startswith("#")]
        return {name: float(value) for name, _, value in rows}

    def total(self) -> float:
        return sum(
            value for name, value in self.metrics().items() if name.startswith("packhorse_requests_total")
        )

    def tell(self, told: object, app: str = "shop") -> Path:
        (self.told / app).mkdir(exist_ok=True)
        path = self.told / app / "facts.json"
        path.write_text(told if isinstance(told, str) else json.dumps(told))
        return path


@pytest.fixture
def host(program: ModuleType, tmp_path: Path) -> Host:
    return Host(program, tmp_path)


def test_requests_are_counted_by_method_class_and_duration(host: Host) -> None:
    """As nginx measures them: whole milliseconds, added without rounding."""
    host.append(
        line() + line(status="404", time="0.300", answer="0.250") + line("POST", "502", "1.500", "0.2, 0.700")
    )
    host.append(line(status="499", time="20.000", answer="-"))
    metrics = host.metrics()
    found = {name: value for name, value in metrics.items() if "requests_total" in name and value}
    assert found == {
        'packhorse_requests_total{app="shop",method="GET",code="2xx"}': 1,
        'packhorse_requests_total{app="shop",method="GET",code="4xx"}': 2,
        'packhorse_requests_total{app="shop",method="POST",code="5xx"}': 1,
    }
    assert metrics['packhorse_request_seconds_bucket{app="shop",le="0.005"}'] == 1
    assert metrics['packhorse_request_seconds_bucket{app="shop",le="0.5"}'] == 2
    assert metrics['packhorse_request_seconds_bucket{app="shop",le="10"}'] == 3
    assert metrics['packhorse_request_seconds_bucket{app="shop",le="+Inf"}'] == 4
    assert metrics['packhorse_request_seconds_sum{app="shop"}'] == 21.801
    assert metrics['packhorse_application_seconds_count{app="shop"}'] == 3
    assert metrics['packhorse_application_seconds_sum{app="shop"}'] == 0.951


def test_a_line_is_counted_once_however_often_one_looks(host: Host) -> None:
    """Also one whose end is not written yet, as on a full disk."""
    assert host.total() == 0
    host.append(line() + line()[:40])
    assert [host.total(), host.total()] == [1, 1]
    host.append(line()[40:])
    assert host.total() == 2


def test_a_kill_between_two_writes_counts_nothing_twice(
    host: Host, program: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Position and counters are one file: it is the old one or the new one."""
    host.append(line() * 3)
    with monkeypatch.context() as patched:
        patched.setattr(program, "prometheus", lambda _: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            host.total()
    assert host.total() == 3
    host.append(line() * 2)
    with monkeypatch.context() as patched:
        patched.setattr(program.Path, "replace", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            host.total()
    assert host.total() == 5


def test_rotation_loses_nothing_and_counts_nothing_twice(host: Host) -> None:
    """nginx writes to the old file for a moment; the oldest part goes, and its inode comes back."""
    old, total = host.log.with_name("shop.access.log.1"), 0
    for turn in range(6):
        host.append(line(time=f"{turn}.001"))
        total += 1
        assert host.total() == total
        host.append(line(time=f"{turn}.002"))
        old.unlink(missing_ok=True)
        host.log.rename(old)
        host.append(line(time=f"{turn}.003"), old)
        total += 2
        if turn % 2:
            assert host.total() == total
        host.append(line(time=f"{turn}.004"))
        host.append(line(time=f"{turn}.005"), old)
        total += 2
    assert host.total() == total


def test_two_rotations_between_two_looks_count_what_is_left(host: Host) -> None:
    """The part in the middle is new then, and is read from its beginning."""
    host.append(line(time="0.001"))
    assert host.total() == 1
    old = host.log.with_name("shop.access.log.1")
    for turn in range(2):
        host.log.replace(old)
        host.append(line(time=f"1.00{turn}"))
    assert host.total() == 3


def test_what_was_rotated_before_the_first_look_is_history(host: Host) -> None:
    """Else a graph would begin with a day's requests in a second."""
    host.append(line(), host.log.with_name("shop.access.log.1"))
    host.append(line() + line())
    assert host.total() == 2


def test_a_log_that_was_emptied_is_read_from_its_beginning(host: Host) -> None:
    """By an administrator, or copytruncate; one that was cut shows nothing again."""
    host.append(line(time="0.001") * 3)
    assert host.total() == 3
    os.truncate(host.log, 0)
    host.append(line(time="0.002"))
    assert host.total() == 4
    host.append(line(time="0.003") * 3)
    assert host.total() == 7
    os.truncate(host.log, len(line()) * 2)
    assert host.total() == 7
    host.append(line(time="0.004"))
    assert host.total() == 8


def test_a_long_absence_is_made_up_for(host: Host, program: ModuleType) -> None:
    """Down for an hour: more than is read at once, and something that is no line at all."""
    host.append(line())
    assert host.total() == 1
    host.append("\0" * (2 * program.CHUNK) + "\n" + line() * 20_000)
    assert host.total() == 20_001


@pytest.mark.parametrize(
    ("wrong", "counted"),
    [
        ('1.2.3.4 - - [x] "GET / HTTP/1.1" 200 5 "-" "curl"\n', 0),  # nginx's usual format
        ("nonsense\n", 0),
        ("\n", 0),
        ('1.2.3.4 - x" 999 9 "- [x] "GET /" 200 x "-" "-" "h" 0.1 "-"\n', 0),
        (line()[:60] + line(), 1),  # half a line, from a full disk
        (line("G-E_T"), 1),
        (line("-"), 1),
        (line(status="777"), 1),
        (line(status="099"), 1),
    ],
)
def test_lines_of_another_kind_are_left_out_and_labels_stay_few(host: Host, wrong: str, counted: int) -> None:
    """Of an earlier version, of a full disk, of an application that invents codes."""
    host.append(wrong)
    metrics = host.metrics()
    names = [name for name, value in metrics.items() if "requests_total" in name and value]
    assert len(names) == counted
    assert metrics['packhorse_log_lines_skipped_total{app="shop"}'] == 1 - counted
    assert all('code="other"' in name for name in names if "777" in wrong or "099" in wrong)
    assert all('method="other"' in name for name in names if "_T" in wrong or '"- ' in wrong)


@pytest.mark.parametrize(
    "value", ["x\\x22 200 5 \\x22-", "{}", "a=\\x221\\x22}\\x0Apackhorse_release{", "\\\\"]
)
def test_a_visitor_forges_no_metric(host: Host, value: str) -> None:
    """nginx writes quotes and line ends of a visitor as \\x22 and \\x0A."""
    host.append(
        line().replace("/a HTTP", f"/{value} HTTP").replace('"x"', f'"{value}"').replace("- -", f"- {value}")
    )
    assert len([name for name, number in host.metrics().items() if "requests_total" in name and number]) == 1
    assert "packhorse_release" not in (host.shown / "packhorse.prom").read_text()


TOLD = {
    "release": 43,
    "maintenance": False,
    "stopped": False,
    "last_deploy_good": True,
    "processes": {"web": {"processes": 2, "processes_wanted": 2, "process_restarts_last_hour": 0}},
}


def test_what_an_application_tells_is_shown(host: Host) -> None:
    """Also of one that nginx has no log of."""
    host.tell(TOLD)
    metrics = host.metrics()
    assert metrics['packhorse_release{app="shop"}'] == 43
    assert metrics['packhorse_last_deploy_good{app="shop"}'] == 1
    assert metrics['packhorse_processes{app="shop",process="web"}'] == 2
    assert not any("certificate" in name for name in metrics)


@pytest.mark.parametrize(
    "told",
    [
        {"release": '43"} 1\npackhorse_release{app="other'},
        {"release": [43]},
        '{"release": NaN}',
        '{"release": Infinity}',
        f'{{"release": 1{"0" * 400}}}',
        "[" * 10_000,
        "[]",
        "",
        "\xff",
        {"release": 1, "processes": [1]},
        {"release": 1, "processes": {"web": 3}},
        {"surprise": 1},
        {"processes": {'web"} 1\n': {"processes": 1}, "x" * 40: {"processes": 1}}},
        '{"release": 1, "pad": "' + "x" * 70_000 + '"}',
    ],
)
def test_an_application_forges_nothing_of_others(host: Host, told: object) -> None:
    """Its user writes that file: only numbers under known names get through."""
    host.tell(told)
    assert host.metrics() == {}


def test_an_application_has_some_processes_and_not_a_million(host: Host, program: ModuleType) -> None:
    """Each is a time series at whoever asks."""
    host.tell({"processes": {f"p{n}": {"processes": 1} for n in range(1000)}})
    assert len(host.metrics()) == program.MOST_PROCESSES


def test_an_application_that_tells_others_each_time_makes_no_endless_series(
    host: Host, program: ModuleType
) -> None:
    """Whoever collects keeps each for years. Names that are long gone make room for new ones."""
    seen: set[str] = set()
    for turn in range(3):
        host.tell({"processes": {f"p{turn}-{n}": {"processes": 1} for n in range(40)}})
        seen |= set(host.metrics())
    assert len(seen) == program.MOST_PROCESSES
    host.tell({"processes": {"p0-0": {"processes": 1}, "p2-39": {"processes": 1}}})
    assert set(host.metrics()) == {'packhorse_processes{app="shop",process="p0-0"}'}
    (host.state / "shop.processes").write_text(json.dumps({f"old{n}": 0 for n in range(50)}))
    assert len(host.metrics()) == 2


def test_links_pipes_and_old_files_tell_nothing(host: Host) -> None:
    """A link would show files of others, a pipe would hold all metrics up, an old file is of an hour ago."""
    path = host.tell(TOLD)
    os.utime(path, (0, 0))
    assert host.metrics() == {}
    secret = path.with_name("secret")
    secret.write_text(json.dumps(TOLD))
    path.unlink()
    path.symlink_to(secret)
    assert host.metrics() == {}
    path.unlink()
    os.mkfifo(path)
    assert host.metrics() == {}


def test_two_applications_are_two_and_files_of_others_none(host: Host) -> None:
    """The folder is nginx's; its files have the applications' names."""
    host.append(line())
    host.append(line(), host.logs / "my-shop.access.log")
    host.append(line(), host.logs / "shop.production.access.log")  # of a balancer
    host.append(line(), host.logs / 'x"} 1.access.log')
    found = {name for name, value in host.metrics().items() if "requests_total" in name and value}
    assert found == {
        f'packhorse_requests_total{{app="{app}",method="GET",code="2xx"}}'
        for app in ("shop", "my-shop", "shop.production")
    }


def munin(
    host: Host, program: ModuleType, graph: str, mode: str, capsys: pytest.CaptureFixture[str]
) -> list[str]:
    vars(program)["METRICS"] = host.shown / "packhorse.json"
    program.main(f"packhorse_{graph}", mode)
    return capsys.readouterr().out.splitlines()


def test_munin_shows_the_same_numbers(host: Host, capsys: pytest.CaptureFixture[str]) -> None:
    """Every field has a configuration and a value, under a name that munin takes."""
    plugin = loaded("packhorse_munin")
    host.append(line(time="2.000") + line() * 2 + line("POST", "500"))
    host.tell({**TOLD, "certificate_days": 20})
    host.metrics()
    for graph in plugin.GRAPHS:
        configured = munin(host, plugin, graph, "config", capsys)
        values = [row.split(" ") for row in munin(host, plugin, graph, "fetch", capsys)]
        fields = {row.partition(".")[0] for row in configured if row.partition(" ")[0].endswith(".label")}
        assert {name.removesuffix(".value") for name, _ in values} == fields
        assert all(name.replace("_", "a").isalnum() and name[0].isalpha() for name in fields)
    requests = munin(host, plugin, "requests", "fetch", capsys)
    assert {"ashop_2xx.value 3", "ashop_5xx.value 1", "ashop_4xx.value 0"} <= set(requests)
    assert "ashop_slow.value 1" in munin(host, plugin, "seconds", "fetch", capsys)
    state = munin(host, plugin, "state", "fetch", capsys)
    assert {"ashop_release.value 43", "ashop_maintenance.value 0", "ashop_certificate_days.value 20"} <= set(
        state
    )


def test_munin_gets_nothing_when_nothing_counts(host: Host, capsys: pytest.CaptureFixture[str]) -> None:
    """Old numbers would look like an application that nobody asks."""
    plugin = loaded("packhorse_munin")
    assert munin(host, plugin, "requests", "fetch", capsys) == []
