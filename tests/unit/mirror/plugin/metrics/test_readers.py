"""Who may read the metrics."""

from pathlib import Path

from mirror.plugin.metrics.readers import MetricsReaders


def may_read(readers: MetricsReaders, *, is_local: bool = False, **environ: str) -> bool:
    return readers.may_read({"REMOTE_ADDR": "192.0.2.7", **environ}, is_local=is_local)


def test_by_default_this_machine_alone_may_read() -> None:
    """A number of requests tells a stranger who works when, and what an attack of theirs costs."""
    readers = MetricsReaders((), None)
    assert may_read(readers, is_local=True)
    assert not may_read(readers)
    assert not may_read(readers, HTTP_AUTHORIZATION="Bearer ")


def test_a_client_of_nginx_is_not_this_machine() -> None:
    """nginx connects from loopback, and names its client."""
    readers = MetricsReaders(["192.0.2.0/24"], None)
    assert may_read(readers, is_local=True, HTTP_X_REAL_IP="192.0.2.9")
    assert not may_read(readers, is_local=True, HTTP_X_REAL_IP="198.51.100.9")
    assert not may_read(readers, is_local=True, HTTP_X_REAL_IP="a name")


def test_named_networks_may_read() -> None:
    """Also an IPv4 address that an IPv6 socket shows."""
    readers = MetricsReaders(["192.0.2.0/24", "2001:db8::1/128"], None)
    assert may_read(readers)
    assert may_read(readers, REMOTE_ADDR="::ffff:192.0.2.7")
    assert may_read(readers, REMOTE_ADDR="2001:db8::1")
    assert not may_read(readers, REMOTE_ADDR="2001:db8::2")


def test_a_token_lets_in_and_a_wrong_one_keeps_out(tmp_path: Path) -> None:
    """A wrong token does not fall back to the address: its owner shall notice."""
    (tmp_path / "token").write_text("a-token-of-enough-characters\n")
    readers = MetricsReaders(["192.0.2.0/24"], tmp_path / "token")
    right = "Bearer a-token-of-enough-characters"
    assert may_read(readers, HTTP_AUTHORIZATION=right, REMOTE_ADDR="198.51.100.1")
    assert not may_read(readers, HTTP_AUTHORIZATION="Bearer another")
    assert not may_read(readers, HTTP_AUTHORIZATION="Bearer \xe9\xff")
