"""The promises of packhorse_service.redis."""

import io
from pathlib import Path

import pytest
from packhorse_service import passwords, redis
from packhorse_service.errors import ServiceError
from packhorse_service.state import Database

SHOP = Database(
    "shop_production_cache",
    "redis",
    clients=("10.0.0.5", "fd00::5"),
    host="fd00::4",
    port=6379,
    passwords={"b": "s3cret"},
    admin="adm1n",
)
BLOG = Database("blog_production_cache", "redis", clients=("127.0.0.1",), port=6380)
HASH = f"#{passwords.redis_hash('s3cret')}"


def test_nobody_gets_in_without_one_of_the_logins() -> None:
    """The default user is off; what is closed has no password; the file has hashes."""
    text = redis.configuration(SHOP)
    assert "user default off\n" in text
    assert "user shop_production_cache__a off\n" in text
    assert f"user shop_production_cache__b on {HASH} ~* &* +@all -@admin +config|get\n" in text
    assert "bind 127.0.0.1 -::1\n" in text
    assert "s3cret" not in text
    assert "adm1n" not in text


def test_only_the_hosts_of_the_target_reach_the_port_of_its_instance() -> None:
    """Redis itself knows no hosts. A port of one project is not open to the hosts of another."""
    assert [line.strip() for line in redis.rules([BLOG, SHOP]).splitlines() if "dport" in line] == [
        "tcp dport 6379 ip saddr { 10.0.0.5 } accept",
        "tcp dport 6379 ip6 saddr { fd00::5 } accept",
        "tcp dport 6379 reject with tcp reset",
        "tcp dport 6380 ip saddr { 127.0.0.1 } accept",
        "tcp dport 6380 reject with tcp reset",
    ]


@pytest.mark.parametrize(
    ("answer", "there"),
    [
        (["flags", ["on", "sanitize-payload"], "passwords", [HASH[1:]], "commands", "+@all"], True),
        (["flags", ["on"], "passwords", [HASH[1:], "00"]], False),
        (["flags", ["on"], "passwords", []], False),
        (["flags", ["on", "nopass"], "passwords", []], False),
        (["flags", ["off"], "passwords", [HASH[1:]]], False),
        (None, False),
    ],
)
def test_a_login_is_what_it_should_be_or_is_set_again(answer: redis.Answer, *, there: bool) -> None:
    """Somebody changed it by hand, or a command was killed."""
    assert redis._has_login(answer, ["on", HASH, *redis._RIGHTS]) == there
    assert redis._has_login(answer, ["off"]) == (answer is None or "off" in str(answer))


def test_the_url_has_brackets_around_ipv6() -> None:
    """As RFC 3986 wants it."""
    assert redis.url(SHOP, "b") == "redis://shop_production_cache__b:s3cret@[fd00::4]:6379/0"


class Stream(io.BytesIO):
    """What a server says; what it is sent goes to `sent`."""

    sent = b""

    def write(self, data: bytes) -> int:  # type: ignore[override]
        self.sent += data
        return len(data)


def test_commands_are_sent_word_by_word() -> None:
    """A word with spaces and line ends stays one."""
    stream = Stream(b"*3\r\n$1\r\na\r\n:5\r\n$-1\r\n+OK\r\n-NOPERM no\r\n$99999999999\r\n")
    command = redis.Command(stream)
    assert command("ACL", "a b\r\nc") == ["a", 5, None]
    assert stream.sent == b"*2\r\n$3\r\nACL\r\n$6\r\na b\r\nc\r\n"
    assert command("PING") == "OK"
    with pytest.raises(ServiceError, match="Redis says: NOPERM no"):
        command("PING")
    assert command("GET", "x") is None
    with pytest.raises(ServiceError, match="Redis says: nothing"):
        command("PING")


def test_an_instance_that_does_not_run_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """With where to look."""
    monkeypatch.setattr(redis, "_socket", lambda _database: tmp_path / "redis.sock")
    with pytest.raises(ServiceError, match="redis-server@shop_production_cache does not answer"):
        redis.describe(SHOP)
