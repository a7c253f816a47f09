"""Mail through the server of SMTP_URL, over TLS."""

import logging
import smtplib
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, unquote, urlsplit

if TYPE_CHECKING:
    from sample_app.config import Settings

TIMEOUT = 10
"""Seconds that the server has for each answer: less than Packhorse waits for a worker that is told to end."""


class MailError(Exception):
    """The mail was not sent; the text says why, without addresses."""


def send(settings: "Settings", to: str, subject: str, text: str) -> None:
    """Send a mail, or write it to the log where nobody else reads that: in development. Raises MailError."""
    if settings.smtp_url is None:
        if settings.environment == "production":
            msg = "SMTP_URL is not set: no mail is sent"
            raise MailError(msg)
        logging.getLogger(__name__).info("mail to %s: %s\n%s", to, subject, text)
        return
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = settings.mail_from, to, subject
    message["Date"] = formatdate(usegmt=True)
    message["Message-ID"] = make_msgid(domain=settings.mail_from.rpartition("@")[2])
    message.set_content(text)
    try:
        with connect(urlsplit(settings.smtp_url.get_secret_value())) as server:
            server.send_message(message)
    except (OSError, smtplib.SMTPException) as error:  # its text may have addresses
        raise MailError(f"the server of SMTP_URL: {type(error).__name__}") from error


@contextmanager
def connect(url: SplitResult) -> Iterator[smtplib.SMTP]:
    """A connection, signed in if `url` has a password. `smtps:` is TLS at once, `smtp+tls:` STARTTLS."""
    host, tls = url.hostname or "", ssl.create_default_context()
    if url.scheme == "smtps":
        server: smtplib.SMTP = smtplib.SMTP_SSL(host, url.port or 465, timeout=TIMEOUT, context=tls)
    else:
        server = smtplib.SMTP(host, url.port or (587 if url.scheme == "smtp+tls" else 25), timeout=TIMEOUT)
    with server:
        if url.scheme == "smtp+tls":
            server.starttls(context=tls)
        if url.username:
            server.login(unquote(url.username), unquote(url.password or ""))
        yield server
