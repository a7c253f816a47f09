"""packhorse.process: programs run from lists, with exactly the environment that they are given."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from packhorse import process


def _python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def test_status_and_both_streams_come_back(tmp_path: Path) -> None:
    """A tool's last words are shown to the user."""
    code = "import os, sys; print(os.getcwd()); print('bad', file=sys.stderr); sys.exit(3)"
    done = process.run(_python(code), cwd=tmp_path)
    assert done == process.Finished(3, f"{tmp_path}\n", "bad\n")
    assert done.output == f"{tmp_path}\nbad"


def test_bytes_that_are_no_text_do_not_stop_us() -> None:
    """A compiler may print anything."""
    done = process.run(_python(r"import sys; sys.stdout.buffer.write(b'a\xffb')"))
    assert done.stdout == "a\N{REPLACEMENT CHARACTER}b"


def test_arguments_reach_the_program_untouched() -> None:
    """There is no shell in between."""
    done = process.run([*_python("import sys; print(sys.argv[1:])"), "$HOME; *", "a b"])
    assert done.stdout == "['$HOME; *', 'a b']\n"


def test_the_environment_is_the_one_given_or_our_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable too many is how a build finds another index."""
    monkeypatch.setenv("PACKHORSE_TEST", "ours")
    show = _python("import os; print(os.environ.get('PACKHORSE_TEST'), os.environ.get('OTHER'))")
    assert process.run(show).stdout == "ours None\n"
    assert process.run(show, env={"OTHER": "given"}).stdout == "None given\n"


def test_nobody_waits_for_standard_input() -> None:
    """A tool that asks a question must get an end of file, not our terminal."""
    assert process.run(_python("import sys; print(repr(sys.stdin.read()))")).stdout == "''\n"


def test_a_program_that_does_not_exist_is_an_error_of_its_own() -> None:
    """The caller knows what was missing and what to install."""
    with pytest.raises(FileNotFoundError):
        process.run(["no-such-program-anywhere"])


def test_a_program_that_takes_too_long_is_killed() -> None:
    """Every wait has an end, and a status that says so."""
    done = process.run(_python("import time; time.sleep(60)"), timeout=0.2)
    assert done.status == process.TIMED_OUT
    assert "timed out after 0.2 seconds" in done.stderr


def test_a_failure_shows_the_last_lines_of_both_streams() -> None:
    """A build backend says what it does on one and why it failed on the other; thousands of lines hide it."""
    stdout = "".join(f"compiling {number}\n" for number in range(1000))
    error = process.failure(process.Finished(1, stdout, "no compiler\n"), "It failed.", "Install a compiler.")
    lines = error.detail.splitlines()
    assert (error.message, error.hint) == ("It failed.", "Install a compiler.")
    assert lines == [
        *(f"compiling {number}" for number in range(1000 - process.LAST_LINES, 1000)),
        "no compiler",
    ]


def test_installers_see_one_index_and_no_setting_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """A second place to install from is how dependency confusion happens."""
    for name in ("PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS", "UV_EXTRA_INDEX_URL", "UV_INDEX", "UV_FIND_LINKS"):
        monkeypatch.setenv(name, "https://elsewhere.example/simple")
    for name in process._INHERITED:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", "/etc/pip.conf")
    monkeypatch.setenv("UV_HTTP_TIMEOUT", "300")
    monkeypatch.setenv("PIP_CERT", "/etc/ca.pem")
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example:3128")
    seen = process.installer_environment("http://127.0.0.1:3141/company/dev/+simple/", Path("/state"))
    assert {name: value for name, value in seen.items() if name.startswith(("PIP_", "UV_"))} == {
        "PIP_CERT": "/etc/ca.pem",
        "PIP_CONFIG_FILE": os.devnull,  # pip then reads no file at all
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "PIP_INDEX_URL": "http://127.0.0.1:3141/company/dev/+simple/",
        "PIP_NO_INPUT": "1",
        "UV_CACHE_DIR": "/state/cache/uv",
        "UV_DEFAULT_INDEX": "http://127.0.0.1:3141/company/dev/+simple/",
        "UV_HTTP_TIMEOUT": "300",
        "UV_NO_CONFIG": "1",
        "UV_NO_PROGRESS": "1",
        "UV_PYTHON_DOWNLOADS": "never",
    }
    assert seen["HTTPS_PROXY"] == "http://proxy.example:3128"


def test_only_what_builds_need_is_passed_on_and_what_the_user_names(monkeypatch: pytest.MonkeyPatch) -> None:
    """An environment holds secrets; no name may bring back a second place to install from."""
    passed = {"PATH": "/bin", "LC_ALL": "C", "CC": "gcc", "https_proxy": "http://proxy", "NODE_ENV": "x"}
    for name in (*passed, "AWS_SECRET_ACCESS_KEY", "SSH_AUTH_SOCK", "UV_EXTRA_INDEX_URL", "PYTHONPATH"):
        monkeypatch.setenv(name, passed.get(name, "secret"))
    more = ["NODE_ENV", "UV_EXTRA_INDEX_URL", "NOT_SET"]
    seen = process.installer_environment("http://x.example/", Path("/state"), more)
    assert passed.items() <= seen.items()
    assert "secret" not in seen.values()


def test_a_cache_that_the_user_chose_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """It may be on a larger disk."""
    monkeypatch.setenv("UV_CACHE_DIR", "/large")
    assert process.installer_environment("http://x.example/", Path("/state"))["UV_CACHE_DIR"] == "/large"


def test_values_among_our_arguments_are_overwritten() -> None:
    """Every user of the machine may look at them, by ps."""
    code = (
        "import sys; from packhorse import process; process.hide_arguments(sys.argv[1:3])\n"
        "sys.stdout.buffer.write(open('/proc/self/cmdline', 'rb').read())"
    )
    given = [b"A=hunter2\xff", b"db://hunter2=", b"C=seen", b"hunter2"]
    done = subprocess.run([sys.executable, "-c", code, *given], stdout=subprocess.PIPE, check=True)
    assert done.stdout.split(b"\0")[3:] == [b"A=********", b"*" * 13, b"C=seen", b"hunter2", b""]
