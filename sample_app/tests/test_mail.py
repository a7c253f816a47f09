"""Mail goes over TLS to a server that proves who it is, and a password never goes without."""

import ssl
import subprocess
from pathlib import Path

import pytest
from aiosmtpd.smtp import AuthResult
from pydantic import ValidationError
from sample_app.config import Settings
from support import smtp_server

from sample_app import mail


@pytest.fixture
def tls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    """A certificate for 127.0.0.1, which this process trusts."""
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    name = ["-subj", "/CN=mail", "-addext", "subjectAltName=IP:127.0.0.1"]
    files = ["-keyout", str(key), "-out", str(cert)]
    make = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", *name, *files]
    subprocess.run(make, check=True, capture_output=True)
    monkeypatch.setenv("SSL_CERT_FILE", str(cert))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(cert, key)
    return context


def settings(url: str) -> Settings:
    """Of an application that sends mail through `url`."""
    return Settings(environment="testing", smtp_url=url)


def test_the_password_is_sent_after_starttls(tls: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch) -> None:
    """To a server that takes none before; one whose certificate is a stranger's gets nothing."""
    logins: list[bytes] = []

    def authenticator(
        _server: object, _session: object, _envelope: object, _kind: str, data: object
    ) -> AuthResult:
        logins.append(data.password)  # type: ignore[attr-defined]
        return AuthResult(success=True)

    with smtp_server(tls_context=tls, auth_required=True, authenticator=authenticator) as box:
        url = box.url.replace("smtp://", "smtp+tls://me:p%40ss@")
        mail.send(settings(url), "anna@example.com", "Hello", "text")
        assert logins == [b"p@ss"]
        assert len(box.mails) == 1
        monkeypatch.delenv("SSL_CERT_FILE")
        with pytest.raises(mail.MailError, match="SSLCertVerificationError"):
            mail.send(settings(url), "anna@example.com", "Hello", "text")
        assert logins == [b"p@ss"]


def test_a_server_without_starttls_gets_no_mail() -> None:
    """Somebody in between may have taken it out of the server's answer."""
    with smtp_server() as box, pytest.raises(mail.MailError, match="SMTPNotSupportedError"):
        mail.send(settings(box.url.replace("smtp:", "smtp+tls:")), "anna@example.com", "Hello", "text")


@pytest.mark.parametrize("url", ["smtp://me:hunter2@mail.example.com", "http://mail.example.com", "smtps://"])
def test_a_url_that_is_not_safe_is_refused(url: str) -> None:
    """At the start, without a word of the URL."""
    with pytest.raises(ValidationError) as refused:
        settings(url)
    assert "SMTP_URL" in str(refused.value)
    assert "hunter2" not in str(refused.value)


def test_production_without_a_mail_server_sends_nothing_to_the_log(caplog: pytest.LogCaptureFixture) -> None:
    """Links in mails are secrets."""
    with pytest.raises(mail.MailError, match="SMTP_URL is not set"):
        mail.send(
            Settings(environment="production", secret_key="x" * 32), "anna@example.com", "Hello", "secret"
        )
    assert "secret" not in caplog.text
