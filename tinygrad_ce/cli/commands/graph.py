"""``tinygrad-ce graph``."""

from __future__ import annotations

import argparse
import webbrowser
from pathlib import Path

from ...atomic_files import ensure_writable
from ...engine.tensor import Tensor
from ..experiment import loss_of_row, named_loss, prepare
from ..logits_input import add_logits, typed_logits
from ..options import UsageError, add_experiment, file_path, whole_number


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_experiment(parser)
    parser.set_defaults(data=None)  # which distinguishes --data iris from no --data
    add_logits(parser)
    depth = "fold scopes from this level on (default: none)"
    parser.add_argument("--depth", type=whole_number(1), metavar="N", help=depth)
    out = (
        "ends in .svg, .png or .pdf; in .dot, which needs no Graphviz; or in .html, the page that "
        "steps through backprop (default: loss.svg, with --open loss.html)"
    )
    parser.add_argument("--out", type=file_path, metavar="FILE", help=out)
    parser.add_argument("--open", action="store_true", help="show it in the browser")


def run(arguments: argparse.Namespace) -> int:
    """Draw the graph of the loss: of a network on one row of data, or of logits alone."""
    from ...draw import draw

    loss = _loss(arguments)
    path: Path = arguments.out or Path("loss.html" if arguments.open else "loss.svg")
    with ensure_writable([path]):
        try:
            draw(loss, depth=arguments.depth).save(path)
        except ValueError as error:  # a file of another kind
            raise UsageError(error) from error
    print(path)
    if arguments.open:
        webbrowser.open(path.resolve().as_uri())
    return 0


def _loss(arguments: argparse.Namespace) -> Tensor:
    if typed := typed_logits(arguments):
        if arguments.data is not None:
            raise UsageError("--data and --logits are two things to draw: give one of them")
        z, t = typed
        return named_loss(Tensor(z, requires_grad=True, name="logits"), t)
    experiment = prepare(arguments.data or "iris", arguments.hidden, seed=arguments.seed)
    return loss_of_row(experiment, 0)[0]
