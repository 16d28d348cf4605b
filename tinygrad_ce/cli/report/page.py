"""The demo's results as one HTML page that needs nothing but itself."""

from __future__ import annotations

import math
import re
from html import escape
from importlib.resources import files
from typing import Any

import numpy as np

from ... import __version__
from ...draw.formatting import minus
from ...train import confusion_matrix
from ...verify.chain_rule import GradientCheck
from ..experiment import Results
from . import charts

PALETTE = "draw/interactive/assets/palette.css"
THINGS = {"iris": "flowers", "digits": "digits"}
SOURCES = {
    "iris": "Data: R. A. Fisher's irises (1936), CC BY 4.0.",
    "digits": "Data: E. Alpaydin and C. Kaynak, Optical Recognition of Handwritten Digits (1998), "
    "CC BY 4.0.",
}
MAX_DIGITS = 15
MAX_ERRORS = 8
GRAPH_WIDTH = 920.0  # about the pixels of a card: text is of size 10


def render_page(results: Results, row: int, gradient: Any, drawing: str | None) -> str:
    """Render the results of the demo as HTML.

    Drawn is the loss of an example of the test set, as an SVG element, or None where there is no
    renderer, and then no backprop.html is beside the page; the gradient (C,) is that of this loss
    with respect to the logits.
    """
    experiment = results.experiment
    worst = results.random_logits.comparison
    epochs = experiment.config.epochs
    image = ""
    if experiment.name == "digits":
        digit = _digit(experiment.raw_test[row], "The digit of this example")
        image = f'<p class="digit">{digit}</p>'
    return _file("cli/report/page.html").format(
        results=results,
        experiment=experiment,
        palette=_file(PALETTE),
        css=_file("cli/report/page.css"),
        things=THINGS[experiment.name],
        accuracy=f"{100 * results.accuracy:.1f}\u202f%",
        n_test=len(experiment.y_test),
        n_train=len(experiment.y_train),
        n_inputs=len(experiment.features),
        n_classes=len(experiment.classes),
        epochs="1 epoch" if epochs == 1 else f"{epochs} epochs",
        test_loss=results.history.test_loss[-1],
        guessing=math.log(len(experiment.classes)),
        worst=scientific(worst.max_abs),
        loss_curves=charts.loss_curves(results.history),
        accuracy_curves=charts.accuracy_curves(results.history),
        learned=_learned(results),
        gradients=_gradients(results),
        random_verdict="✓" if worst.close else "✗",
        row=row,
        image=image,
        at_logits=_at_logits(results, row, gradient),
        graph=_graph(drawing),
        invitation=_invitation(drawing),
        label=escape(experiment.classes[experiment.y_test[row]]),
        predicted=escape(experiment.classes[results.predicted[row]]),
        files=_files(drawing),
        command=f"tinygrad-ce demo --data {experiment.name} --hidden {experiment.config.hidden} "
        f"--epochs {epochs} --seed {experiment.seed}",
        version=__version__,
        numpy=np.__version__,
        source=SOURCES[experiment.name],
    )


def _file(path: str) -> str:
    return files("tinygrad_ce").joinpath(path).read_text(encoding="utf-8")


def scientific(value: float) -> str:
    r"""Write a small number, as HTML, as people do.

    >>> scientific(1.11e-16), scientific(0.0)
    ('1.1\xa0×\xa010<sup>−16</sup>', '0')
    """
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    mantissa, exponent = f"{value:.1e}".split("e")
    sign = "−" if int(exponent) < 0 else ""
    return f"{mantissa} × 10<sup>{sign}{abs(int(exponent))}</sup>".replace(" ", "\u00a0")


def _figure(caption: str, content: str = "") -> str:
    return f"<figure><figcaption>{caption}</figcaption>{content}</figure>"


def _learned(results: Results) -> str:
    experiment = results.experiment
    what = "Confusion matrix of the test set: true classes in rows, predicted classes in columns"
    matrix = _figure(what, _confusion(results))
    if experiment.name not in charts.REGION_FEATURES:
        return matrix + _misclassified_digits(results)
    i, j = (escape(experiment.features[k]) for k in charts.REGION_FEATURES[experiment.name])
    what = f"Decision regions over {i} and {j}, the other features at their mean"
    regions = _figure(f"{what}; the points are the test set", charts.decision_regions(results))
    return f"{regions}<div>{matrix}{_errors(results)}</div>"


def _confusion(results: Results) -> str:
    experiment = results.experiment
    classes = [escape(name) for name in experiment.classes]
    counts = confusion_matrix(experiment.y_test, results.predicted, len(classes))
    head = "".join(f'<th scope="col">{name}</th>' for name in classes)
    rows = ""
    for true, name in enumerate(classes):
        rows += f'<tr><th scope="row">{name}</th>'
        for seen, count in enumerate(counts[true].tolist()):
            kind = "right" if seen == true else "wrong" if count else "none"
            share = count / max(int(counts[true].sum()), 1)
            rows += f'<td class="{kind}" style="--share:{share:.2f}">{count}</td>'
        rows += "</tr>"
    few = " few" if len(classes) < 5 else ""
    head = f"<thead><tr><td></td>{head}</tr></thead>"
    return f'<table class="confusion{few}">{head}<tbody>{rows}</tbody></table>'


def _misclassified(results: Results) -> list[int]:
    """The examples of the test set that are misclassified, the most confident errors first."""
    wrong = np.flatnonzero(results.predicted != results.experiment.y_test)
    confident = np.argsort(-results.probabilities[wrong].max(-1), kind="stable")
    return [int(row) for row in wrong[confident]]


def _errors(results: Results) -> str:
    """The misclassified examples as a table of features, classes and probabilities."""
    experiment, wrong = results.experiment, _misclassified(results)
    if not wrong:
        return _figure("No example of the test set is misclassified.")
    rows = ""
    for row in wrong[:MAX_ERRORS]:
        features = " · ".join(f"{value:g}" for value in experiment.raw_test[row])
        label, predicted = experiment.y_test[row], results.predicted[row]
        classes = f"{experiment.classes[label]} → {experiment.classes[predicted]}"
        p = results.probabilities[row]
        rows += (
            f'<tr><th scope="row">{row}</th><td>{features}</td><td>{escape(classes)}</td>'
            f"<td>{p[label]:.3f} → {p[predicted]:.3f}</td></tr>"
        )
    which = "all" if len(wrong) <= MAX_ERRORS else f"{MAX_ERRORS} of {len(wrong)}"
    names = ", ".join(escape(name.removesuffix(" (cm)")) for name in experiment.features)
    what = f"Misclassified examples of the test set ({which}), the most confident first: {names}"
    titles = ("", "features", "true → predicted", "their probabilities")
    head = "".join(f'<th scope="col">{title}</th>' for title in titles)
    body = f"<thead><tr>{head}</tr></thead><tbody>{rows}</tbody>"
    return _figure(what, f'<div class="wide"><table class="errors">{body}</table></div>')


def _misclassified_digits(results: Results) -> str:
    """The images that the network misclassifies, the most confident errors first."""
    experiment, wrong = results.experiment, _misclassified(results)
    if not wrong:
        return _figure("No digit of the test set is misclassified.")
    items = ""
    for row in wrong[:MAX_DIGITS]:
        true = experiment.classes[experiment.y_test[row]]
        seen = f'<span class="seen">{experiment.classes[results.predicted[row]]}</span>'
        share = f'<span class="note">{100 * results.probabilities[row].max():.0f}\u202f%</span>'
        pixels = _digit(experiment.raw_test[row], f"A {true}")
        items += f"<li>{pixels}<span>{true} → {seen}</span>{share}</li>"
    which = "All" if len(wrong) <= MAX_DIGITS else f"{MAX_DIGITS} of {len(wrong)}"
    what = "misclassified digits of the test set: true → predicted, and its probability"
    return _figure(f"{which} {what}", f'<ul class="digits">{items}</ul>')


def _digit(row: Any, label: str) -> str:
    pixels = "".join(
        f'<rect x="{column}" y="{line}" width="1" height="1" fill-opacity="{ink / 16:.2f}"/>'
        for (line, column), ink in np.ndenumerate(row.reshape(8, 8))
        if ink
    )
    looks = 'viewBox="-1 -1 10 10" shape-rendering="crispEdges" fill="currentColor"'
    return f'<svg {looks} role="img" aria-label="{escape(label)}">{pixels}</svg>'


def _gradients(results: Results) -> str:
    rows = []
    for before, after in zip(results.before, results.after, strict=True):
        shape = escape(str(before.comparison.shape))
        formula = f'<span class="formula">= {_math(before.formula)}</span>'
        head = f'{_math(before.name)} {formula} <span class="shape">{shape}</span>'
        cells = f'<td class="shape">{shape}</td>{_verdict(before)}{_verdict(after)}'
        rows.append(f'<tr><th scope="row">{head}</th>{cells}</tr>')
    return "\n".join(rows)


def _math(formula: str) -> str:
    """A formula of `verify.chain_rule` with its indices set as such."""
    indexed = re.sub(r"([Whab])(\d+)|(z)_(t)", r"\1\3<sub>\2\4</sub>", escape(formula))
    return indexed.replace("cross_", "cross_<wbr>")


def _verdict(check: GradientCheck) -> str:
    comparison = check.comparison
    if comparison.note:
        return f'<td class="disagrees">✗ {escape(comparison.note)}</td>'
    mark, kind = ("✓", "") if comparison.close else ("✗", ' class="disagrees"')
    how = "exact" if comparison.exact else f"{check.roundings:.2g}\u202fε"
    difference = scientific(comparison.max_abs)
    return f'<td{kind}>{difference} <span class="roundings">{mark} {how}</span></td>'


def _at_logits(results: Results, row: int, gradient: Any) -> str:
    experiment = results.experiment
    label = experiment.y_test[row]
    rows = []
    for k, name in enumerate(experiment.classes):
        kind, hot = (' class="label"', "− 1") if k == label else ("", "− 0")
        shown = (f"{results.probabilities[row, k]:.4f}", hot, minus(f"{gradient[k]:.4f}"))
        cells = "".join(f"<td>{cell}</td>" for cell in shown)
        rows.append(f'<tr{kind}><th scope="row">{escape(name)}</th>{cells}</tr>')
    return "\n".join(rows)


def _graph(drawing: str | None) -> str:
    if drawing is not None:
        label = 'tabindex="0" aria-label="Graph of the loss"'
        return f'<figure class="drawing" {label}>{drawing}</figure>'
    return _figure(
        "There was no Graphviz to draw the graph with. It is in loss.dot; "
        '<code>pip install "tinygrad-ce[render]"</code> brings what draws it.'
    )


def _invitation(drawing: str | None) -> str:
    if drawing is None:
        return ""
    words = "Step through backprop: why is the gradient p − y?"
    return f'<p><a class="button" href="backprop.html#why">{words}</a></p>'


def _files(drawing: str | None) -> str:
    def link(name: str) -> str:
        return f'<a href="{name}">{name}</a>'

    weights = f"the weights as {link('weights.npz')}"
    if drawing is None:
        return f"the graph as {link('loss.dot')}, and {weights}"
    graph = f"the graph as {link('loss.svg')} and {link('loss.dot')}"
    return f"{link('backprop.html')}, which steps through the graph; {graph}; and {weights}"
