"""The page, open in a real browser and served as the command serves it."""

import contextlib

import pytest
from draw.interactive.conftest import browser  # noqa: F401  a fixture
from play.servers import running

from tinygrad_ce.play.session import Session


class Page:
    """A page that is open, and what it has complained of or asked for."""

    def __init__(self, tab, server):
        self.tab, self.server = tab, server
        self.complaints, self.requests = [], []
        tab.on("console", lambda message: self.complaints.append(message.text))
        tab.on("pageerror", lambda error: self.complaints.append(str(error)))
        tab.on("request", lambda request: self.requests.append(request.url))

    def wait(self, expression, argument=None):
        """Wait until JavaScript is true; not by wait_for_function, which needs eval."""
        for _ in range(200):
            if self.tab.evaluate(expression, argument):
                return
            self.tab.wait_for_timeout(25)
        raise AssertionError(expression)

    def settled(self):
        """Wait until the page shows the answer to what was last set."""
        self.wait(
            """document.querySelector("main > section:not([hidden]) .stage svg") !== null
            && document.getElementById("connection").textContent === "connected"
            && !document.body.classList.contains("is-waiting")"""
        )

    def lose_connection(self):
        """End the connection as a network does, without a good-bye."""
        for connection in self.server.connections:
            self.server.loop.call_soon_threadsafe(connection.transport.abort)

    def session(self):
        (session,) = self.server.sessions.values()
        return session

    def column(self, kind):
        """The numbers of a column of the classes, as they are written."""
        cells = self.tab.query_selector_all(f"#loss .classes .row:not(.heads) .{kind} .digits")
        return [cell.inner_text().replace("− ", "").replace("−", "-") for cell in cells]


@pytest.fixture
def open_page(browser):  # noqa: F811
    opened = []
    stack = contextlib.ExitStack()

    def open_page(fragment="", make_session=Session):
        size = {"width": 1280, "height": 900}
        context = browser.new_context(viewport=size, reduced_motion="reduce")
        server = stack.enter_context(running(make_session))
        page = Page(context.new_page(), server)
        opened.append((page, context))
        page.tab.goto(server.address + fragment)
        page.wait("document.getElementById('connection').textContent === 'connected'")
        return page

    yield open_page
    for page, context in opened:
        own = (f"http://127.0.0.1:{page.server.port}/", f"ws://127.0.0.1:{page.server.port}/")
        assert [url for url in page.requests if not url.startswith((*own, "data:", "blob:"))] == []
        assert page.complaints == []
        context.close()
    stack.close()
