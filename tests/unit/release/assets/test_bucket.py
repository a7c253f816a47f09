"""The promises of release.assets.bucket about a store that answers as no store does."""

import builtins
import threading
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from botocore.awsrequest import AWSResponse

from packhorse.errors import PackhorseError
from release.assets.bucket import Bucket
from release.assets.objects import Object, Stored
from release.config.assets import Assets

GOES_ON = threading.Event()
SECRET = "wJalrXUtnFEMI-the-secret"
CSS = Object("shop/a.css", b"a", "text/css", None, hashed=False)


class Raw:
    """The body of an answer."""

    def __init__(self, body: bytes) -> None:
        self.body = body

    def stream(self) -> list[bytes]:
        return [self.body]


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Bucket:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nonexistent")
    settings = Assets(bucket="shop", url="https://static.example.com", endpoint="https://s3.example.com")
    return Bucket(settings, "shop")


def answering(
    bucket: Bucket, body: bytes, status: int = 200, headers: Mapping[str, str] | None = None
) -> Bucket:
    """`bucket` whose store answers everything so."""

    def answer(request: Any, **_: object) -> AWSResponse:  # noqa: ANN401  # botocore has no types
        return AWSResponse(request.url, status, headers or {}, Raw(body))

    bucket._client.meta.events.register("before-send.s3", answer)
    return bucket


def listing(*keys: str, truncated: str = "false", more: str = "") -> bytes:
    rows = "".join(f'<Contents><Key>{key}</Key><Size>1</Size><ETag>"e"</ETag></Contents>' for key in keys)
    return f"<ListBucketResult><IsTruncated>{truncated}</IsTruncated>{rows}{more}</ListBucketResult>".encode()


def test_names_outside_of_the_prefix_are_left_alone(bucket: Bucket) -> None:
    """What a store lists beside what it was asked for would be removed as unneeded."""
    body = listing("shop/a.css", "shop-2/b.css", "../shop/c.css")
    assert answering(bucket, body).stored("shop/", GOES_ON) == {"shop/a.css": Stored(1, "e")}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html><body>Welcome</body></html>",
        b"<ListBucketResult/>",
        b"no XML <",
        b"\x00\xff",
        listing("shop/a").replace(b"<Size>1</Size>", b"<Size>many</Size>"),
        listing("shop/a").replace(b"<Size>1</Size>", b""),
        listing("shop/a").replace(b"<Key>shop/a</Key>", b""),
        listing("shop/a", truncated="true", more="<NextContinuationToken>t</NextContinuationToken>"),
    ],
)
def test_what_is_no_list_is_no_empty_bucket(bucket: Bucket, body: bytes) -> None:
    """An address of a web page, say: all would be sent there, and taken for stored."""
    with pytest.raises(PackhorseError, match=r"The bucket shop at https://s3\.example\.com "):
        answering(bucket, body).stored("shop/", GOES_ON)


def test_a_list_ends_when_nobody_waits_for_it_any_more(bucket: Bucket) -> None:
    """Hosts keep their locks until it has ended."""
    stopped = threading.Event()
    stopped.set()
    with pytest.raises(PackhorseError, match="Stopped while the bucket was listed"):
        answering(bucket, listing()).stored("shop/", stopped)


@pytest.mark.parametrize(
    ("limits", "said"),
    [
        ({"MOST_PAGES": 5}, "does not answer as a store like S3 does"),
        ({"LONGEST": -1.0}, "cannot be listed within"),
    ],
)
def test_a_list_of_pages_without_objects_has_an_end(
    bucket: Bucket, monkeypatch: pytest.MonkeyPatch, limits: dict[str, float], said: str
) -> None:
    """A deploy would wait for it with the locks of all hosts."""
    for name, value in limits.items():
        monkeypatch.setattr(f"release.assets.bucket.{name}", value)
    sent: list[str] = []

    def answer(request: Any, **_: object) -> AWSResponse:  # noqa: ANN401
        sent.append(request.url)
        more = f"<NextContinuationToken>{len(sent)}</NextContinuationToken>"
        body = listing(truncated="true" if len(sent) < 50 else "false", more=more)
        return AWSResponse(request.url, 200, {}, Raw(body))

    bucket._client.meta.events.register("before-send.s3", answer)
    with pytest.raises(PackhorseError, match=said):
        bucket.stored("shop/", GOES_ON)
    assert len(sent) < 10


def test_an_object_that_nobody_confirms_is_not_stored(bucket: Bucket) -> None:
    """A web server answers a PUT with 200, too."""
    with pytest.raises(PackhorseError, match="does not answer as a store like S3 does"):
        answering(bucket, b"<html>thanks</html>").put(CSS)


def test_an_object_that_the_store_confirms_is_stored(bucket: Bucket) -> None:
    """Each is sent with the bytes, the type and the time of caching."""
    sent: list[Any] = []
    bucket._client.meta.events.register_first("before-send.s3", lambda request, **_: sent.append(request))
    answering(bucket, b"", headers={"ETag": '"x"'}).put(CSS)
    (request,) = sent
    assert request.method == "PUT"
    assert request.headers["Content-Type"] == b"text/css"
    assert request.body.read() == b"a"


@pytest.mark.parametrize(
    ("headers", "own"),
    [
        ({"x-amz-meta-packhorse": "shop shop/"}, True),
        ({"x-amz-meta-packhorse": "shop shop/v2/"}, False),
        ({"x-amz-meta-packhorse": "blog shop/"}, False),
        ({}, False),
    ],
)
def test_an_object_is_of_the_project_that_has_put_it(
    bucket: Bucket, headers: dict[str, str], own: object
) -> None:
    """Another one may push below a folder of this one's prefix, or people put uploads there."""
    sent: list[Any] = []

    def look(request: Any, **_: object) -> None:  # noqa: ANN401
        sent.append(request.headers.get("x-amz-meta-packhorse"))

    bucket._client.meta.events.register_first("before-send.s3", look)
    answering(bucket, b"", headers={"ETag": '"x"', **headers})
    assert bucket.is_own("shop/a.css") == own
    bucket.put(CSS)
    assert sent == [None, b"shop shop/"]


@pytest.mark.parametrize(
    ("status", "code", "hint"),
    [
        (403, "AccessDenied", "Set AWS_ACCESS_KEY_ID"),
        (403, "SignatureDoesNotMatch", "Set AWS_ACCESS_KEY_ID"),
        (404, "NoSuchBucket", "Correct bucket and endpoint"),
        (400, "Odd", "goes on where it stopped"),
    ],
)
def test_an_error_says_what_to_do_and_shows_no_credentials(
    bucket: Bucket, status: int, code: str, hint: str
) -> None:
    """A store may send the signed request back, and a text without an end."""
    echo = f"<AWSAccessKeyId>AKIAEXAMPLE</AWSAccessKeyId><StringToSign>{SECRET}</StringToSign>"
    body = f"<Error><Code>{code}</Code><Message>{'why ' * 1000}</Message>{echo}</Error>".encode()
    with pytest.raises(PackhorseError, match=f"cannot be listed: {code}: why") as caught:
        answering(bucket, body, status).stored("shop/", GOES_ON)
    assert hint in caught.value.hint
    assert len(caught.value.message) < 500
    assert SECRET not in f"{caught.value.message}{caught.value.hint}{caught.value.detail}"


def test_a_client_that_quotes_the_signed_request_is_not_repeated(
    bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """http.client does, when a key was set with a newline at its end."""
    monkeypatch.setattr(bucket._client._endpoint.http_session, "send", _quote)
    monkeypatch.setattr("time.sleep", lambda _: None)
    with pytest.raises(PackhorseError) as caught:
        bucket.stored("shop/", GOES_ON)
    assert "AKIAEXAMPLE" not in caught.value.message


def _quote(request: Any) -> None:  # noqa: ANN401
    from botocore.exceptions import HTTPClientError

    raise HTTPClientError(error=ValueError(f"Invalid header value {request.headers['Authorization']!r}"))


def test_without_the_client_it_is_said_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is heavy, and most need none."""
    real: Callable[..., Any] = builtins.__import__

    def without(name: str, *arguments: Any, **more: Any) -> Any:  # noqa: ANN401  # as __import__
        if name.startswith("botocore"):
            raise ImportError(name)
        return real(name, *arguments, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(PackhorseError, match=r"botocore, is not installed") as caught:
        Bucket(Assets(bucket="shop", url="https://static.example.com"), "shop")
    assert "packhorse[assets]" in caught.value.hint
