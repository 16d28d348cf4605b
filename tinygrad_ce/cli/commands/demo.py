"""``tinygrad-ce demo``."""

from __future__ import annotations

import argparse
import sys
import webbrowser
from pathlib import Path

from ...atomic_files import ensure_writable, write_files
from ...engine.transforms import gradients
from ...verify.comparison import table
from ..experiment import Results, loss_of_row, prepare, run_experiment
from ..options import add_experiment, any_path

# The files, and what each of them is.
FILES = {
    "index.html": "page",
    "backprop.html": "backprop, step by step",
    "loss.svg": "graph",
    "loss.dot": "",
    "weights.npz": "weights",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_experiment(parser, epochs=True)
    words = "the folder for page, graph and weights (default: %(default)s)"
    default = Path("tinygrad_ce_demo")
    parser.add_argument("--out", type=any_path, default=default, metavar="DIR", help=words)
    parser.add_argument("--open", action="store_true", help="show the page in the browser")


def run(arguments: argparse.Namespace) -> int:
    """Train a network, compare its gradients with closed forms, and make a page of it all."""
    from .. import report

    report.require_matplotlib()
    paths = {name: arguments.out / name for name in FILES}
    with ensure_writable(paths.values()):
        experiment = prepare(arguments.data, arguments.hidden, arguments.epochs, arguments.seed)
        print(experiment.summary, flush=True)
        results = run_experiment(experiment, progress=True)
        print(experiment.accuracy_line(results.accuracy))
        all_checks = {
            "Every gradient against its closed form, before training": results.before,
            "After training": results.after,
            "On 1,000 random sets of logits, reduction sum": [results.random_logits],
        }
        for title, checks in all_checks.items():
            print(f"\n{title}:\n{table(check.comparison for check in checks)}")
        contents = _contents(results)
        write_files({path: contents[name] for name, path in paths.items()})
    print()
    for name, what in FILES.items():
        if contents[name] is not None:
            print(f"{what:<23} {paths[name]}")
    if contents["backprop.html"] is not None:
        address = paths["backprop.html"].resolve().as_uri()
        print(f"\nWhy is the gradient p − y? {address}#why")
    if arguments.open:
        webbrowser.open(paths["index.html"].resolve().as_uri())
    return 0 if all(c.comparison.close for checks in all_checks.values() for c in checks) else 1


def _contents(results: Results) -> dict[str, bytes | None]:
    """What is in the files; None for the pictures where there is no Graphviz."""
    from ...draw import draw
    from ...draw.source_lines import remember_variables
    from .. import report

    row = results.hardest_row
    with remember_variables():
        loss, logits = loss_of_row(results.experiment, row)
    (gradient,) = gradients(loss, [logits])
    drawing = draw(loss)
    svg: str | None = None
    steps: str | None = None
    try:
        svg, steps = drawing.svg(report.GRAPH_WIDTH), drawing.html()
    except (ImportError, RuntimeError) as error:
        print(f"no picture of the graph, only loss.dot: {error}", file=sys.stderr)
    return {
        "index.html": report.render_page(results, row, gradient[0], svg).encode(),
        "backprop.html": None if steps is None else steps.encode(),
        "loss.svg": None if svg is None else svg.encode(),
        "loss.dot": drawing.dot.encode(),
        "weights.npz": results.experiment.weights_file(),
    }
