"""Somebody clicks, types, drags, reloads and loses the connection at random on the live page.

python tests/campaigns/clicks.py --minutes 10

Nothing may be complained of in the browser, no session may be stuck, the engine's numbers have to
be on the page whenever it comes to rest, and the heap of the page may not grow.
"""

import random
import sys
from collections import Counter
from pathlib import Path

import campaign

sys.path.insert(0, str(Path(__file__).parents[1]))

from draw.interactive.conftest import FLAGS, chromium_of
from play.servers import running
from playwright.sync_api import Error, sync_playwright

OPERABLE = (
    "main > section:not([hidden]) :is(button, summary, select, input, .handle, canvas), "
    "#tabs button, .tools button, dialog[open] button"
)
KEYS = ("Tab", "Enter", "Space", "ArrowLeft", "ArrowRight", "ArrowUp", "Home", "End", "Escape")
TEXTS = (
    "",
    "0",
    "40",
    "-1e3",
    "1e9",
    "-(e / e.sum())[t].log()",
    "z.sum(",
    "<b>",
    "é\u202e",
    "9" * 300,
)
LARGEST_GROWTH = 40_000_000  # bytes of the heap of JavaScript, collected


class Clicker:
    """A page at which somebody acts at random."""

    def __init__(self, browser, server, rng):
        self.server, self.rng = server, rng
        self.context = browser.new_context(viewport={"width": 1100, "height": 900})
        self.tab = self.context.new_page()
        self.complaints = []
        self.tab.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.tab.on("console", self.note)
        self.tab.on("dialog", lambda dialog: dialog.dismiss())
        self.debugger = self.context.new_cdp_session(self.tab)
        self.tab.goto(server.address)
        self.rest()

    def note(self, message):
        lost = "WebSocket connection to" in message.text  # which we have ended ourselves
        if message.type in ("error", "warning") and not lost:
            self.complaints.append(message.text)

    def act(self):
        """One action; its name."""
        actions = (self.click, self.click, self.click, self.type, self.press, self.drag)
        rare = (self.reload, self.lose_connection, self.resize)
        chosen = self.rng.choice(rare if self.rng.random() < 0.02 else actions)
        try:
            chosen()
        except Error as error:  # what was chosen is gone, or covered, by the time it is clicked
            if not any(words in str(error) for words in ("Timeout", "detached", "visible")):
                raise
        return chosen.__name__

    def element(self):
        """Something that can be operated, and its box; None where it is gone by now."""
        found = [e for e in self.tab.query_selector_all(OPERABLE) if e.is_visible()]
        element = self.rng.choice(found)
        return element, element.bounding_box()

    def click(self):
        element, box = self.element()
        if box and not element.evaluate("(e) => e.type === 'file'"):
            inside = {"x": box["width"] * self.rng.random(), "y": box["height"] * self.rng.random()}
            element.click(position=inside, timeout=500, force=True)

    def type(self):
        fields = [
            field
            for field in self.tab.query_selector_all("input[type=number], input[type=text]")
            if field.is_visible()
        ]
        if fields:
            field = self.rng.choice(fields)
            field.click(timeout=500)
            self.tab.keyboard.press("ControlOrMeta+a")
            self.tab.keyboard.type(self.rng.choice(TEXTS))

    def press(self):
        self.tab.keyboard.press(self.rng.choice(KEYS))

    def drag(self):
        _, box = self.element()
        if not box:
            return
        x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        self.tab.mouse.move(x, y)
        self.tab.mouse.down()
        for _ in range(5):
            self.tab.mouse.move(x + self.rng.uniform(-80, 80), y + self.rng.uniform(-30, 30))
        self.tab.mouse.up()

    def reload(self):
        self.tab.reload()
        self.rest()

    def lose_connection(self):
        for connection in self.server.connections:
            self.server.loop.call_soon_threadsafe(connection.transport.abort)
        self.server.connections.clear()
        self.rest()

    def resize(self):
        size = self.rng.choice([(375, 800), (1100, 900), (1600, 1000)])
        self.tab.set_viewport_size({"width": size[0], "height": size[1]})

    def rest(self):
        """Wait until the page is connected and waits for no answer; if it never does, say so."""
        for _ in range(600):
            if self.tab.evaluate(
                "document.getElementById('connection')?.textContent === 'connected'"
                "&& !document.body.classList.contains('is-waiting')"
            ):
                return
            self.tab.wait_for_timeout(50)
        raise AssertionError("the session is stuck")

    def check(self):
        """What is on the page is what the session has computed; nothing was complained of."""
        self.rest()
        assert self.complaints == [], self.complaints
        assert len(self.server.sessions) == 1, [*self.server.sessions]
        (session,) = self.server.sessions.values()
        shown = self.tab.query_selector_all(
            "#loss .classes .row:not(.heads) .logit input[type=range]"
        )
        if shown and self.tab.is_visible("#loss") and not self.tab.is_visible("#expression-error"):
            values = [float(slider.input_value()) for slider in shown]
            logits = session.parts["loss"]._setting.logits
            assert len(values) == len(logits), (values, logits)
            assert all(abs(a - b) < 0.06 for a, b in zip(values, logits, strict=True))

    def heap(self):
        """The bytes of JavaScript's heap that are left after a collection."""
        self.debugger.send("HeapProfiler.collectGarbage")
        return self.debugger.send("Runtime.getHeapUsage")["usedSize"]


ACTIONS = 400  # at one page


def attack(seed):
    """Many actions at one page; which they were."""
    rng = random.Random(str(seed))
    counts = Counter()
    with (
        sync_playwright() as playwright,
        playwright.chromium.launch(executable_path=chromium_of(playwright), args=FLAGS) as browser,
        running() as server,
    ):
        clicker = Clicker(browser, server, rng)
        for i in range(ACTIONS):
            counts[clicker.act()] += 1
            if i % 20 == 0:
                clicker.check()
            if i == ACTIONS // 4:
                before = clicker.heap()
        growth = clicker.heap() - before
        assert growth < LARGEST_GROWTH, f"the heap has grown by {growth:,} bytes"
        clicker.check()
        clicker.context.close()
    return counts


if __name__ == "__main__":
    campaign.run(attack, __doc__)
