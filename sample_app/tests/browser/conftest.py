"""The application on a port, Debian's Chromium in front of it, and screenshots as output (test-output/)."""

import os
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from flask import Flask
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright
from sample_app.config import Settings
from support import Postbox, smtp_server
from werkzeug.serving import make_server

OUTPUT = Path(__file__).parents[2] / "test-output"
PHONE = {"width": 360, "height": 740}
DESK = {"width": 1100, "height": 800}


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Debian's Chromium. Root has no sandbox for it, as in containers."""
    program = shutil.which("chromium")
    if program is None:
        pytest.skip("chromium is not installed: sudo apt-get install chromium")
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=program, args=arguments)
        yield started
        started.close()


@pytest.fixture
def postbox() -> Iterator[Postbox]:
    """The server that gets the application's mails."""
    with smtp_server() as box:
        yield box


@pytest.fixture
def settings(settings: Settings, postbox: Postbox) -> Settings:
    """Of an application that sends its mails."""
    return Settings(**settings.model_dump() | {"smtp_url": postbox.url})


@pytest.fixture
def address(app: Flask) -> Iterator[str]:
    """Where the application listens."""
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


Opener = Callable[..., Page]


@pytest.fixture
def opener(browser: Browser, address: str) -> Iterator[Opener]:
    """Opens a browser of its own for each call; errors in its console fail the test."""
    contexts: list[BrowserContext] = []
    complaints: list[str] = []

    def open_page(*, phone: bool = False, dark: bool = False, javascript: bool = True) -> Page:
        context = browser.new_context(
            base_url=address,
            viewport=PHONE if phone else DESK,  # type: ignore[arg-type]
            color_scheme="dark" if dark else "light",
            java_script_enabled=javascript,
        )
        contexts.append(context)
        context.set_default_timeout(20_000)
        page = context.new_page()
        page.on(
            "console", lambda message: complaints.append(message.text) if message.type == "error" else None
        )
        page.on("pageerror", lambda error: complaints.append(str(error)))
        return page

    yield open_page
    for context in contexts:
        context.close()
    # "Failed to load resource" names pages that answer 4xx on purpose, too.
    assert not [text for text in complaints if "status of 4" not in text]


@pytest.fixture
def shot() -> Callable[[Page, str], None]:
    """Keeps a screenshot of the whole page."""
    OUTPUT.mkdir(exist_ok=True)

    def take(page: Page, name: str) -> None:
        page.screenshot(path=OUTPUT / f"{name}.png", full_page=True)

    return take
