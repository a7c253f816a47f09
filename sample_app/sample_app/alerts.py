"""Errors: by mail to ADMINS, at most ten an hour and process, and to Sentry."""

import logging
import time
from collections import deque
from collections.abc import Callable
from logging.handlers import QueueHandler, QueueListener, SMTPHandler
from queue import Full, Queue
from typing import TYPE_CHECKING, Any

import sentry_sdk

from sample_app import VERSION, logs, mail

if TYPE_CHECKING:
    from sample_app.config import Settings

AN_HOUR = 10
"""Mails an hour and process: what breaks each request must not fill a mailbox, or block the mail server."""


def register(settings: "Settings") -> None:
    """Tell about the errors of this process, where the settings say."""
    root = logging.getLogger()
    for there in [handler for handler in root.handlers if isinstance(handler, Background)]:
        root.removeHandler(there)
        there.close()
    if settings.admins and settings.smtp_url:
        root.addHandler(Background(Mail(settings)))
    if settings.sentry_dsn:
        start_sentry(settings, settings.sentry_dsn.get_secret_value())


class Background(QueueHandler):
    """Gives errors to `handler` in a thread of its own: no request waits. What is too much is left out."""

    def __init__(self, handler: logging.Handler) -> None:
        super().__init__(Queue(100))
        self.setLevel(logging.ERROR)
        self.setFormatter(Report())
        self.addFilter(Sparse(AN_HOUR))
        self.listener: QueueListener | None = QueueListener(self.queue, handler)
        self.listener.start()

    def close(self) -> None:
        """Send what is waiting, and end the thread; `logging` calls this when the process ends, too."""
        if self.listener:
            self.listener.stop()
            self.listener = None
        super().close()

    def enqueue(self, record: logging.LogRecord) -> None:
        """Called for each record that the filter has let pass."""
        try:
            self.queue.put_nowait(record)
        except Full:
            return


class Sparse(logging.Filter):
    """Lets `most` records an hour pass; the next one says how many did not."""

    def __init__(self, most: int, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self.clock = clock
        self.passed: deque[float] = deque(maxlen=most)
        self.held = 0

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether `record` passes."""
        now = self.clock()
        if len(self.passed) == self.passed.maxlen and now - self.passed[0] < 3600:
            self.held += 1
            return False
        self.passed.append(now)
        record.held, self.held = self.held, 0
        return True


class Report(logging.Formatter):
    """The text of a mail: what happened, in which request, with the traceback."""

    def format(self, record: logging.LogRecord) -> str:
        """`record` in lines."""
        held = getattr(record, "held", 0)
        lines = [f"{name}: {value}" for name, value in logs.context().items()]
        lines += [f"{held} more errors were not mailed in the last hour; the log has them."] if held else []
        return "\n".join([super().format(record), "", *lines])


class Mail(SMTPHandler):
    """Sends a record to ADMINS, through the server of SMTP_URL."""

    def __init__(self, settings: "Settings") -> None:
        subject = f"{settings.packhorse_app or 'sample-app'} {VERSION}: error"
        super().__init__("", settings.mail_from, list(settings.admins), subject)
        self.settings = settings

    def emit(self, record: logging.LogRecord) -> None:
        """Called in the thread of `Background`, which an exception would end.

        A failure is a warning in the log, or a line on stderr, never another error. In the text may be lone
        surrogates of a client's.
        """
        text = record.getMessage().encode(errors="replace").decode()
        try:
            mail.send(self.settings, ", ".join(self.toaddrs), self.getSubject(record), text)
        except mail.MailError as error:
            logging.getLogger(__name__).warning("an error was not mailed: %s", error)
        except Exception:  # noqa: BLE001  # as logging's own handlers do: a MAIL_FROM with a line break, say
            self.handleError(record)


def start_sentry(settings: "Settings", dsn: str) -> None:
    """Send errors to Sentry, without what people have sent: forms, cookies, queries, addresses, variables."""
    build = f"+{settings.packhorse_release}" if settings.packhorse_release else ""
    sentry_sdk.init(
        dsn,
        release=f"{settings.packhorse_app or 'sample-app'}@{VERSION}{build}",
        environment=settings.environment,
        send_default_pii=False,
        include_local_variables=False,
        max_request_body_size="never",
        before_send=without_private,
    )


def without_private(event: Any, _hint: Any) -> Any:  # noqa: ANN401  # sentry_sdk.types.Event is a TypedDict of any
    """`event` with method and path of the request, and nothing else of it."""
    if "request" in event:
        event["request"] = {name: event["request"].get(name) for name in ("method", "url")}
    event.pop("user", None)
    return event
