"""Which parts of a text are logins."""

import pytest

from packhorse import urls

URL, PLAIN = "https://user:pass:w@rd'?#@example.com:8443/simple/", "https://example.com:8443/simple/"


@pytest.mark.parametrize("around", ["{}", "index {{'mirror_url': '{}'}}", 'GET "{}" failed', "{} and {}"])
def test_a_login_is_left_out_of_any_text(around: str) -> None:
    """Logs, errors and locks have URLs in sentences, and in quotes."""
    assert urls.without_logins(around.format(URL, URL)) == around.format(PLAIN, PLAIN)


@pytest.mark.parametrize(
    "text", ["", PLAIN, "mail to a@example.com", f"{PLAIN} mail a@example.com", "://", f"{PLAIN}a@b/"]
)
def test_other_text_stays_as_it_is(text: str) -> None:
    """Paths and mail addresses have an @ too."""
    assert urls.without_logins(text) == text
