"""The demo's results as one HTML page that needs nothing but itself."""

from __future__ import annotations

import math
import re
from html import escape
from importlib.resources import files
from string import Template
from typing import TYPE_CHECKING, Any

import numpy as np

from ...draw.formatting import minus
from ...train import confusion_matrix
from . import charts

if TYPE_CHECKING:
    from ...verify.chain_rule import Link
    from ..experiment import Results

THINGS = {"iris": "flowers", "digits": "digits"}
SOURCES = {
    "iris": "Data: R. A. Fisher's irises (1936), CC BY 4.0.",
    "digits": "Data: E. Alpaydin and C. Kaynak, Optical Recognition of Handwritten Digits (1998), "
    "CC BY 4.0.",
}
MAX_DIGITS = 15


def page(results: Results, row: int, gradient: Any, drawing: str | None) -> str:
    """The page, as text in HTML.

    Parameters
    ----------
    results
        What came out of the demo.
    row, gradient
        The row of the test set whose loss is drawn, and the gradient of that loss with respect to
        the logits (C,), as backprop found it.
    drawing
        The graph of the loss as an SVG element, or None where there is no renderer.
    """
    import tinygrad_ce

    experiment = results.experiment
    worst = results.random_sets.comparison
    resources = files(__package__)
    skeleton = Template(resources.joinpath("page.html").read_text(encoding="utf-8"))
    return skeleton.substitute(
        palette=files("tinygrad_ce")
        .joinpath("draw/interactive/assets/palette.css")
        .read_text(encoding="utf-8"),
        css=resources.joinpath("page.css").read_text(encoding="utf-8"),
        title=escape(f"{experiment.name}: {results.accuracy:.1%} right · tinygrad_ce"),
        data=escape(experiment.name),
        things=THINGS[experiment.name],
        accuracy=percent(results.accuracy),
        n_right=results.n_right,
        n_test=len(experiment.y_test),
        n_train=f"{len(experiment.y_train):,}",
        n_inputs=experiment.X_train.shape[1],
        n_classes=len(experiment.classes),
        hidden=experiment.hidden,
        epochs="1 epoch" if experiment.epochs == 1 else f"{experiment.epochs} epochs",
        n_parameters=f"{experiment.n_parameters:,}",
        test_loss=f"{results.history.test_loss[-1]:.3f}",
        guessing=f"{math.log(len(experiment.classes)):.3f}",
        worst=scientific(worst.max_abs),
        n_sets="1,000",
        loss_curves=charts.loss_curves(results.history),
        accuracy_curves=charts.accuracy_curves(results.history),
        learned=_learned(results),
        links=_links(results.before, results.after),
        random_verdict="✓" if worst.close else "✗",
        row=row,
        image=_image(results, row),
        at_logits=_at_logits(results, row, gradient),
        graph=_graph(drawing),
        files=_files(drawing),
        command=escape(
            f"tinygrad-ce demo --data {experiment.name} --hidden {experiment.hidden} "
            f"--epochs {experiment.epochs} --seed {experiment.seed}"
        ),
        version=escape(tinygrad_ce.__version__),
        numpy=escape(np.__version__),
        source=escape(SOURCES[experiment.name]),
    )


def percent(share: float) -> str:
    """A share as people write it.

    >>> percent(0.96)
    '96.0\u202f%'
    """
    return f"{100 * share:.1f}\u202f%"


def scientific(value: float) -> str:
    r"""A small number, as HTML, in the way people write it.

    >>> scientific(1.11e-16), scientific(0.0)
    ('1.1\xa0×\xa010<sup>−16</sup>', '0')
    """
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    mantissa, exponent = f"{value:.1e}".split("e")
    sign = "−" if int(exponent) < 0 else ""
    return f"{mantissa} × 10<sup>{sign}{abs(int(exponent))}</sup>".replace(" ", "\u00a0")


# ── What it has learned ───────────────────────────────────────────────────────────────────────────


def _learned(results: Results) -> str:
    name = results.experiment.name
    matrix = (
        "<figure><figcaption>Confusion matrix of the test set: the true class in rows, what the "
        f"network saw in columns</figcaption>{_confusion(results)}</figure>"
    )
    if name in charts.REGION_FEATURES:
        i, j = charts.REGION_FEATURES[name]
        features = results.experiment.features
        return (
            f"<figure><figcaption>Decision regions over {escape(features[i])} and "
            f"{escape(features[j])}, the other features at their mean; the points are the test set"
            f"</figcaption>{charts.decision_regions(results)}</figure>{matrix}"
        )
    return matrix + _misread_digits(results)


def _confusion(results: Results) -> str:
    experiment = results.experiment
    classes = [escape(name) for name in experiment.classes]
    counts = confusion_matrix(experiment.y_test, results.predicted, len(classes))
    head = "".join(f'<th scope="col">{name}</th>' for name in classes)
    rows = []
    for true, name in enumerate(classes):
        total = max(int(counts[true].sum()), 1)
        cells = []
        for seen, count in enumerate(counts[true].tolist()):
            kind = "right" if seen == true else "wrong" if count else "none"
            cells.append(f'<td class="{kind}" style="--share:{count / total:.2f}">{count}</td>')
        rows.append(f'<tr><th scope="row">{name}</th>{"".join(cells)}</tr>')
    few = " few" if len(classes) < 5 else ""
    return (
        f'<table class="confusion{few}"><thead><tr><td></td>{head}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table>"
    )


def _misread_digits(results: Results) -> str:
    """The images of the test set that the network got wrong, the surest mistakes first."""
    experiment = results.experiment
    wrong = np.flatnonzero(results.predicted != experiment.y_test)
    surest = wrong[np.argsort(-results.probabilities[wrong].max(-1), kind="stable")]
    items = []
    for row in surest[:MAX_DIGITS].tolist():
        true = experiment.classes[experiment.y_test[row]]
        seen = experiment.classes[results.predicted[row]]
        certainty = f"{100 * results.probabilities[row].max():.0f}\u202f%"
        image = experiment.raw_test[row].reshape(8, 8)
        pixels = _digit(image, f"A {true}")
        items.append(
            f'<li>{pixels}<span>{true} → <span class="seen">{seen}</span></span>'
            f'<span class="note">{certainty}</span></li>'
        )
    if not items:
        return (
            "<figure><figcaption>Not one digit of the test set was misread.</figcaption></figure>"
        )
    which = "Every digit" if len(wrong) <= MAX_DIGITS else f"{MAX_DIGITS} of {len(wrong)} digits"
    return (
        f"<figure><figcaption>{which} of the test set that it misread: true → seen, and how sure "
        f'it was</figcaption><ul class="digits">{"".join(items)}</ul></figure>'
    )


def _digit(image: Any, label: str) -> str:
    pixels = "".join(
        f'<rect x="{column}" y="{line}" width="1" height="1" fill-opacity="{ink / 16:.2f}"/>'
        for (line, column), ink in np.ndenumerate(image)
        if ink
    )
    return (
        f'<svg viewBox="-1 -1 10 10" role="img" aria-label="{escape(label)}" '
        f'shape-rendering="crispEdges" fill="currentColor">{pixels}</svg>'
    )


# ── The gradient ──────────────────────────────────────────────────────────────────────────────────


def _links(before: list[Link], after: list[Link]) -> str:
    rows = []
    for one, other in zip(before, after, strict=True):
        shape = escape(str(one.comparison.shape))
        rows.append(
            f'<tr><th scope="row">{_math(one.name)} <span class="formula">= {_math(one.formula)}'
            f'</span> <span class="shape">{shape}</span></th><td class="shape">{shape}</td>'
            f"{_verdict(one)}{_verdict(other)}</tr>"
        )
    return "\n".join(rows)


def _math(formula: str) -> str:
    """A formula of chain.py with its indices set as such."""
    indexed = re.sub(r"([Whab])(\d+)|(z)_(t)", r"\1\3<sub>\2\4</sub>", escape(formula))
    return indexed.replace("cross_", "cross_<wbr>")


def _verdict(link: Link) -> str:
    comparison = link.comparison
    if comparison.note:
        return f'<td class="disagrees">✗ {escape(comparison.note)}</td>'
    mark, kind = ("✓", "") if comparison.close else ("✗", ' class="disagrees"')
    how = "exact" if comparison.exact else f"{link.roundings:.2g}\u202fε"
    difference = scientific(comparison.max_abs)
    return f'<td{kind}>{difference} <span class="roundings">{mark} {how}</span></td>'


# ── The graph ─────────────────────────────────────────────────────────────────────────────────────


def _image(results: Results, row: int) -> str:
    if results.experiment.name != "digits":
        return ""
    image = results.experiment.raw_test[row].reshape(8, 8)
    return f'<p class="digit">{_digit(image, "The digit of this row")}</p>'


def _at_logits(results: Results, row: int, gradient: Any) -> str:
    experiment = results.experiment
    label = experiment.y_test[row]
    rows = []
    for k, name in enumerate(experiment.classes):
        kind, hot = (' class="label"', "− 1") if k == label else ("", "− 0")
        rows.append(
            f'<tr{kind}><th scope="row">{escape(name)}</th>'
            f"<td>{results.probabilities[row, k]:.4f}</td><td>{hot}</td>"
            f"<td>{minus(f'{gradient[k]:.4f}')}</td></tr>"
        )
    return "\n".join(rows)


def _graph(drawing: str | None) -> str:
    if drawing is not None:
        return f'<figure tabindex="0" aria-label="Graph of the loss">{drawing}</figure>'
    return (
        "<figure><figcaption>There was no Graphviz to draw the graph with. It is in loss.dot; "
        '<code>pip install "tinygrad-ce[render]"</code> brings what draws it.</figcaption></figure>'
    )


def _files(drawing: str | None) -> str:
    kinds = ["dot"] if drawing is None else ["svg", "dot"]
    graph = " and ".join(f'<a href="loss.{kind}">loss.{kind}</a>' for kind in kinds)
    return f'the graph as {graph}, and the weights as <a href="weights.npz">weights.npz</a>'
