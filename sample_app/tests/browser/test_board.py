"""What somebody does with the board, in a real browser."""

import re
from collections.abc import Callable

import pytest
from axe_playwright_python.sync_playwright import Axe
from flask import Flask
from playwright.sync_api import Page, expect
from sample_app.seed import PASSWORD
from support import Postbox

Opener = Callable[..., Page]
Shot = Callable[[Page, str], None]


@pytest.fixture
def seeded(app: Flask) -> None:
    """Two users and enough links for two pages."""
    done = app.test_cli_runner().invoke(args=["seed"])
    assert done.exit_code == 0, done.output


def sign_in(page: Page, email: str = "ann@example.com") -> None:
    """Begin a session by the form."""
    page.goto("/auth/sign-in")
    page.get_by_label("E-mail address").fill(email)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("main").get_by_role("button", name="Sign in").click()


def post(page: Page, url: str, title: str, tags: str) -> None:
    """Post a link by the form."""
    page.get_by_role("link", name="Post", exact=False).first.click()
    page.get_by_label("Address").fill(url)
    page.get_by_label("Title").fill(title)
    page.get_by_label("Tags").fill(tags)
    page.get_by_role("button", name="Post").click()


@pytest.mark.parametrize("javascript", [True, False])
@pytest.mark.parametrize("phone", [True, False])
@pytest.mark.usefixtures("app")
def test_somebody_signs_up_posts_finds_and_archives(
    opener: Opener, postbox: Postbox, shot: Shot, *, phone: bool, javascript: bool
) -> None:
    """The whole way, on a desk and on a phone, and in a browser that runs no scripts."""
    page = opener(phone=phone, javascript=javascript)
    kind = f"{'phone' if phone else 'desk'}{'' if javascript else '-no-script'}"
    page.goto("/")
    shot(page, f"{kind}-1-empty")
    page.get_by_role("navigation", name="Account").get_by_role("link", name="Sign up").click()
    page.get_by_label("Your name").fill("Ann")
    page.get_by_label("E-mail address").fill("ann@example.com")
    page.get_by_label("Password").fill("a long enough one")
    page.get_by_role("button", name="Sign up").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Look into your mailbox")
    [mail] = postbox.mails
    link = re.search(r"http://127\.0\.0\.1:8000(/auth/confirm\S+)", mail.get_content())
    assert link
    page.goto(link[1])
    page.get_by_label("Password").fill("a long enough one")
    page.get_by_role("button", name="Confirm and sign in").click()
    expect(page.get_by_role("status")).to_contain_text("Welcome, Ann")
    post(page, "https://example.com/one", "The first link", "Python, web dev")
    post(page, "https://example.com/two", "Another one", "python")
    titles = page.locator(".links h2")
    expect(titles).to_have_text(["Another one", "The first link"])
    shot(page, f"{kind}-2-list")
    page.get_by_role("link", name="web-dev").click()
    expect(titles).to_have_text(["The first link"])
    page.get_by_role("link", name="Show all").click()
    page.get_by_role("searchbox").fill("another")
    page.get_by_role("button", name="Search").click()
    expect(titles).to_have_text(["Another one"])
    page.get_by_role("button", name="Archive Another one").click()
    expect(titles).to_have_text(["The first link"])
    page.get_by_role("link", name="Archive").click()
    page.get_by_role("button", name="Put back Another one").click()
    expect(page.get_by_role("status")).to_contain_text("on the board again")
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("navigation", name="Account")).to_contain_text("Sign in")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "scrolls sideways"


@pytest.mark.usefixtures("seeded")
def test_pages_lead_forth_and_back(opener: Opener) -> None:
    """With a search that stays."""
    page = opener()
    page.goto("/")
    expect(page.locator(".links > li")).to_have_count(20)
    page.get_by_role("link", name="Older").click()
    expect(page.locator(".links > li")).to_have_count(3)
    expect(page.get_by_role("navigation", name="Pages")).to_contain_text("Page 2")
    page.get_by_role("link", name="Newer").click()
    expect(page).to_have_title(re.compile("^Links"))


@pytest.mark.usefixtures("seeded")
def test_a_form_says_what_is_wrong_and_where(opener: Opener, shot: Shot) -> None:
    """The summary has the focus, its links lead to the fields."""
    page = opener()
    sign_in(page)
    post(page, "javascript:alert(1)", "", "")
    expect(page.get_by_role("alert")).to_be_focused()
    shot(page, "desk-form-errors")
    page.get_by_role("link", name="Give the link a title.").click()
    expect(page.get_by_label("Title")).to_be_focused()
    expect(page.get_by_label("Address")).to_have_value("javascript:alert(1)")


PAGES = {
    "list": "/",
    "tag": "/?tag=web&q=python",
    "nothing": "/?q=nothing-has-this",
    "archive": "/archive",
    "tags": "/tags",
    "new": "/links/new",
    "profile": "/auth/profile",
    "password": "/auth/password",
    "tokens": "/auth/tokens",
    "sign-up": "/auth/sign-up",
    "sign-in": "/auth/sign-in",
    "resend": "/auth/resend",
    "sent": "/auth/sent",
    "old": "/auth/confirm",
    "404": "/nothing-here",
}


@pytest.mark.usefixtures("seeded")
@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("phone", [False, True])
def test_pages_are_accessible(opener: Opener, shot: Shot, *, dark: bool, phone: bool) -> None:
    """axe-core finds no violation, and nothing scrolls sideways."""
    page, axe, found = opener(dark=dark, phone=phone), Axe(), []
    sign_in(page)

    def check(name: str) -> None:
        shot(page, f"{'dark' if dark else 'light'}-{'phone' if phone else 'desk'}-{name}")
        results = axe.run(page)
        if results.violations_count:
            found.append(f"{name}: {results.generate_report()}")
        if page.evaluate("document.documentElement.scrollWidth > innerWidth"):
            found.append(f"{name}: scrolls sideways")

    for name, path in PAGES.items():
        page.goto(path)
        check(name)
    page.goto("/links/new")
    page.get_by_role("button", name="Post").click()
    check("errors")
    page.goto("/auth/tokens")
    page.get_by_label("What is it for?").fill("nightly import")
    page.get_by_role("button", name="Make a token").click()
    expect(page.locator("#secret")).to_contain_text("links_")
    check("secret")
    page.get_by_role("button", name="Sign out").click()
    page.goto("/")
    check("visitor")
    assert not found, "\n".join(found)
