"""A real browser, in which pages are opened."""

import os
import shutil
from pathlib import Path

import pytest
from draw.interactive.pages import Opened

from tinygrad_ce.draw import draw

CHROMIUM = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")


FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def chromium_of(playwright):
    own = Path(playwright.chromium.executable_path)
    found = [
        os.environ.get("CHROMIUM"),
        *map(shutil.which, CHROMIUM),
        own if own.exists() else None,
    ]
    return next(filter(None, found), None)


def unavailable(reason):
    if os.environ.get("CI"):
        pytest.fail(f"{reason}, and where CI is set this may not be skipped")
    pytest.skip(reason)


@pytest.fixture(scope="module")
def browser():
    try:
        import playwright.sync_api as api
    except ImportError:
        unavailable("playwright is not installed")
    with api.sync_playwright() as playwright:
        path = chromium_of(playwright)
        if path is None:
            unavailable("there is no Chromium: apt install chromium, or set CHROMIUM to its path")
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def open_page(browser, tmp_path):
    opened = []

    def open_page(
        output, hash="", width=1280, height=900, scheme="light", touch=False, motion="reduce",
        **options,
    ):  # fmt: skip
        path = draw(output, **options).save(tmp_path / "page.html")
        context = browser.new_context(
            viewport={"width": width, "height": height},
            color_scheme=scheme,
            reduced_motion=motion,
            has_touch=touch,
            is_mobile=touch,
            accept_downloads=True,
        )
        page = Opened(context.new_page())
        opened.append((page, context))
        page.tab.goto(path.as_uri() + hash)
        return page

    yield open_page
    for page, context in opened:
        assert page.complaints == []
        assert [
            url for url in page.requests if not url.startswith(("file:", "data:", "blob:"))
        ] == []
        context.close()
