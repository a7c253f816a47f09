"""Upstream pages that are wrong in every known way: a mirror may serve none of them."""

import gzip
from dataclasses import replace

from mirror.plugin.simple.parse import LARGEST
from tests.support import faults
from tests.support.faults import Fault
from tests.support.upstream import HTML, JSON


def swapped_page(answer: faults.Answer) -> faults.Answer:
    """A valid page of another project."""
    kind = answer.headers["Content-Type"]
    other = (
        b'{"meta": {"api-version": "1.1"}, "name": "other", "files": []}'
        if kind == JSON
        else b'<!DOCTYPE html><html><body><h1>Links for other</h1><a href="other-1.0.zip">x</a></body></html>'
    )
    return faults.Answer(200, {"Content-Type": kind}, other)


def login_page(_: faults.Answer) -> faults.Answer:
    """The login page of a hotel's network."""
    return faults.Answer(200, {"Content-Type": HTML}, b"<html><body><h1>Please log in</h1></body></html>")


def tls_against_plain_http(answer: faults.Answer) -> faults.Answer:
    """A redirect to a port that does not speak TLS."""
    return faults.redirect("https://127.0.0.1:9/")(answer)


def no_gzip(answer: faults.Answer) -> faults.Answer:
    """A header that claims gzip, before a body that is none."""
    headers = {**answer.headers, "Content-Encoding": "gzip"}
    return replace(answer, headers=headers, body=b"\x1f\x8b\x08\x00 and no more")


def endless(answer: faults.Answer) -> faults.Answer:
    """The page with gigabytes of blanks after it; compressed they are small."""
    headers = {**answer.headers, "Content-Encoding": "gzip"}
    return replace(answer, headers=headers, body=gzip.compress(answer.body + b" " * LARGEST, 1))


FAULTS: dict[str, Fault] = {
    "500": faults.status(500),
    "502": faults.status(502),
    "503": faults.status(503),
    "429": faults.status(429, Retry_After="1"),
    "403": faults.status(403),
    "time limit": faults.hang(),
    "dropped connection": faults.dropped,
    "truncated body": faults.truncated,
    "half a body that claims to be all": faults.short,
    "garbage": faults.garbage,
    "garbage that should be gzip": no_gzip,
    "a page without an end": endless,
    "a login page": login_page,
    "text/plain": faults.content_type("text/plain"),
    "application/octet-stream": faults.content_type("application/octet-stream"),
    "another project's page": swapped_page,
    "refused connection": faults.redirect("http://127.0.0.1:1/"),
    "TLS error": tls_against_plain_http,
    "redirects in circles": faults.redirect("."),
}


# What is wrong with a body depends on how it is read.
OF_HTML = {"truncated body", "half a body that claims to be all", "garbage", "another project's page"}
CASES = [(name, "json") for name in FAULTS] + [(name, "html") for name in sorted(OF_HTML)]
