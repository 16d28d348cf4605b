"""How many frames a second the page shows of a network that learns, beside a browser.

python tests/benchmarks/live_frames.py --seconds 5
"""

import argparse
import sys
import time
from pathlib import Path

TESTS = Path(__file__).parents[1]
sys.path[:0] = [str(TESTS), str(TESTS.parent)]

from draw.interactive.conftest import FLAGS, chromium_of  # noqa: E402
from play.servers import running  # noqa: E402
from playwright.sync_api import sync_playwright  # noqa: E402

NETWORKS = {
    "2-16-16-2": "",
    "2-16-16-2, the graph in view": "",
    "digits, 64-64-10": "&data=digits&hidden=64&batch=64",
    "digits, 64-64-10, the graph in view": "&data=digits&hidden=64&batch=64",
}
# The longest time for which the page has drawn nothing, not even its own animation.
WATCH = """() => {
    let last = performance.now();
    window.longest = 0;
    const frame = (now) => {
        window.longest = Math.max(window.longest, now - last);
        last = now;
        requestAnimationFrame(frame);
    };
    requestAnimationFrame(frame);
}"""


def measure(browser, server, state, in_view, seconds):
    """Frames a second, CPU ms of the page's main thread a frame, the longest pause, first frame."""
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    tab = context.new_page()
    started = time.perf_counter()
    tab.goto(f"{server.address}#part=network{state}")
    tab.locator(".facts-line:not(:empty)").wait_for()
    first = time.perf_counter() - started
    tab.locator(in_view).scroll_into_view_if_needed()
    tab.get_by_title("Play or pause").click()
    tab.wait_for_timeout(1000)
    (session,) = server.sessions.values()
    recording = session.parts["network"].training.recording
    devtools = context.new_cdp_session(tab)
    devtools.send("Performance.setTimeDomain", {"timeDomain": "threadTicks"})  # CPU, not clock
    devtools.send("Performance.enable")

    def busy():
        metrics = devtools.send("Performance.getMetrics")["metrics"]
        return next(m["value"] for m in metrics if m["name"] == "TaskDuration")

    tab.evaluate(WATCH)
    before, worked, start = recording.last, busy(), time.perf_counter()
    tab.wait_for_timeout(1000 * seconds)
    frames, worked = recording.last - before, busy() - worked
    rate = frames / (time.perf_counter() - start)
    pause = tab.evaluate("window.longest")
    context.close()
    return rate, 1000 * worked / max(frames, 1), pause, first


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=5)
    seconds = parser.parse_args().seconds
    print(f"{'network':38} frames/s  page CPU ms/frame  longest pause ms  first frame s")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_of(playwright), args=FLAGS)
        for name, state in NETWORKS.items():
            in_view = ".graph-view" if "graph" in name else ".plot"
            with running() as server:
                rate, worked, pause, first = measure(browser, server, state, in_view, seconds)
            print(f"{name:38} {rate:8.1f}  {worked:16.1f}  {pause:16.0f}  {first:13.2f}")
        browser.close()


if __name__ == "__main__":
    main()
