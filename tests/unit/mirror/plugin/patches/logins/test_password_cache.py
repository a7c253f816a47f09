"""The promises of mirror.plugin.patches.logins.password_cache."""

from mirror.plugin.patches.logins import password_cache


class Check:
    """Knows one password for each stored hash, and counts how often it is asked."""

    def __init__(self) -> None:
        self.asked = 0

    def __call__(self, password: str, pwhash: str, salt: str | None = None) -> tuple[bool, str | None]:
        self.asked += 1
        if pwhash == "old form":
            return True, "new form"
        return (password, salt) == (f"password of {pwhash}", None), None


def test_a_right_password_is_checked_once() -> None:
    """The check takes a quarter of a second, and pip asks for a hundred pages."""
    check = Check()
    verify = password_cache.PasswordCache(check).verified
    assert [verify("password of a", "a") for _ in range(3)] == [(True, None)] * 3
    assert check.asked == 1


def test_a_wrong_password_is_checked_each_time() -> None:
    """Whoever guesses must go on paying for each guess."""
    check = Check()
    verify = password_cache.PasswordCache(check).verified
    assert verify("password of a", "a") == (True, None)
    assert [verify("guess", "a") for _ in range(3)] == [(False, None)] * 3
    assert check.asked == 4


def test_a_changed_password_is_right_no_more() -> None:
    """The stored hash is another one then; so is that of another user."""
    verify = password_cache.PasswordCache(Check()).verified
    assert verify("password of a", "a") == (True, None)
    assert verify("password of a", "b") == (False, None)
    assert verify("password of a", "a", "salt") == (False, None)


def test_a_hash_of_an_older_form_is_renewed() -> None:
    """devpi stores the new form when it can write: until then each check must say so."""
    check = Check()
    verify = password_cache.PasswordCache(check).verified
    assert [verify("x", "old form") for _ in range(2)] == [(True, "new form")] * 2
    assert check.asked == 2


def test_only_so_many_are_remembered() -> None:
    """Those that were used longest ago are forgotten."""
    check = Check()
    verify = password_cache.PasswordCache(check, most=2).verified
    for name in ("a", "b", "a", "c", "a", "b"):
        assert verify(f"password of {name}", name) == (True, None)
    assert check.asked == 4  # a, b, c, and b again
