"""Record half a minute of the live page: run as ``python docs/images/record_play.py``.

Each frame is a screenshot, taken once the page shows what was done before it, so that the recording
is the same on a slow machine. It needs playwright with Chromium, Pillow, and the extra `play`.
"""

import asyncio
import os
import shutil
import threading
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw
from playwright.sync_api import Page, sync_playwright

from tinygrad_ce.play.server import Server

HERE = Path(__file__).parent
SIZE = (1440, 900)
SHOWN = (960, 600)
FRAMES_A_SECOND = 6
STEPS = 350
START = f"&data=spirals&points=300&noise=0.08&optimizer=Adam&lr=0.03&steps={STEPS}"
QUALITY = 45  # of WebP
POINTER = [(0, 0), (0, 17), (4, 13), (7, 20), (10, 19), (7, 12), (12, 12)]


class Film:
    """The frames so far, of a page and of a pointer that is drawn into them."""

    def __init__(self, tab: Page) -> None:
        self.tab, self.frames = tab, []  # type: tuple[Page, list[Image.Image]]
        self.pointer = (600.0, 400.0)

    def shoot(self, n: int = 1) -> None:
        """Take a screenshot, and show it for n frames."""
        image = Image.open(BytesIO(self.tab.screenshot())).convert("RGB")
        corners = [(self.pointer[0] + x, self.pointer[1] + y) for x, y in POINTER]
        ImageDraw.Draw(image).polygon(corners, fill="black", outline="white")
        shown = image.resize(SHOWN, Image.Resampling.LANCZOS)
        self.frames += [shown] * n

    def go_to(self, selector: str, across: float = 0.5, down: float = 0.5, frames: int = 3) -> None:
        """Move the pointer to a place in an element."""
        element = self.tab.locator(selector).first
        element.scroll_into_view_if_needed()
        box = element.bounding_box()
        assert box
        x, y = box["x"] + across * box["width"], box["y"] + down * box["height"]
        x0, y0 = self.pointer
        for i in range(1, frames + 1):
            self.pointer = (x0 + (x - x0) * i / frames, y0 + (y - y0) * i / frames)
            self.tab.mouse.move(*self.pointer)
            self.shoot()

    def click(self, selector: str, across: float = 0.5, down: float = 0.5) -> None:
        """Move to an element and click on it."""
        self.go_to(selector, across, down)
        self.tab.mouse.click(*self.pointer)
        self.tab.wait_for_timeout(400)
        self.shoot(2)

    def scroll_to(self, selector: str, frames: int = 4) -> None:
        """Scroll, in some frames, until an element is at the top."""
        place = "(s) => document.querySelector(s).getBoundingClientRect().top - 130"
        distance = self.tab.evaluate(place, selector)
        for _ in range(frames):
            self.tab.evaluate("(by) => scrollBy(0, by)", distance / frames)
            self.tab.wait_for_timeout(150)
            self.shoot()

    def save(self, path: Path) -> None:
        """Write an animated WebP, and its first frame beside it."""
        first, *others = self.frames
        first.quantize(160).save(path.with_suffix(".png"), optimize=True)
        first.save(
            path, save_all=True, append_images=others, duration=round(1000 / FRAMES_A_SECOND),
            loop=0, quality=QUALITY, method=4, allow_mixed=True, minimize_size=True,
        )  # fmt: skip


def one_loss(film: Film) -> None:
    """Drag a logit: p − y and the gradient follow."""
    film.click("#tab-loss")
    film.tab.locator("#loss .stage svg").first.wait_for()
    slider = '#loss .classes input[type="range"]'
    film.go_to(slider, 0.6)
    control = film.tab.locator(slider).first
    for z in (3, 4, 5, 6, 4, 2, 0, -2, -4, -6, -5, -3, -1, 1, 2):
        control.fill(str(z))
        film.tab.wait_for_timeout(250)
        box = control.bounding_box()
        assert box
        film.pointer = (box["x"] + (0.5 + z / 21) * box["width"], box["y"] + box["height"] / 2)
        film.shoot(2)


def train(film: Film, frames: int, steps: int) -> None:
    """Let the network make some steps for each frame."""
    counter = "Number(document.querySelector('.counter').textContent.match(/\\d+/)[0])"
    film.tab.evaluate("document.activeElement.blur()")
    for _ in range(frames):
        target = film.tab.evaluate(counter) + steps
        for _ in range(steps):
            film.tab.keyboard.press("ArrowRight")
        while film.tab.evaluate(counter) < target:
            film.tab.wait_for_timeout(20)
        film.tab.wait_for_timeout(50)
        film.shoot()


def network(film: Film) -> None:
    """Train, look at one example, and go backward through its graph."""
    film.click(".player button:nth-of-type(4)")  # start again
    film.go_to(".player button:nth-of-type(2)", frames=2)
    train(film, 44, 8)
    film.click("canvas.plot", 0.6, 0.42)
    film.scroll_to(".graph-card")
    film.go_to(".player button:nth-of-type(3)", frames=3)
    for _ in range(20):
        film.tab.mouse.click(*film.pointer)
        film.tab.wait_for_timeout(150)
        film.shoot(2)


def saturated(film: Film) -> None:
    """Make the weights too large: little is learned any more."""
    film.scroll_to(".questions")
    film.click(".question .buttons button")
    film.tab.locator(".player .main").click()
    film.tab.wait_for_timeout(500)
    film.tab.evaluate("scrollTo(0, 0)")
    film.shoot(3)
    train(film, 14, 2)


def record(scenes: list[Callable[[Film], Any]]) -> None:
    """Serve the page, play the scenes, and save what was seen."""
    server, ready = Server(port=0), threading.Event()
    started = server.run(lambda address: ready.set())
    threading.Thread(target=asyncio.run, args=(started,), daemon=True).start()
    ready.wait()
    with sync_playwright() as playwright:
        path = os.environ.get("CHROMIUM") or shutil.which("chromium")
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        size = {"width": SIZE[0], "height": SIZE[1]}
        tab = browser.new_context(viewport=size, color_scheme="light").new_page()  # type: ignore[arg-type]
        tab.goto(f"{server.address}#part=network{START}")
        tab.locator(".counter", has_text=f"step {STEPS}").wait_for()
        film = Film(tab)
        film.shoot(5)
        for scene in scenes:
            scene(film)
        film.shoot(6)
        browser.close()
    film.save(HERE / "play.webp")
    print(f"{len(film.frames)} frames, {len(film.frames) / FRAMES_A_SECOND:.0f} seconds")


if __name__ == "__main__":
    record([network, saturated, one_loss])
