"""How long a page of 400 nodes takes to open and to step: ``python tests/benchmarks/page.py``.

Needs Playwright and a Chromium on the PATH.
"""

from __future__ import annotations

import shutil
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
from playwright.sync_api import sync_playwright

import tinygrad_ce as tg

STEP_THROUGH = """() => {
    const times = [];
    for (let i = 1; i < steps.length; i++) {
        const began = performance.now();
        go(i);
        drawn.svg.getBoundingClientRect();
        times.push(performance.now() - began);
    }
    return times;
}"""


def of_400_nodes() -> tg.Tensor:
    rng = np.random.default_rng(0)
    h = tg.Tensor(rng.normal(size=(2, 3)), name="x")
    W = tg.Tensor(rng.normal(size=(3, 3)) * 0.4, requires_grad=True, name="W")
    for i in range(100):
        with tg.scope(f"layer {i}"):
            h = (h @ W).tanh() + tg.Tensor(rng.normal(size=3), requires_grad=True)
    return (h * h).mean()


def main() -> None:
    loss = of_400_nodes()
    begin = time.perf_counter()
    tg.draw(loss).svg()
    print(f"drawn to SVG in {time.perf_counter() - begin:.2f} s")
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        path = tg.draw(loss).save(Path(folder) / "page.html")
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"]
        )
        opened, steps = [], []
        for _ in range(5):
            tab = browser.new_page()
            tab.goto(path.as_uri())
            timing = "performance.getEntriesByType('navigation')[0].loadEventEnd"
            opened.append(tab.evaluate(timing))
            steps += tab.evaluate(STEP_THROUGH)
            tab.close()
        browser.close()
    print(f"opened in {statistics.median(opened):.0f} ms (median of {len(opened)})")
    print(
        f"a step in {statistics.median(steps):.1f} ms (median), "
        f"{np.percentile(steps, 99):.1f} ms (99 of 100), {max(steps):.1f} ms (largest)"
    )


if __name__ == "__main__":
    main()
