"""The promises of release.doctor.report."""

from packhorse.errors import PackhorseError
from release.doctor import report
from release.doctor.report import Finding
from release.host.commands.inspect.doctor import FAILED, OK, WARNING, CheckResult

GOOD = Finding("web1", CheckResult("disk", OK, "much is free"))
ODD = Finding("web1", CheckResult("clock", WARNING, "7 s behind", "Set it"))
BAD = Finding("web2", CheckResult("index", FAILED, "no way\nthere", "Open the firewall"))


def test_what_to_do_stands_behind_what_was_found() -> None:
    """One line for each check, whatever a program wrote."""
    assert report.rows([GOOD, BAD]) == [
        ("web1", "disk", "ok", "much is free"),
        ("web2", "index", "failed", "no way there → Open the firewall"),
    ]


def test_only_failures_end_with_an_error() -> None:
    """A warning stops no pipeline."""
    assert report.error([GOOD, ODD]) is None
    assert report.summary([GOOD, ODD]) == "2 checks, 1 warning."
    error = report.error([GOOD, ODD, BAD])
    assert error
    assert error.message == "1 of 3 checks failed: index on web2."


def test_scripts_get_every_finding() -> None:
    """With null where it is about all hosts, or the project."""
    rows = report.as_json([Finding("", CheckResult("drift", OK, "none"))])
    assert rows == [{"host": None, "check": "drift", "state": "ok", "text": "none", "advice": ""}]


def test_an_expected_error_is_a_failed_check() -> None:
    """With its hint."""

    def look() -> str:
        raise PackhorseError("It broke.", "Mend it.")

    assert report.attempt("thing", look) == CheckResult("thing", FAILED, "It broke.", "Mend it.")
    assert report.attempt("thing", lambda: "fine") == CheckResult("thing", OK, "fine")
