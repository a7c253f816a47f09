"""The promises of release.agents.ssh."""

import dataclasses
import shlex
from pathlib import Path

import pytest

from release.agents import agent_archive, ssh

PLACE = ssh.SshDestination("web1.example.com", "shop", "shop")


def test_the_command_is_the_agent_s_behind_ssh() -> None:
    """One argument for the shell there, which takes it apart again exactly as it was."""
    command = PLACE.command()
    assert command[0] == "ssh"
    assert command[-4:-1] == ["shop", "--", "web1.example.com"]
    assert shlex.split(command[-1]) == agent_archive.command(ssh.PYTHON, "/srv/apps/shop/agent")


def test_host_keys_are_checked_and_nothing_is_asked() -> None:
    """Whatever ~/.ssh/config says: a deploy that talks to somebody else gives all configuration away."""
    command = PLACE.command()
    assert {"StrictHostKeyChecking=yes", "BatchMode=yes"} <= set(command)
    assert "-F" not in command


def test_another_configuration_file_may_be_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """CI has hosts and keys of its own."""
    monkeypatch.setenv("RELEASE_SSH_CONFIG", "/ci/ssh_config")
    assert PLACE.command()[1:3] == ["-F", "/ci/ssh_config"]


@pytest.mark.parametrize(
    ("status", "said", "message", "hint"),
    [
        (
            255,
            "x\nssh: connect to host web1 port 22: Connection refused",
            "it cannot be reached: ssh: conn",
            "ssh ",
        ),
        (
            255,
            "ssh: Could not resolve hostname web1.example.com: Name or service not known",
            "ssh finds no host of this name: ssh: Could not",
            "Correct the name",
        ),
        (255, "", "it cannot be reached: ssh gives no reason", "Try: ssh shop@web1.example.com true"),
        (
            255,
            "@ REMOTE HOST IDENTIFICATION HAS CHANGED! @\nHost key verification failed.",
            "not the one",
            "-R",
        ),
        (255, "No ED25519 host key is known\nHost key verification failed.", "is not known here", "compare"),
        (
            255,
            "shop@web1: Permission denied (publickey).",
            "shop may not log in: shop@web1: Perm",
            "your key",
        ),
        (
            127,
            "sh: 1: /opt/…: not found",
            "there is no /opt/packhorse/toolbox/bin/python",
            "release provision",
        ),
        (1, "Traceback", "the agent did not start (status 1)", "Try"),
    ],
)
def test_what_kept_us_from_starting_is_explained(status: int, said: str, message: str, hint: str) -> None:
    """Exit status 255 of ssh has many causes, each with a way out of its own."""
    told = PLACE.explain(status, said, greeted=False)
    assert message in told.message
    assert hint in told.hint


@pytest.mark.parametrize(
    ("status", "message"), [(255, "connection was lost"), (-9, "without an answer (-9)")]
)
def test_what_ended_a_conversation_is_explained(status: int, message: str) -> None:
    """The agent goes on to a safe point; a later command sees where that was."""
    told = PLACE.explain(status, "", greeted=True)
    assert message in told.message
    assert "safe point" in told.hint


def test_what_to_try_is_what_was_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the configuration file, another host would answer, or none."""
    monkeypatch.setenv("RELEASE_SSH_CONFIG", "/ci/our config")
    told = PLACE.explain(255, "", greeted=False)
    assert told.hint == "Try: ssh -F '/ci/our config' shop@web1.example.com true"


def test_hosts_are_to_be_skipped_only_where_that_can_be_done() -> None:
    """A command on one database has no --skip, and no other host."""
    several = dataclasses.replace(PLACE, skippable=True)
    assert several.explain(255, "", greeted=False).hint.endswith(" without it: --skip web1.example.com")
    assert "--skip" not in PLACE.explain(255, "", greeted=False).hint


@pytest.mark.parametrize(
    ("user", "said", "message", "hint"),
    [
        (None, "Connection refused", "it cannot be reached: Connection refused", "Try: ssh db1 true"),
        ("admin", "", "it cannot be reached: ssh gives no reason", "Try: ssh admin@db1 true"),
        (
            None,
            "db1: Permission denied (publickey).",
            "you may not log in: db1: Permission denied (publickey).",
            'Say who may: user = "…" in the table of that host in release.toml. Try: ssh db1 true',
        ),
    ],
)
def test_who_logs_in_to_be_root_is_named_as_ssh_takes_it(
    user: str | None, said: str, message: str, hint: str
) -> None:
    """Without a user in release.toml, ssh's configuration says one."""
    told = ssh.root_failure("db1", user, said)
    assert (told.message, told.hint) == (message, hint)


def test_a_host_that_is_not_found_may_have_been_meant_for_a_target() -> None:
    """Nobody sees in `live` which of the two it should be."""
    place = ssh.SshDestination("live", "shop", "shop", ("local", "production", "staging"))
    error = place.explain(255, "ssh: Could not resolve hostname live: …", greeted=False)
    assert "it is none of the targets local, production, staging: " in error.message


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("prod", ["203.0.113.5", "prod"]),
        ("Web1.example.com", ["web1.example.com"]),
        ("v6.example.com", ["v6.example.com", "[2001:db8::7]"]),
        ("2001:db8::8", ["[2001:db8::8]"]),
        ("fe80::1%eth0", []),
    ],
)
def test_users_know_a_host_by_the_name_that_the_network_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, host: str, expected: list[str]
) -> None:
    """An alias of ~/.ssh/config is known to its owner alone."""
    (tmp_path / "config").write_text(
        "Host prod\n  HostName 203.0.113.5\nHost v6.example.com\n  HostName 2001:db8::7\n"
    )
    monkeypatch.setenv("RELEASE_SSH_CONFIG", str(tmp_path / "config"))
    assert ssh.names(host) == expected


def test_a_person_s_session_may_ask_and_checks_host_keys_all_the_same() -> None:
    """A passphrase, a second factor; the command arrives word by word."""
    shell = PLACE.login([])
    assert shell[-4:] == ["-l", "shop", "--", "web1.example.com"]
    assert "-oStrictHostKeyChecking=yes" in shell
    assert not any("BatchMode" in part or "RequestTTY" in part for part in shell)
    assert shlex.split(PLACE.login(["ls", "a b"])[-1]) == ["ls", "a b"]
