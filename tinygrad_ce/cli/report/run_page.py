"""The page of a run: what a network has learned of some data, for any data set."""

from __future__ import annotations

import sys
from html import escape
from importlib.resources import files

import numpy as np

from ... import __version__, data, nn
from ... import functional as F
from ...draw import draw
from ...engine.tensor import Tensor
from ...engine.transforms import gradients
from ...train.metrics import evaluating
from ...verify.chain_rule import check_cross_entropy
from ..evaluation import Evaluation, evaluate_rows, permutation_importance
from ..run_folder import Run, read_table, split
from .page import GRAPH_WIDTH, PALETTE, scientific

MAX_DRAWN = 400  # parameters of a network whose graph is drawn unfolded


def render_run(run: Run) -> str:
    """Render the page: on the rows that were held out, or on all if there were none."""
    settings, checkpoint = run.read_settings(), run.load_model()
    table = read_table(settings["data"], settings)
    _, held_out = split(table, settings)
    rows = held_out if len(held_out) else np.arange(len(table.y))
    table = data.Table(table.X[rows], table.y[rows], table.encoder)
    evaluation = evaluate_rows(checkpoint, table)
    which = "rows that were held out" if len(held_out) else "rows, which it was trained on"
    assets = files("tinygrad_ce")
    css = [assets.joinpath(p).read_text("utf-8") for p in (PALETTE, "cli/report/page.css")]
    title = f"{run.folder.name}: accuracy {evaluation.accuracy:.1%}"
    sections = {
        "Training": checkpoint.history.svg(),
        "Confusion": _confusion(evaluation),
        "Calibration": _calibration(evaluation),
        "Which columns it uses": _importance(checkpoint, table),
        "The gradient, taken apart": _gradient(checkpoint, evaluation),
    }
    body = "".join(
        f"<section><h2>{escape(name)}</h2>{content}</section>" for name, content in sections.items()
    )
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)} · tinygrad_ce</title><style>{''.join(css)}</style></head>"
        f'<body><main><header><p class="kicker">tinygrad_ce · {escape(settings["data"])}</p>'
        f"<h1><strong>{evaluation.accuracy:.1%}</strong> accuracy on {len(rows):,} {which}</h1>"
        f"<p>{escape(repr(checkpoint.model))}. Cross-entropy {evaluation.cross_entropy:.4f} nats; "
        f"guessing: ln {len(table.class_names)} = {np.log(len(table.class_names)):.4f}.</p>"
        f"</header>{body}<footer><p>Made by tinygrad-ce report with tinygrad_ce "
        f"{escape(__version__)}.</p></footer></main></body></html>\n"
    )


def _table(head: list[str], rows: list[list[str]], kind: str = "numbers") -> str:
    titles = "".join(f'<th scope="col">{escape(title)}</th>' for title in head)
    lines = ""
    for first, *cells in rows:
        numbers = "".join(f"<td>{cell}</td>" for cell in cells)
        lines += f'<tr><th scope="row">{first}</th>{numbers}</tr>'
    return f'<table class="{kind}"><thead><tr>{titles}</tr></thead><tbody>{lines}</tbody></table>'


def _confusion(evaluation: Evaluation) -> str:
    names = evaluation.table.class_names
    counts = evaluation.confusion.tolist()
    rows = [[escape(n), *map(str, c)] for n, c in zip(names, counts, strict=True)]
    return "<p>The true class in rows, the predicted one in columns.</p>" + _table(
        ["", *names], rows
    )


def _calibration(evaluation: Evaluation) -> str:
    rows = [
        [
            f"{b['from']:.0%} to {b['to']:.0%}",
            f"{b['rows']:,}",
            f"{b['confidence']:.1%}",
            f"{b['accuracy']:.1%}",
        ]
        for b in evaluation.calibration()
    ]
    return (
        "<p>Of the rows of which it is so sure, how many are right? The mean difference is "
        f"{evaluation.calibration_error():.3f}.</p>"
        + _table(["confidence", "rows", "mean confidence", "right"], rows)
    )


def _importance(checkpoint: nn.Checkpoint, table: data.Table) -> str:
    found = permutation_importance(checkpoint, table)
    rows = [[escape(name), f"{100 * loss:+.1f}"] for name, loss in found]
    return (
        "<p>How many points of accuracy are lost if the cells of a column are shuffled among the "
        "rows, on average over five times.</p>" + _table(["column", "points lost"], rows)
    )


def _gradient(checkpoint: nn.Checkpoint, evaluation: Evaluation) -> str:
    """The loss of the row that it got most wrong as a graph, and gradients against closed forms."""
    y = evaluation.table.y
    row = int(evaluation.probabilities[np.arange(len(y)), y].argmin())
    with evaluating(checkpoint.model):
        logits = checkpoint.model(Tensor(checkpoint.prepare(evaluation.table.X[[row]]), name="x"))
    logits.name = "logits"
    loss = F.cross_entropy(logits, Tensor(y[[row]], name="label"))
    loss.name = "loss"
    (gradient,) = gradients(loss, [logits])
    names = evaluation.table.class_names
    parts = zip(names, evaluation.probabilities[row], gradient[0], strict=True)
    rows = [
        [escape(name), f"{p:.4f}", "1" if k == y[row] else "0", f"{g:.4f}"]
        for k, (name, p, g) in enumerate(parts)
    ]
    numbers = _table(["class", "p", "y", "∂L/∂z"], rows)
    checks = [
        [f"{escape(c.name)} = {escape(c.formula)}", scientific(c.comparison.max_abs),
         "✓" if c.comparison.close else "✗"]
        for c in check_cross_entropy(evaluation.logits, y)
    ]  # fmt: skip
    try:
        small = sum(p.size for p in checkpoint.model.parameters()) <= MAX_DRAWN
        drawn = draw(loss, depth=None if small else 1).svg(GRAPH_WIDTH)
        drawing = f'<figure class="drawing">{drawn}</figure>'
    except (ImportError, RuntimeError) as error:
        print(f"no picture of the graph: {error}", file=sys.stderr)
        drawing = ""
    return (
        "<p>The loss of one row, the one to whose class the network gives the smallest "
        f"probability. Its gradient at the logits is p − y, softmax minus one-hot:</p>{numbers}"
        f"{drawing}<p>The gradients of all rows as backprop found them, in float64, against their "
        "closed forms: the largest difference.</p>"
        + _table(["gradient", "difference", "only rounding"], checks)
    )
