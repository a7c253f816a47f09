"""The promises of packhorse_service.passwords."""

import base64
import hashlib
import hmac

import pytest
from packhorse_service import passwords


def test_a_scram_verifier_proves_the_password_of_rfc_7677() -> None:
    """The example of its section 3: what a client that knows "pencil" sends fits what the server stores."""
    made = passwords.scram_verifier("pencil", base64.b64decode("W22ZaJ0SNY7soEsUEjb6gQ=="), 4096)
    assert made.startswith("SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$")
    stored, server = (base64.b64decode(key) for key in made.rpartition("$")[2].split(":"))
    message = (
        b"n=user,r=rOprNGfwEbeRWgbNEkqO,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
        b"s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
    )
    proof = base64.b64decode("dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=")
    signature = hmac.digest(stored, message, "sha256")
    client_key = bytes(a ^ b for a, b in zip(proof, signature, strict=True))
    assert hashlib.sha256(client_key).digest() == stored
    verified = base64.b64encode(hmac.digest(server, message, "sha256")).decode()
    assert verified == "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="


@pytest.mark.parametrize("stored", ["md5b1b2", "SCRAM-SHA-256$x", "", "SCRAM-SHA-256$4096:?$a:b"])
def test_another_verifier_is_not_that_of_the_password(stored: str) -> None:
    """An administrator has changed it: it is set again, whatever is there."""
    assert not passwords.is_scram_verifier("pencil", stored)
    assert not passwords.is_scram_verifier("pencil", passwords.scram_verifier("pen"))
    assert passwords.is_scram_verifier("pencil", passwords.scram_verifier("pencil"))


def test_the_hashes_are_those_of_mariadb_and_redis() -> None:
    """SELECT PASSWORD('password'); echo -n password | sha256sum."""
    assert passwords.native_hash("password") == "*2470C0C06DEE42FD1618BB99005ADCA2EC9D1E19"
    assert passwords.redis_hash("password").startswith("5e884898da280471")


def test_a_password_needs_no_escape_in_a_url() -> None:
    """Applications that take it apart by hand get it right, too."""
    made = {passwords.new() for _ in range(20)}
    assert len(made) == 20
    assert all(len(each) == 43 and each.replace("-", "").replace("_", "").isalnum() for each in made)
