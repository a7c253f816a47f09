"""Run the hooks of release.toml around a deploy or a rollback: commands on this machine, and a webhook."""

import codecs
import contextlib
import functools
import os
import re
import shlex
import signal
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import Any

from packaging.version import VERSION_PATTERN

from packhorse import process
from packhorse.errors import PackhorseError
from release.agents.controller import Outcome
from release.config.hooks import Hooks
from release.deploy import outcome as outcomes
from release.deploy import webhook

GRACE = 5.0
"""Seconds that a hook has to end after TERM."""
LONGEST = 4096
"""Characters of a line of a hook that are shown, and of an error that it gets."""
BEFORE, AFTER, FAILURE = "before_deploy", "after_deploy", "on_failure"
CONFIG = "config"

_VERSION = re.compile(rf"(?=.{{1,200}}\Z){VERSION_PATTERN}", re.VERBOSE | re.IGNORECASE | re.ASCII)
_COMMIT = re.compile("[0-9a-f]{7,64}")
_URL = re.compile(r"https?://[!-~]{1,2000}")

ShowLine = Callable[[str, str], object]
"""Shows a line: its subject, and its text."""


@dataclass
class HookedCommand:
    """One command with its hooks: `facts` are the variables of each, without the prefix RELEASE_.

    `name`: deploy, rollback or config, for which only the webhook is; they run in the folder `project`. If
    `quiet`, nobody sees what `show` gets but warnings, and the error of a hook has its last lines.
    `show` gets commands, too, as lines of the subject "command".
    """

    settings: Hooks
    project: Path
    name: str
    facts: dict[str, str]
    show: ShowLine
    quiet: bool = False
    began: float = field(default_factory=time.monotonic)
    over: bool = False

    def before(self) -> None:
        """Run `before_deploy`. Raises PackhorseError when it fails: nothing was touched."""
        self._run(BEFORE)

    def finish(self, outcome: Outcome, error: PackhorseError | None) -> None:
        """Run `after_deploy`, or `on_failure` for an `error`, and send the webhook; failures are warnings."""
        hosts = [{"host": host.name, "outcome": outcomes.state(host)} for host in outcome.hosts]
        if error:
            self.fail("stopped" if outcome.stopped else "failed", error.message, hosts)
            return
        results = [host.last or {} for host in outcome.hosts]
        unchanged = all(outcomes.state(host) == outcomes.UNCHANGED for host in outcome.hosts)
        self.facts |= _facts(results)
        self._end(AFTER, "unchanged" if unchanged else "done", "", hosts)

    def fail(self, what: str, error: str, hosts: Sequence[Mapping[str, str]] = ()) -> None:
        """Run `on_failure`, and send the webhook; `what` is "failed" or "stopped"."""
        self._end(FAILURE, what, error, hosts)

    def _end(self, hook: str, what: str, error: str, hosts: Sequence[Mapping[str, str]]) -> None:
        self.over = True
        text = error.replace("\0", "").encode("utf-8", "replace").decode()  # no lone surrogates
        self.facts |= {"OUTCOME": what, "ERROR": text[:LONGEST]}
        self._try(hook, lambda: self._run(hook))
        if (there := self.settings.webhook) is not None:
            self._try("webhook", lambda: webhook.send(there, self.project, os.environ, self.message(hosts)))

    def _try(self, what: str, work: Callable[[], None]) -> None:
        """Do `work`, whose failure changes nothing any more: it is a warning, and so is Ctrl-C."""
        try:
            work()
        except PackhorseError as failure:
            self.show("warning", f"{failure.message} {failure.hint}")
        except KeyboardInterrupt:
            self.show("warning", f"{what} was interrupted.")

    def message(self, hosts: Sequence[Mapping[str, str]]) -> dict[str, Any]:
        """JSON of the webhook."""
        named = {key.lower(): value or None for key, value in self.facts.items()}
        number = int(self.facts["NUMBER"]) if self.facts.get("NUMBER") else None
        seconds = round(time.monotonic() - self.began, 1)
        return {
            "type": f"{self.name}.{self.facts['OUTCOME']}",
            "timestamp": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "data": {
                **named,
                "number": number,
                "hosts": list(hosts) or [{"host": host} for host in self.facts["HOSTS"].split()],
                "seconds": seconds,
            },
        }

    def _run(self, hook: str) -> None:
        """Run a hook, without standard input, and show the lines that it writes.

        After the timeout, or at Ctrl-C, it is ended with all that it has started. Raises PackhorseError.
        """
        command = getattr(self.settings, hook)
        if not command or self.name == CONFIG:
            return
        self.show("command", shlex.join(command))
        started = self._start(hook, command)
        last: deque[str] = deque(maxlen=process.LAST_LINES)
        reader = threading.Thread(
            target=_read, args=(started, last, functools.partial(self.show, hook)), daemon=True
        )
        reader.start()
        try:
            status = started.wait(self.settings.timeout)
            how = f"ended with status {status}" if status > 0 else f"was ended by signal {-status}"
        except subprocess.TimeoutExpired:
            _end(started)
            status, how = (
                process.TIMED_OUT,
                f"did not end within {self.settings.timeout:g} s (timeout in [hooks])",
            )
        except BaseException:
            _end(started)
            raise
        finally:
            reader.join(1)  # something that it left behind may keep the pipe
        if status:
            failure = PackhorseError(f"{hook}: {command[0]} {how}.", "Look at what it wrote.")
            failure.detail = "\n".join(last) if self.quiet else ""
            raise failure

    def _start(self, hook: str, command: Sequence[str]) -> "subprocess.Popen[bytes]":
        try:
            return subprocess.Popen(
                command,
                cwd=self.project,
                env={**os.environ, **{f"RELEASE_{key}": value for key, value in self.facts.items()}},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        except OSError as error:
            raise PackhorseError(
                f"{hook}: {command[0]} cannot be started: {error.strerror}.",
                'Hooks of release.toml are argument lists, such as ["sh", "notify.sh"].',
            ) from error


@contextlib.contextmanager
def around(running: HookedCommand) -> Iterator[HookedCommand]:
    """Run `before_deploy`, then the block, which calls `finish`; what ends it otherwise is a failure.

    That is Ctrl-C, SIGTERM (which CI sends), or an error. Raises PackhorseError.
    """

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    handler = signal.signal(signal.SIGTERM, interrupt)
    try:
        running.before()
        yield running
    except PackhorseError as error:
        if not running.over:
            running.fail("failed", error.message)
        raise
    except KeyboardInterrupt:
        if not running.over:
            running.fail("stopped", "Interrupted")
        raise
    finally:
        signal.signal(signal.SIGTERM, handler)


def _facts(results: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Facts that hosts report about their release, if they can be right: one that lies suppresses no hook."""
    number, version = results[0].get("release"), results[0].get("version")
    artifact = results[0].get("artifact")
    commit = artifact.get("commit") if isinstance(artifact, dict) else None
    urls = [url for result in results if isinstance(url := result.get("url"), str) and _URL.fullmatch(url)]
    return {
        "NUMBER": str(number) if type(number) is int and 0 < number < 10**9 else "",
        "VERSION": version if isinstance(version, str) and _VERSION.fullmatch(version) else "",
        "COMMIT": commit if isinstance(commit, str) and _COMMIT.fullmatch(commit) else "",
        "URL": " ".join(dict.fromkeys(urls)),
    }


def _read(started: "subprocess.Popen[bytes]", last: deque[str], show: Callable[[str], object]) -> None:
    assert started.stdout  # noqa: S101  # for mypy: it is a pipe
    decoder, rest = codecs.getincrementaldecoder("utf-8")("replace"), ""
    with started.stdout as pipe:
        while chunk := os.read(pipe.fileno(), 65536):
            *lines, rest = (rest + decoder.decode(chunk)).split("\n")
            rest = rest[:LONGEST]
            for line in lines:
                last.append(line[:LONGEST])
                show(line[:LONGEST])
        if rest:
            last.append(rest)
            show(rest)


def _end(started: "subprocess.Popen[bytes]") -> None:
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(started.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            started.wait(GRACE)
