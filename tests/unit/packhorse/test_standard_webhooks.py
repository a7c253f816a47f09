"""packhorse.standard_webhooks: libraries of Standard Webhooks verify what both commands send."""

import pytest

from packhorse import standard_webhooks


def test_the_signature_is_that_of_standard_webhooks() -> None:
    """The example of its specification (standardwebhooks.com)."""
    key = standard_webhooks.read_key("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    assert key is not None
    sent = standard_webhooks.headers("msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}', key)
    assert sent["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    assert (sent["webhook-id"], sent["webhook-timestamp"]) == ("msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330")


@pytest.mark.parametrize("secret", ["whsec_" + "a2tr" * 8 + "\n", " " + "k" * 24 + "\r\n"])
def test_a_key_is_base64_after_its_prefix_or_taken_as_it_is(secret: str) -> None:
    """As an editor, or `openssl rand`, writes it: without the newline."""
    assert standard_webhooks.read_key(secret) == b"k" * 24


@pytest.mark.parametrize(
    "secret", ["", "few", "k" * 23, "whsec_", "whsec_???", "whsec_é", "whsec_" + "a" * 8, "whsec_" + "a" * 33]
)
def test_a_secret_that_protects_nothing_has_no_key(secret: str) -> None:
    """Everybody can sign with an empty one."""
    assert standard_webhooks.read_key(secret) is None
