"""The promises of release.oneoffs.attached."""

import pytest

from release.oneoffs import attached


@pytest.mark.parametrize(
    ("pieces", "passed", "left"),
    [
        ([b"ls ~.", b"\r"], b"ls ~.\r", False),
        ([b"~."], b"", True),
        ([b"ls\r", b"~", b".", b"rest"], b"ls\r", True),
        ([b"\r~.rest"], b"\r", True),
        ([b"~~.\r"], b"~.\r", False),
        ([b"\n~", b"x"], b"\n~x", False),
        ([b"\x03", b"~."], b"\x03~.", False),
    ],
)
def test_enter_tilde_dot_leaves_and_everything_else_is_the_commands(
    pieces: list[bytes], passed: bytes, *, left: bool
) -> None:
    """As in ssh: people know it, and a home directory in a command line is no way out."""
    keys = attached.Keys()
    out = b""
    for piece in pieces:
        out += b"" if keys.left else keys.passed_on(piece)
    assert (out, keys.left) == (passed, left)
