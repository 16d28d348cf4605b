"""Three pictures of cross-entropy: its shape, its asymmetry, and where its gradient loses digits.

    python examples/pictures.py --out pictures
    python examples/pictures.py --out docs/images --format svg

The second line makes those of the documentation again. Needs matplotlib (the extra "plot"). With
mpmath, the third picture is compared with 50 digits; without it, against a closed form that happens
to lose nothing. The files are the same from run to run.

loss_vs_probability
    -log p: what a prediction costs, by the probability that it gave to the true class.
asymmetry
    A claim that cross-entropy is not symmetric, taken apart: one term is not, the sum is. What is
    true instead: the smallest cross-entropy is the entropy, not 0, and swapping prediction and
    truth gives another number.
gradient_vs_gap
    The gradient of a model that is confident and right, by three ways to write the same loss.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np
from numpy.typing import NDArray

import tinygrad_ce as tg

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Array = NDArray[Any]

# The hues of Okabe and Ito, distinct with any color vision. No curve is known by its
# color alone: each has its own dashes, and its name beside it.
BLUE, ORANGE, GREEN = "#0072b2", "#c24e00", "#00785a"
INK, MUTED, RULE = "#1a1a1a", "#5a5f66", "#d5d8dd"

WIDTH = 6.25  # inches: text of 10 points is then legible on a page that is 600 pixels wide


# ── What is drawn ─────────────────────────────────────────────────────────────────────────────────


def term(y: Any, q: Any) -> Any:
    """-y log q, one term of a cross-entropy."""
    return -y * np.log(q)


def cross_entropy(y: Any, q: Any) -> Any:
    """Of two classes with the probabilities y and 1 - y, predicted as q and 1 - q."""
    return term(y, q) + term(1 - y, 1 - q)


def entropy(y: Any) -> Any:
    """The cross-entropy of a prediction that is the truth."""
    return cross_entropy(y, y)


# The same loss, -log softmax(z)[t], in three ways.


def naive(z: tg.Tensor, t: int) -> Any:
    """As the definition says."""
    e = z.exp()
    return -(e[t] / e.sum()).log()


def shifted(z: tg.Tensor, t: int) -> Any:
    """log Σ exp(z) - z[t], with the largest logit subtracted first: exp cannot overflow."""
    less = z - z.data.max()
    return less.exp().sum().log() - less[t]


def margin(z: tg.Tensor, t: int) -> Any:
    """log(1 + Σ exp(z[j] - z[t])) over all others j: how far they are behind, and nothing else.

    The 1 is the label's own exp(0). It is what the small terms would be lost beside, and so it
    is never added: log1p(x) is log(1 + x), and expm1(x) is exp(x) - 1, without forming it. Where
    another class is ahead of the label, its lead m is taken out first: exp cannot overflow.
    """
    d = z[np.arange(z.size) != t] - z[t]
    m = max(0.0, float(d.data.max()))
    return m + ((d - m).exp().sum() + np.expm1(-m)).log1p()


Form = Callable[[tg.Tensor, int], Any]


def gradient_at_label(form: Form, gap: float) -> float:
    """∂L/∂z[t] by backprop, for two classes of which the label's logit is larger by the gap."""
    z = tg.Tensor([gap, 0.0], requires_grad=True)
    (g,) = tg.gradients(form(z, 0), [z])
    return float(g[0])


def true_gradient_at_label(gap: float) -> float:
    """The same, -1 / (1 + exp(gap)), to all digits of a float."""
    try:
        from mpmath import mp
    except ImportError:
        small = float(np.exp(-gap))
        return -small / (1 + small)
    with mp.workdps(50):
        return float(-1 / (1 + mp.exp(gap)))


# ── The pictures ──────────────────────────────────────────────────────────────────────────────────


def loss_vs_probability(figure: Figure) -> None:
    """The cross-entropy loss by the predicted probability of the true class."""
    axes = panel(figure, 1, 1, "What a prediction costs: −log p")
    p = np.concatenate([np.geomspace(0.002, 0.1, 120), np.linspace(0.1, 1, 120)[1:]])
    axes.plot(p, term(1, p), color=BLUE)
    for at, meaning, offset, ha in (
        (0.01, "confident and wrong", (12, -4), "left"),
        (0.1, "wrong", (10, 3), "left"),
        (0.5, "undecided", (8, 6), "left"),
        (0.9, "right", (-32, 9), "left"),
    ):
        loss = term(1, at)
        axes.plot(at, loss, "o", color=BLUE)
        label(axes, f"p = {at}, {meaning}\nloss {loss:.2f}", (at, loss), offset, INK, ha)
    axes.set(xlim=(0, 1), ylim=(0, 5.9), xlabel="predicted probability p of the true class")
    axes.set_ylabel("loss")


def asymmetry(figure: Figure) -> None:
    """Cross-entropy of two classes: one term and the sum, the smallest value, truth and guess."""
    edge = np.geomspace(1e-6, 0.01, 40)
    x = np.concatenate([edge, np.linspace(0.01, 0.99, 300), 1 - edge[::-1]])

    axes = panel(figure, 3, 1, "One term is not symmetric. The sum of both is.")
    axes.plot(x, entropy(x), color=BLUE)
    axes.plot(x, term(x, x), color=ORANGE, dashes=(5, 2))
    axes.plot(x, term(1 - x, 1 - x), color=GREEN, dashes=(1.5, 1.5))
    for y, side, ha in ((0.2, -9, "right"), (0.8, 9, "left")):
        axes.plot(y, entropy(y), "o", color=BLUE)
        axes.plot(y, term(y, y), "s", color=ORANGE)
        label(axes, f"{entropy(y):.4f}", (y, entropy(y)), (side, 2), BLUE, ha)
        label(axes, f"{term(y, y):.4f}", (y, term(y, y)), (0, -17), ORANGE, "center")
    label(axes, "sum: the entropy of y", (0.5, entropy(0.5)), (0, 5), BLUE, "center")
    label(axes, "−y log y", (0.36, term(0.36, 0.36)), (0, 5), ORANGE, "center")
    label(axes, "−(1 − y) log(1 − y)", (0.5, 0.13), (0, 0), GREEN, "center")
    axes.set(xlim=(0, 1), ylim=(0, 0.85), xlabel="truth y, and prediction ŷ = y")

    axes = panel(figure, 3, 2, "The best prediction costs the entropy of y, not 0.")
    for y, color, dashes in ((0.2, BLUE, (1, 0)), (0.8, ORANGE, (5, 2))):
        axes.plot(x, cross_entropy(y, x), color=color, dashes=dashes)
        axes.plot(y, entropy(y), "o", color=color)
        least = f"least at ŷ = {y}:\n{entropy(y):.4f}"
        label(axes, least, (y, entropy(y)), (0, -32), color, "center")
    label(axes, "truth y = 0.2", (0.78, cross_entropy(0.2, 0.78)), (-8, 4), BLUE, "right")
    label(axes, "truth y = 0.8", (0.22, cross_entropy(0.8, 0.22)), (8, 4), ORANGE)
    axes.set(xlim=(0, 1), ylim=(0, 2), xlabel="prediction ŷ")

    axes = panel(figure, 3, 3, "Swapping truth and prediction gives another number.")
    axes.plot(x, cross_entropy(0.2, x), color=BLUE)
    axes.plot(x, cross_entropy(x, 0.2), color=ORANGE, dashes=(5, 2))
    here, swapped = cross_entropy(0.2, 0.5), cross_entropy(0.5, 0.2)
    axes.plot(0.5, here, "o", color=BLUE)
    axes.plot(0.5, swapped, "s", color=ORANGE)
    label(axes, f"truth 0.2, prediction q\n(at q = 0.5: {here:.4f})", (0.5, here), (9, -26), BLUE)
    text = f"truth q, prediction 0.2\n(at q = 0.5: {swapped:.4f})"
    label(axes, text, (0.5, swapped), (-9, 9), ORANGE, "right")
    axes.set(xlim=(0, 1), ylim=(0, 2), xlabel="probability q")
    for axes in figure.axes:
        axes.set_ylabel("cross-entropy")


def gradient_vs_gap(figure: Figure) -> None:
    """The gradient at the label by three forms of the loss, and its relative error."""
    gaps = np.concatenate([np.geomspace(1, 34, 100), np.geomspace(34, 700, 160)[1:]])
    true = np.array([true_gradient_at_label(gap) for gap in gaps])
    nothing = -330  # the power of ten at which a gradient of exactly 0 is drawn

    top = panel(figure, 2, 1, "The gradient −∂L/∂z[t] at the label, where the model is right")
    bottom = panel(figure, 2, 2, "Its relative error, in float64")
    for form, look in (
        (margin, {"color": BLUE, "linewidth": 3.5}),
        (shifted, {"color": ORANGE}),
        (naive, {"color": GREEN, "dashes": (1.2, 1.2)}),
    ):
        gradient = np.array([gradient_at_label(form, gap) for gap in gaps])
        top.plot(gaps, powers_of_ten(-gradient, nothing), **look)
        # The true value is rounded to a float itself: no error is known better than that.
        error = np.maximum(np.abs(gradient / true - 1), 2.0**-53)
        bottom.plot(gaps, powers_of_ten(error), **look)

    ticks = [-100, -200, -300]
    top.set_yticks([0, *ticks, nothing], ["1", *map(power, ticks), "exactly 0"])
    label(top, "margin,\nand the true value", (360, -150), (-10, -8), BLUE, "right")
    label(top, "shifted", (38, nothing), (10, 8), ORANGE)
    label(top, "naive", (38, nothing), (58, 8), GREEN)
    ticks = [-4, -8, -12, -16]
    bottom.set_yticks([0, *ticks], ["1", *map(power, ticks)])
    label(bottom, "shifted", (38, 0), (10, -16), ORANGE)
    label(bottom, "naive", (38, 0), (58, -16), GREEN)
    label(bottom, "margin: rounding alone", (38, -15.6), (10, 8), BLUE)
    for axes in (top, bottom):
        axes.set(xscale="log", xlim=(1, 760))
        axes.set_xticks([1, 3, 10, 37, 100, 300, 700], ["1", "3", "10", "37", "100", "300", "700"])
        axes.minorticks_off()
    bottom.set(ylim=(-16.9, 0.7), xlabel="how far the label's logit is ahead of the other")


def powers_of_ten(x: Array, of_zero: float = -np.inf) -> Array:
    """log10 of x, with a given number for log10 of 0."""
    exponents: Array = np.log10(x, out=np.full_like(x, of_zero), where=x > 0)
    return exponents


def power(exponent: int) -> str:
    """A power of ten as the label of a tick."""
    return f"$10^{{{exponent}}}$"


def panel(figure: Figure, rows: int, row: int, title: str) -> Axes:
    """A part of a picture, with its title above it at the left."""
    axes: Axes = figure.add_subplot(rows, 1, row)
    axes.set_title(title, loc="left")
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y")
    axes.set_axisbelow(True)
    return axes


def label(
    axes: Axes,
    text: str,
    at: tuple[float, float],
    offset: tuple[float, float],
    color: str,
    ha: str = "left",
) -> None:
    """Text at some points' distance from a place, before the grid and behind the curves."""
    box = {"facecolor": "white", "edgecolor": "none", "pad": 0.5}
    looks: Any = {"color": color, "ha": ha, "bbox": box, "zorder": 1}
    axes.annotate(text, at, offset, textcoords="offset points", **looks)


PICTURES: dict[str, tuple[Callable[[Figure], None], float]] = {
    "loss_vs_probability": (loss_vs_probability, 3.8),
    "asymmetry": (asymmetry, 8.8),
    "gradient_vs_gap": (gradient_vs_gap, 6.6),
}


LOOKS: Any = {
    "svg.fonttype": "path",  # the same letters wherever the picture is shown
    "font.family": "DejaVu Sans",  # which matplotlib brings along
    "font.size": 10,
    "text.color": INK,
    "axes.titlesize": 11,
    "axes.labelcolor": INK,
    "axes.edgecolor": MUTED,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "grid.color": RULE,
    "grid.linewidth": 0.7,
    "lines.linewidth": 2,
    "lines.markersize": 6,
}


# Neither the date nor matplotlib's version, so that the same picture is the same file.
METADATA: dict[str, Any] = {
    ".svg": {"Date": None, "Creator": None},
    ".png": {"Software": None},
}
FORMATS = ("svg", "png")


def save(name: str, folder: Path, formats: Sequence[str] = FORMATS) -> list[Path]:
    """Draw one picture and write it to a folder."""
    import matplotlib
    from matplotlib.figure import Figure

    draw, height = PICTURES[name]
    paths = [folder / f"{name}.{format}" for format in formats]
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        # With a salt, ids in the SVG do not come from chance.
        matplotlib.rcParams.update(LOOKS | {"svg.hashsalt": name})
        figure = Figure(figsize=(WIDTH, height), layout="constrained")
        draw(figure)
        for path in paths:
            figure.savefig(path, dpi=192, metadata=METADATA[path.suffix])
    return paths


# ── From the command line ─────────────────────────────────────────────────────────────────────────


class Parser(argparse.ArgumentParser):
    """Says what is wrong in one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message} (see {self.prog} --help)\n")


def main(argv: Sequence[str] | None = None) -> int:
    """Draw all pictures; returns the exit status."""
    parser = Parser(description="Three pictures of cross-entropy.", allow_abbrev=False)
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("."),
        metavar="DIR",
        help="the folder for the pictures (default: the current one)",
    )
    parser.add_argument(
        "--format", choices=FORMATS, action="append", help="svg or png (default: both)"
    )
    arguments = parser.parse_args(argv)
    try:
        arguments.out.mkdir(parents=True, exist_ok=True)
        for name in PICTURES:
            for path in save(name, arguments.out, arguments.format or FORMATS):
                print(path)
    except ImportError:
        parser.error('matplotlib is not installed, which draws the pictures: pip install ".[plot]"')
    except OSError as error:
        parser.error(f"cannot write to {arguments.out}: {error.strerror or error}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
