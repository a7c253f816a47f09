"""What requests are called, and what they are about."""

from types import SimpleNamespace
from typing import Any

import pytest

from mirror.cli import monitoring
from mirror.plugin.audit import requests


@pytest.mark.parametrize(
    ("method", "path", "action"),
    [
        ("GET", "/company/dev/", None),
        ("HEAD", "/", None),
        ("POST", "/+login", "login"),
        ("PUT", "/someone", "user-create"),
        ("PATCH", "/someone/", "user-change"),
        ("DELETE", "/someone", "user-delete"),
        ("PUT", "/company/dev", "index-create"),
        ("PATCH", "/company/dev", "index-change"),
        ("DELETE", "/company/dev/", "index-delete"),
        ("POST", "/company/dev", "push"),
        ("PUSH", "/company/dev", "push"),
        ("DELETE", "/company/dev/demo", "delete"),
        ("DELETE", "/company/dev/demo/1.0", "delete"),
        ("DELETE", "/company/dev/+f/abc/0123456789abc/demo-1.0.tar.gz", "delete"),
        ("POST", "/company/dev/+f/abc/0123456789abc/demo-1.0.tar.gz", "test-result"),
        ("PUT", "/company/dev/demo/1.0/+yank", "yank"),
        ("DELETE", "/company/dev/demo/1.0/+yank", "unyank"),
        ("POST", "/company/+token-create", "token-create"),
        ("POST", "/company/dev/+read-token", "read-token"),
        ("DELETE", "/company/+tokens/abc", "token-revoke"),
        ("POST", "/_/oidc/mint-token", "login"),
        ("POST", "/+cached-files", "prune"),
        ("POST", "/+damaged-files", "repair"),
        ("POST", "/+stored-files", "repair"),
        ("PUT", "/root/pypi/+bundle/demo", "bundle"),
        ("PUT", "/root/pypi/+bundle/demo/demo-1.0.whl", "bundle"),
        ("POST", "/root/pypi/+simple/demo/refresh", "refresh"),
        ("DELETE", "/company/dev/refresh", "delete"),
        ("PUT", "/+reserved/demo", "reserve"),
        ("DELETE", "/+reserved/demo", "release-name"),
        ("DELETE", "/+changed-files/root/pypi/demo/demo-1.0.tar.gz", "accept-changed"),
        ("PUT", "/+policies", "policy"),
        ("PUT", "/+publishers", "publishers"),
        ("PUT", "/+readers", "readers"),
        ("POST", "/company/dev/x/y/z", "change"),
        ("BREW", "/company/dev", "change"),
    ],
)
def test_each_change_has_a_name(method: str, path: str, action: str | None) -> None:
    """One that nobody thought of too: nothing that writes is left out."""
    assert requests.action(method, path, {}) == action


def test_all_of_them_can_be_asked_for() -> None:
    """`mirror audit-log --action` takes each."""
    assert {*requests._SERVER.values()} <= {*monitoring.ACTIONS}


@pytest.mark.parametrize(
    ("kind", "action"),
    [("submit", "register"), ("file_upload", "upload"), ("doc_upload", "upload"), ("x", "upload")],
)
def test_a_form_is_an_upload(kind: str, action: str) -> None:
    """devpi takes both at the same address."""
    assert requests.action("POST", "/company/dev/", {":action": kind}) == action


@pytest.mark.parametrize(
    ("path", "place"),
    [
        ("/", {}),
        ("/+login", {}),
        ("/+reserved/demo", {"file": "demo"}),
        ("/company", {"user": "company"}),
        ("/company/dev/", {"index": "company/dev"}),
        ("/company/dev/demo/1.0", {"index": "company/dev", "project": "demo", "version": "1.0"}),
        ("/company/dev/demo/1.0/+yank", {"index": "company/dev", "project": "demo", "version": "1.0"}),
        ("/company/dev/+simple/demo/refresh", {"index": "company/dev", "project": "demo"}),
        ("/company/dev/+simple/refresh/refresh", {"index": "company/dev", "project": "refresh"}),
        ("/company/dev/refresh/1.0", {"index": "company/dev", "project": "refresh", "version": "1.0"}),
        (
            "/company/dev/+f/abc/0123456789abc/demo-1.0.tar.gz",
            {"index": "company/dev", "file": "demo-1.0.tar.gz"},
        ),
        (
            "/root/pypi/+bundle/demo/demo-1.0.whl",
            {"index": "root/pypi", "project": "demo", "file": "demo-1.0.whl"},
        ),
        ("/company/+token-create", {"user": "company"}),
        ("/company/+tokens/abc", {"user": "company", "id": "abc"}),
        ("/a/b/c/d/e/f/g/h", {"index": "a/b", "project": "c", "version": "d"}),
        ("//", {}),
    ],
)
def test_a_path_names_what_it_is_about(path: str, place: dict[str, str]) -> None:
    """Whatever a client makes of a path."""
    assert requests.place(path) == place


@pytest.mark.parametrize(
    ("environ", "address"),
    [
        ({"REMOTE_ADDR": "192.0.2.1"}, "192.0.2.1"),
        ({"REMOTE_ADDR": "127.0.0.1", "HTTP_X_REAL_IP": "192.0.2.9"}, "192.0.2.9"),
        ({"REMOTE_ADDR": "127.0.0.1", "HTTP_X_REAL_IP": "a name\n"}, "127.0.0.1"),
        ({"REMOTE_ADDR": "192.0.2.1", "HTTP_X_FORWARDED_FOR": "198.51.100.1"}, "192.0.2.1"),
    ],
)
def test_the_address_is_what_this_machine_knows(environ: dict[str, str], address: str) -> None:
    """The channel has removed X-Real-IP of all others."""
    assert requests.address(environ) == address


def test_values_of_changes_and_logins_of_other_servers_are_left_out() -> None:
    """They may be passwords, tokens, URLs with a login."""
    assert requests.of_change({"password": "secret", "email": "e"}) == {"detail": "keys: email, password"}
    assert requests.of_change(["mirror_url=https://u:secret@h/", "acl_upload+=me", 7]) == {
        "detail": "keys: acl_upload, mirror_url"
    }
    assert requests.of_change("text") == {}
    pushed = {
        "name": "demo",
        "version": "1.0",
        "posturl": "https://u:secret@example.com/x",
        "password": "secret",
    }
    assert requests.of_push(pushed) == {"project": "demo", "version": "1.0", "target": "example.com"}
    assert requests.of_push([1]) == {}


def test_what_is_repaired_is_named() -> None:
    """Whatever a client sends."""
    path = "root/pypi/+f/abc/def/demo.zip"
    assert requests.of_repair({"quarantine": [path]}) == {"detail": "1 file: demo.zip"}
    assert requests.of_repair({path: 1e20}) == {"detail": "1 file: demo.zip"}
    assert requests.of_repair({"projects": ["demo"]}) == {"project": "demo"}
    odd: list[Any] = [[path], {"quarantine": 7}, {"projects": {}}, None]
    assert [requests.of_repair(body) for body in odd] == [{}] * len(odd)


def test_an_upload_is_what_its_form_says() -> None:
    """Fields that are files are no names."""
    form: dict[str, Any] = {"name": "demo", "version": "1.0", "content": SimpleNamespace(filename="demo.whl")}
    assert requests.of_form(form) == {"project": "demo", "version": "1.0", "file": "demo.whl"}
    assert requests.of_form({"name": SimpleNamespace(), "content": "text"}) == {}


class _File:
    """A file in a form, as webob has it."""

    def __bool__(self) -> bool:
        raise TypeError


def test_an_action_that_is_a_file_is_an_upload() -> None:
    """Of a file in a form, nobody may ask whether it is true: the audit log made a 500 of a 400."""
    assert requests.action("POST", "/company/dev/", {":action": _File()}) == "upload"
