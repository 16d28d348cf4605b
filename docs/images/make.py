"""Draw the pictures of the README and of docs/: run as ``python docs/images/make.py``.

The screenshots of the page need a browser: ``pip install playwright``, and Chromium on the PATH or
in the environment variable CHROMIUM.
"""

import os
import shutil
import tempfile
from pathlib import Path

import numpy as np

import tinygrad_ce as tg
from tinygrad_ce import functional as F
from tinygrad_ce import nn
from tinygrad_ce.cli.experiment import loss_of_row, prepare, run_experiment
from tinygrad_ce.draw import remember_lines
from tinygrad_ce.draw.source_lines import remember_variables

HERE = Path(__file__).parent


# ── What is drawn ─────────────────────────────────────────────────────────────────────────────────


def by_hand() -> tg.Tensor:
    """The loss of one flower, out of exp, sum, log and indexing."""
    z = tg.Tensor([2.0, 1.0, 0.1], requires_grad=True, name="logits")
    with tg.scope("cross-entropy"), remember_lines():
        loss = np.exp(z).sum().log() - z[0]
    loss.name = "loss"
    return loss


def one_flower() -> tg.Tensor:
    """The loss of a trained network on the flower that is hardest for it, as the demo shows it."""
    results = run_experiment(prepare("iris"))
    with remember_variables():
        loss, _ = loss_of_row(results.experiment, results.hardest_row)
    return loss


def network() -> tg.Tensor:
    """The loss of a small network on five rows."""
    model = nn.MLP([4, 16, 3], rng=0)
    X = tg.Tensor(np.random.default_rng(0).normal(size=(5, 4)), dtype=np.float32, name="X")
    with remember_lines():
        loss = F.cross_entropy(model(X), [0, 1, 2, 1, 0])
    loss.name = "loss"
    return loss


def twelve_layers() -> tg.Tensor:
    """Twelve layers that are alike."""
    rng = np.random.default_rng(0)
    h = tg.Tensor(rng.normal(size=(2, 4)), requires_grad=True, name="x")
    for _ in range(12):
        with tg.scope("layer"):
            weight = tg.Tensor(rng.normal(size=(4, 4)) / 2, requires_grad=True, name="weight")
            h = (h @ weight).tanh()
    loss = (h * h).sum()
    loss.name = "loss"
    return loss


# ── Pictures ──────────────────────────────────────────────────────────────────────────────────────


def pictures() -> None:
    """The SVGs."""
    for name, drawing in {
        "cross_entropy": tg.draw(by_hand()),
        "network": tg.draw(network(), depth=2),
        "network_folded": tg.draw(network(), depth=1),
        "twelve_layers": tg.draw(twelve_layers(), depth=1),
    }.items():
        print(drawing.save(HERE / f"{name}.svg"))


def screenshots() -> None:
    """The page, at the steps that tell most."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as folder:
        chromium = os.environ.get("CHROMIUM") or shutil.which("chromium")
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for name, loss, place, scheme in (
            ("backprop", one_flower(), "why", "light"),
            ("backprop_dark", network(), "step=20", "dark"),
        ):
            page = tg.draw(loss).save(Path(folder) / f"{name}.html")
            tab = browser.new_page(
                viewport={"width": 1440, "height": 900},
                color_scheme=scheme,
                reduced_motion="reduce",
            )
            tab.goto(f"{page.as_uri()}#{place}")
            tab.screenshot(path=HERE / f"{name}.png")
            print(HERE / f"{name}.png")
        browser.close()


if __name__ == "__main__":
    pictures()
    screenshots()
