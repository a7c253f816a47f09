"""The client of a bucket, by botocore: list, put and delete objects. No answer of it is trusted.

Each object says in its metadata which project has pushed it: others may have theirs below the same prefix.
"""

import base64
import contextlib
import threading
import time
from collections.abc import Iterator, Mapping
from typing import Any, Protocol

from packhorse.errors import PackhorseError
from release.assets.objects import Object, Stored
from release.config.assets import Assets

WORKERS = 16
MOST = 1_000_000
"""Objects below a prefix: a list without an end fills no memory."""
MOST_PAGES = 10_000
"""Pages of a list: one of pages without objects has an end, too."""
LONGEST = 600.0
"""Seconds for a list, while nobody can deploy."""
OWNER = "packhorse"
"""Key in an object's metadata: the application that has pushed it, and its prefix."""

_DENIED = ("AccessDenied", "Forbidden", "403", "InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken")
# Errors of botocore whose text has no part of a request.
_PLAIN = (
    *("NoCredentialsError", "PartialCredentialsError", "ProfileNotFound", "CredentialRetrievalError"),
    *("EndpointConnectionError", "ConnectTimeoutError", "ReadTimeoutError", "SSLError", "NoRegionError"),
    *("ConnectionClosedError", "InvalidRegionError", "ParamValidationError", "TokenRetrievalError"),
)


class Store(Protocol):
    """A bucket."""

    def stored(self, prefix: str, stopped: threading.Event) -> dict[str, Stored]:
        """All objects whose names begin with `prefix`. Raises PackhorseError once `stopped` is set."""

    def put(self, each: Object) -> None:
        """Store an object, in the place of an earlier one."""

    def is_own(self, key: str) -> bool:
        """Whether the object was put by this project, not by others."""

    def delete(self, key: str) -> None:
        """Remove an object, if it is there."""


class Bucket:
    """The bucket of [assets] for application `app`. Its methods raise PackhorseError without credentials."""

    def __init__(self, settings: Assets, app: str) -> None:
        try:
            import botocore.session
            from botocore import config, exceptions, parsers
        except ImportError:
            raise PackhorseError(
                "The client of buckets, botocore, is not installed.",
                "Install Packhorse with it: pip install 'packhorse[assets]'",
            ) from None
        self.settings, self.owner = settings, f"{app} {settings.folder(app)}"
        self._errors = (exceptions.BotoCoreError, exceptions.ClientError)
        self._no_answers = (parsers.ResponseParserError, ValueError, KeyError)
        # Other stores than AWS's know no checksum but MD5.
        how = config.Config(
            connect_timeout=10,
            read_timeout=20,
            retries={"mode": "standard", "total_max_attempts": 4},
            max_pool_connections=WORKERS,
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
            user_agent_extra="packhorse",
        )
        with self._said("used"):
            self._client = botocore.session.get_session().create_client(
                "s3", endpoint_url=settings.endpoint, region_name=settings.region, config=how
            )

    def stored(self, prefix: str, stopped: threading.Event) -> dict[str, Stored]:
        found: dict[str, Stored] = {}
        deadline = time.monotonic() + LONGEST
        with self._said("listed"):
            pages = self._client.get_paginator("list_objects_v2")
            for number, page in enumerate(pages.paginate(Bucket=self.settings.bucket, Prefix=prefix), 1):
                # What is no list at all has no such word, and would count as an empty bucket.
                if not isinstance(page.get("IsTruncated"), bool) or len(found) > MOST or number > MOST_PAGES:
                    raise self._no_store()
                if stopped.is_set():
                    raise PackhorseError("Stopped while the bucket was listed.", "Run the command again.")
                if time.monotonic() > deadline:
                    raise PackhorseError(
                        f"{self._name} cannot be listed within {LONGEST:.0f} s: {number} pages, and more.",
                        "Look at the store, or give the application a prefix with fewer objects.",
                    )
                for row in page.get("Contents", ()):
                    if row["Key"].startswith(prefix):  # or it would be removed, perhaps
                        found[row["Key"]] = Stored(row["Size"], row["ETag"].strip('"'))
        return found

    def put(self, each: Object) -> None:
        encoding = {"ContentEncoding": each.encoding} if each.encoding else {}
        with self._said(f"given {each.key}"):
            answer = self._client.put_object(
                Bucket=self.settings.bucket,
                Key=each.key,
                Body=each.body,
                ContentType=each.content_type,
                CacheControl=each.cache_control,
                ContentMD5=base64.b64encode(each.md5).decode(),
                Metadata={OWNER: self.owner},
                **encoding,
            )
        if "ETag" not in answer:
            raise self._no_store()

    def is_own(self, key: str) -> bool:
        with self._said(f"asked about {key}"):
            answer = self._client.head_object(Bucket=self.settings.bucket, Key=key)
        return bool(answer.get("Metadata", {}).get(OWNER) == self.owner)

    def delete(self, key: str) -> None:
        with self._said(f"rid of {key}"):
            self._client.delete_object(Bucket=self.settings.bucket, Key=key)

    def _no_store(self) -> PackhorseError:
        return PackhorseError(
            f"{self._name} does not answer as a store like S3 does.",
            "Correct endpoint below [assets] in release.toml: it is the address of its API, not of pages.",
        )

    @property
    def _name(self) -> str:
        where = f" at {self.settings.endpoint}" if self.settings.endpoint else ""
        return f"The bucket {self.settings.bucket}{where}"

    @contextlib.contextmanager
    def _said(self, what: str) -> Iterator[None]:
        """Say why the bucket cannot be `what` in the block."""
        try:
            yield
        except self._errors as error:
            raise self._failure(what, error) from None
        except self._no_answers:
            raise self._no_store() from None

    def _failure(self, what: str, error: Exception) -> PackhorseError:
        """The error in words, which come from the store or from botocore; never with a signed header."""
        kind, hint = type(error).__name__, "Run the command again; it goes on where it stopped."
        answer: Mapping[str, Any] = (getattr(error, "response", None) or {}).get("Error", {})
        if "Credentials" in kind or answer.get("Code") in _DENIED:
            hint = (
                "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, of somebody who may list, "
                "read, put and delete objects there."
            )
        elif answer.get("Code") in ("NoSuchBucket", "404"):
            hint = "Correct bucket and endpoint below [assets] in release.toml, or make the bucket."
        if answer:
            text = f"{answer.get('Code')}: {answer.get('Message')}"
        else:
            text = str(error) if kind in _PLAIN else kind
        return PackhorseError(f"{self._name} cannot be {what}: {text[:300]}".rstrip("."), hint)
