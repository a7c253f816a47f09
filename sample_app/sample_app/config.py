"""Settings: the environment's variables, read and checked once, when the application starts."""

import ssl
from contextlib import suppress
from datetime import date
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import SplitResult, urlsplit

import click
from pydantic import Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict
from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

DRIVERS = {
    "postgres": "postgresql+psycopg",
    "postgresql": "postgresql+psycopg",
    "mysql": "mysql+pymysql",
    "mariadb": "mariadb+pymysql",
}
URLS = {
    "public_url": ({"http", "https"}, "https://links.example.com"),
    "redis_url": ({"redis", "rediss"}, "redis://:password@host:6379/0"),
    "smtp_url": (
        {"smtp", "smtp+tls", "smtps"},
        "smtps://user:password@host:465, smtp+tls://user:password@host:587, smtp://host",
    ),
    "sentry_dsn": ({"http", "https"}, "https://key@host/1"),
    "statsd_url": ({"statsd"}, "statsd://host:8125"),
}
"""Schemes and an example; DATABASE_URL is SQLAlchemy's to check."""


class ConfigurationError(click.ClickException):  # which `flask` shows as one line
    """A variable is missing or wrong; the text names it, and never its value."""


class Settings(BaseSettings):
    """One field for each variable of the same name in upper case.

    `packhorse_app`, `packhorse_release`: set by Packhorse for every process. `data_dir`: for files that last
    longer than a release.
    """

    model_config = SettingsConfigDict(
        frozen=True, extra="ignore", hide_input_in_errors=True, env_ignore_empty=True
    )

    environment: Literal["production", "development", "testing"] = "production"
    secret_key: SecretStr | None = None
    database_url: SecretStr | None = None
    data_dir: Path = Path("data")
    redis_url: SecretStr | None = None
    site_name: str = "Link board"
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    proxies: Annotated[int, Field(ge=0, le=5)] = 0
    """How many proxies in front are trusted to say who the client is (ProxyFix): 1 behind Packhorse's nginx,
    also with a balancer, it passes on one address. With 0 all visitors behind it count as one client."""
    https: bool = False
    """Redirect to https at PUBLIC_URL, send HSTS, and send cookies over https only."""
    static_url: str | None = None
    """Where the static files are, if the application does not serve them: a CDN or a bucket."""
    public_url: str = "http://127.0.0.1:8000"
    """Where people find the application: links in mails begin with it, and redirects to https lead there."""
    smtp_url: SecretStr | None = None
    """`smtps://user:password@host:465`, `smtp+tls://user:password@host:587` (STARTTLS), or `smtp://127.0.0.1`;
    without it mail is written to the log in development, and not sent in production."""
    mail_from: str = "links@example.com"
    admins: Annotated[tuple[str, ...], NoDecode] = ()
    """Addresses, separated by commas: they get errors by mail, and become administrators when confirmed."""
    sentry_dsn: SecretStr | None = None
    statsd_url: str | None = None
    """`statsd://host:port`."""
    metrics_token: SecretStr | None = None
    """What Prometheus sends as `Authorization: Bearer …` for /metrics: closed in production without it."""
    api_rate: Annotated[int, Field(ge=1)] = 300
    """How many requests each user may send to the API in a minute."""
    api_v1_sunset: date | None = None
    """The day when version 1 of the API goes; its answers announce that."""
    packhorse_app: str | None = None
    packhorse_release: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _split(cls, values: dict[str, object]) -> dict[str, object]:
        if isinstance(values.get("admins"), str):
            values = values | {
                "admins": tuple(filter(None, map(str.strip, str(values["admins"]).split(","))))
            }
        return values

    @model_validator(mode="after")
    def _check_urls(self) -> Self:
        """Refuse what libraries would complain about with a part of the password: as of a port, say."""
        for name, (schemes, example) in URLS.items():
            value, fine = getattr(self, name), False
            if value is None:
                continue
            with suppress(ValueError):
                parts = urlsplit(value.get_secret_value() if isinstance(value, SecretStr) else value)
                beyond = parts.path + parts.query + parts.fragment
                fine = (
                    parts.scheme in schemes and bool(parts.hostname) and parts.port != 0 and "@" not in beyond
                )
            if not fine:
                hint = " (in a password write / as %2F, @ as %40)" if isinstance(value, SecretStr) else ""
                msg = f"{name.upper()}: is no URL such as {example}{hint}"
                raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.secret_key is None and self.environment == "production":
            msg = "SECRET_KEY: is missing; it signs sessions and mails: keep 32 random bytes or more there"
            raise ValueError(msg)
        if self.environment == "production" and len(self.key) < 32:
            msg = (
                "SECRET_KEY: is too short: who guesses it signs in as anybody; it needs 32 characters or more"
            )
            raise ValueError(msg)
        if self.https and not self.public_url.startswith("https://"):
            msg = "PUBLIC_URL: must begin with https://, since HTTPS sends there what came by http"
            raise ValueError(msg)
        if self.smtp_url:
            self._check_smtp(urlsplit(self.smtp_url.get_secret_value()))
        return self

    def _check_smtp(self, url: SplitResult) -> None:
        if url.scheme == "smtp" and url.username:
            msg = "SMTP_URL: would send the password without TLS: write smtp+tls: (STARTTLS) or smtps:"
            raise ValueError(msg)
        if "public_url" not in self.model_fields_set and self.environment == "production":
            msg = "PUBLIC_URL: is missing; links in mails begin with it, such as https://links.example.com"
            raise ValueError(msg)

    @property
    def key(self) -> str:
        """What signs sessions; outside of production a known word is enough."""
        return self.secret_key.get_secret_value() if self.secret_key else "not a secret: for development"

    @property
    def database(self) -> str:
        """SQLAlchemy's URL, with the driver that is installed; without DATABASE_URL a file in `data_dir`."""
        if self.database_url is None:
            return f"sqlite:///{self.data_dir.absolute() / 'links.sqlite'}"
        url = make_url(self.database_url.get_secret_value())
        url = url.set(drivername=DRIVERS.get(url.drivername, url.drivername))
        return url.difference_update_query(["ssl_mode"]).render_as_string(hide_password=False)

    @property
    def database_options(self) -> dict[str, object]:
        """What the driver gets beside the URL: a time limit, and `ssl_mode`, which PyMySQL doesn't know.

        `REQUIRED` encrypts and proves nothing, as `sslmode=require` of PostgreSQL's does.
        """
        if self.database_url is None or self.database.startswith("sqlite"):  # a file: no network to wait for
            return {}
        mode = str(make_url(self.database_url.get_secret_value()).query.get("ssl_mode", "")).upper()
        options: dict[str, object] = {"connect_timeout": 10}
        if mode in {"REQUIRED", "VERIFY_CA", "VERIFY_IDENTITY"}:
            context = ssl.create_default_context()
            context.check_hostname = mode == "VERIFY_IDENTITY"
            context.verify_mode = ssl.CERT_NONE if mode == "REQUIRED" else ssl.CERT_REQUIRED
            options["ssl"] = context
        return options


def load() -> Settings:
    """The settings. Raises ConfigurationError with a line for each variable at fault."""
    try:
        settings = Settings()
        make_url(settings.database).get_dialect()
    except ValidationError as error:
        raise ConfigurationError("\n".join(map(_line, error.errors()))) from None
    except (ArgumentError, ValueError):  # ValueError: the port
        msg = "DATABASE_URL: is no URL of a database, such as postgresql://user:password@host/name"
        raise ConfigurationError(msg) from None
    return settings


def _line(error: object) -> str:
    place = ".".join(map(str, error["loc"])).upper()  # type: ignore[index]
    text = error["msg"].removeprefix("Value error, ")  # type: ignore[index]
    return f"{place}: {text}" if place else text
