"""Charts as SVG elements that take their colors and letters from the page around them."""

from __future__ import annotations

import html
import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from ...engine.context import no_grad
from ...train import History
from ..experiment import Results

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# matplotlib gets these colors, and the SVG says var(--name) in their place, so that a chart
# is light on a light page and dark on a dark one.
NAMES = ("ink", "muted", "rule", "surface", "accent", "class-0", "class-1", "class-2")
INK, MUTED, RULE, SURFACE, ACCENT, *CLASSES = (f"#0101{i:02}" for i in range(len(NAMES)))
MARKERS = "os^"

# In inches, and in points below: about the width of a narrow screen, where text is not shrunk.
WIDTH = 3.9

# Which two features the decision regions are drawn over.
REGION_FEATURES = {"iris": (2, 3)}


def require_matplotlib() -> None:
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        raise ImportError(
            "the demo draws its page with matplotlib, which is not installed: "
            'pip install "tinygrad-ce[plot]", or pip install ".[all]" in a checkout'
        ) from None


def loss_curves(history: History) -> str:
    return _curves("loss", history.loss, history.test_loss, ".3f")


def accuracy_curves(history: History) -> str:
    return _curves("accuracy", history.accuracy, history.test_accuracy, ".1%")


def _curves(what: str, training: list[float], test: list[float], form: str) -> str:
    from matplotlib.ticker import MaxNLocator

    epochs = np.arange(1, len(training) + 1)
    both: dict[str, Any] = {"marker": "o" if len(epochs) == 1 else "", "clip_on": False}
    with _looks():
        axes = _axes(2.7)
        axes.plot(epochs, training, color=MUTED, dashes=(3, 1.5), label="training set", **both)
        axes.plot(epochs, test, color=ACCENT, label="test set", **both)
        axes.set_xlabel("epoch")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(axis="y")
        if what == "loss":
            axes.set_ylim(bottom=0)
        else:
            axes.set_ylim(top=1)
            axes.yaxis.set_major_formatter(lambda share, _: f"{100 * share:g}\u202f%")
        _legend(axes)
        first, last = (f"from {c[0]:{form}} to {c[-1]:{form}}" for c in (training, test))
        what = f"Line chart of the {what} over the epochs"
        return _svg(axes, f"{what}. Training set: {first}. Test set: {last}.")


def decision_regions(results: Results) -> str:
    """Which class is predicted where, over two features; the others are at their mean."""
    experiment = results.experiment
    i, j = REGION_FEATURES[experiment.name]
    rows = np.concatenate([experiment.raw_train, experiment.raw_test])
    u, v = (_span(rows[:, k]) for k in (i, j))
    grid = np.tile(experiment.raw_train.mean(0), (u.size * v.size, 1))
    grid[:, i], grid[:, j] = (axis.ravel() for axis in np.meshgrid(u, v))
    with no_grad():
        logits = experiment.model(experiment.standardize(grid)).data.reshape(v.size, u.size, -1)
    with _looks():
        axes = _axes(3.7)
        for k, color in enumerate(CLASSES[: len(experiment.classes)]):
            lead = logits[..., k] - np.delete(logits, k, axis=-1).max(-1)
            if lead.max() > 0:
                axes.contourf(u, v, lead, [0, lead.max()], colors=[color], alpha=0.16)
            if lead.min() < 0 < lead.max():
                axes.contour(u, v, lead, [0], colors=MUTED, linewidths=0.8)
        _points(axes, results, i, j)
        axes.set_xlabel(experiment.features[i])
        axes.set_ylabel(experiment.features[j])
        _legend(axes)
        features = f"{experiment.features[i]} and {experiment.features[j]}"
        points = f"the test set as points: {', '.join(experiment.classes)}"
        return _svg(axes, f"Decision regions over {features}, with {points}.")


def _span(values: Any) -> Any:
    margin = 0.08 * np.ptp(values)
    return np.linspace(values.min() - margin, values.max() + margin, 80)


def _points(axes: Axes, results: Results, i: int, j: int) -> None:
    """The test set, a color and a marker for each class, and rings around what is wrong."""
    x, y = results.experiment.raw_test[:, i], results.experiment.raw_test[:, j]
    labels = results.experiment.y_test
    looks: dict[str, Any] = {"s": 20, "edgecolor": SURFACE, "linewidth": 0.5}
    for k, name in enumerate(results.experiment.classes):
        at = labels == k
        axes.scatter(x[at], y[at], marker=MARKERS[k], color=CLASSES[k], label=name, **looks)
    wrong = results.predicted != labels
    if wrong.any():
        looks = {"s": 80, "edgecolor": INK, "linewidth": 1.1, "facecolor": "none"}
        axes.scatter(x[wrong], y[wrong], label="wrong", **looks)


@contextmanager
def _looks() -> Iterator[None]:
    import matplotlib

    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rc("svg", fonttype="none")
        matplotlib.rc("font", size=9)
        matplotlib.rc("text", color=INK)
        matplotlib.rc("axes", labelcolor=MUTED, edgecolor=RULE)
        matplotlib.rc("xtick", color=RULE, labelcolor=MUTED)
        matplotlib.rc("ytick", color=RULE, labelcolor=MUTED)
        matplotlib.rc("grid", color=RULE, linewidth=0.5)
        matplotlib.rc("lines", linewidth=1.7)
        matplotlib.rc("legend", frameon=False, borderpad=0, labelcolor=INK)
        yield


def _axes(height: float) -> Axes:
    # Figure by itself, without pyplot: nothing is left open, and no backend is chosen for others.
    from matplotlib.figure import Figure

    axes = Figure(figsize=(WIDTH, height), layout="constrained").add_subplot()
    axes.spines[["top", "right"]].set_visible(False)
    return axes


def _legend(axes: Axes) -> None:
    """Above the axes, where there are no data."""
    figure: Any = axes.figure
    figure.legend(loc="outside upper left", ncols=4, columnspacing=1.2, handletextpad=0.4)


def _svg(axes: Axes, description: str) -> str:
    """The chart as an SVG without a fixed size, with the page's letters and colors."""
    import matplotlib

    matplotlib.rcParams["svg.hashsalt"] = description  # ids that differ from chart to chart only
    file = io.StringIO()
    figure: Any = axes.figure
    figure.savefig(file, format="svg", metadata={"Date": None}, transparent=True)
    head, body = file.getvalue().split("</metadata>", 1)
    box = head.split('viewBox="')[1].split('"')[0]
    body = re.sub(r'<g id="[^"]*"', "<g", body)
    body = re.sub(r'font: ([\d.]+px) [^;"]*', r"font: \1 var(--font)", body)
    body = re.sub(r"#0101(\d\d)", lambda match: f"var(--{NAMES[int(match[1])]})", body)
    label = html.escape(description)
    return f'<svg class="chart" viewBox="{box}" role="img" aria-label="{label}">{body}'
