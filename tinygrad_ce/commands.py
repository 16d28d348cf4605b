"""What the commands of ``tinygrad-ce`` do, and what they print.

Results go to stdout, progress and remarks to stderr. Each command returns its exit status.
"""

from __future__ import annotations

import argparse
import io
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from . import closed_form, output, report
from . import demo as the_demo
from . import functional as F
from .chain import Link, cross_entropy_links, derivative_links, random_sets_link
from .check import table
from .demo import Experiment
from .draw import Drawing, draw
from .tensor import Array, Tensor
from .transforms import gradients

MAX_SHOWN = 8  # more logits than that are not printed one by one


class UsageError(Exception):
    """What was asked for cannot be done; the message says why."""


def demo(arguments: argparse.Namespace) -> int:
    """Train a network, compare its gradients with closed forms, and make a page of it all."""
    report.require_matplotlib()
    names = ("index.html", "loss.svg", "loss.dot", "weights.npz")
    with output.ready(arguments.out, names):
        experiment = _prepared(arguments)
        results = the_demo.run(experiment, progress=True)
        _print_accuracy(experiment, results.n_right)
        _print_links("Every gradient against its closed form, before training:", results.before)
        _print_links("After training:", results.after)
        _print_links("On 1,000 random sets of logits, reduction sum:", [results.random_sets])
        files = _files(results)
        output.write(arguments.out, files)
    print()
    for what, name in zip(("page", "graph", "", "weights"), names, strict=True):
        if files[name] is not None:
            print(f"{what:<8} {arguments.out / name}")
    return _status([*results.before, *results.after, results.random_sets])


def train(arguments: argparse.Namespace) -> int:
    """Train a network and print its accuracy on the test set."""
    if arguments.save is None:
        _train(arguments)
        return 0
    folder, name = arguments.save.parent, arguments.save.name
    with output.ready(folder, [name]):
        experiment = _train(arguments)
        output.write(folder, {name: _npz(experiment)})
    print(f"weights  {arguments.save}")
    return 0


def graph(arguments: argparse.Namespace) -> int:
    """Draw the graph of the loss: of a network on one row of data, or of logits alone."""
    if _given_logits(arguments):
        if arguments.data is not None:
            raise UsageError("--data and --logits are two things to draw: give one of them")
        z, t = _logits_and_label(arguments)
        loss = F.cross_entropy(
            Tensor(z, requires_grad=True, name="logits"), Tensor(t, name="label")
        )
        loss.name = "loss"
    else:
        loss, _ = the_demo.loss_of_row(_experiment(arguments), 0)
    path: Path = arguments.out
    with output.ready(path.parent, [path.name]):
        try:
            draw(loss, depth=arguments.depth).save(path)
        except ValueError as error:  # a file of another kind
            raise UsageError(error) from error
    print(path)
    return 0


@np.errstate(over="ignore")  # logits may be as far apart as float64 goes
def compare(arguments: argparse.Namespace) -> int:
    """Compare the gradients of cross-entropy with their closed forms, on logits or random ones.

    Exits with status 1 if a row disagrees.
    """
    random = not _given_logits(arguments)
    if random:
        rng = np.random.default_rng(arguments.seed)
        z, t = 2 * rng.standard_normal(5), np.array(rng.integers(5))
    else:
        z, t = _logits_and_label(arguments)
    links = cross_entropy_links(z[None], [t]) + derivative_links(z, int(t))
    if random:
        links.append(random_sets_link(seed=arguments.seed))
    if z.size <= MAX_SHOWN:
        _print_numbers(z, t)
    _print_links("", links)
    return _status(links)


# ── Parts of them ─────────────────────────────────────────────────────────────────────────────────


def _experiment(arguments: argparse.Namespace) -> Experiment:
    epochs = getattr(arguments, "epochs", None)
    return the_demo.prepare(arguments.data or "iris", arguments.hidden, epochs, arguments.seed)


def _prepared(arguments: argparse.Namespace) -> Experiment:
    experiment = _experiment(arguments)
    setting = experiment.setting
    print(
        f"{experiment.name}: {len(experiment.y_train):,} rows to train on, "
        f"{len(experiment.y_test):,} to test, {len(experiment.features)} features, "
        f"{len(experiment.classes)} classes\n"
        f"network: {len(experiment.features)} inputs, {experiment.hidden} tanh, "
        f"{len(experiment.classes)} outputs, {experiment.n_parameters:,} parameters\n"
        f"SGD: learning rate {setting.lr:g}, momentum {setting.momentum:g}, "
        f"weight decay {setting.weight_decay:g}, batches of {setting.batch_size}",
        flush=True,
    )
    return experiment


def _train(arguments: argparse.Namespace) -> Experiment:
    experiment = _prepared(arguments)
    history = the_demo.train_network(experiment, progress=True)
    _print_accuracy(experiment, round(history.test_accuracy[-1] * len(experiment.y_test)))
    return experiment


def _given_logits(arguments: argparse.Namespace) -> bool:
    if (arguments.logits is None) != (arguments.target is None):
        given, missing = ("--target", "--logits")[:: 1 if arguments.logits is None else -1]
        raise UsageError(f"{given} needs {missing} as well")
    return arguments.logits is not None


def _logits_and_label(arguments: argparse.Namespace) -> tuple[Array, Array]:
    z, t = np.array(arguments.logits), np.array(arguments.target)
    if t >= z.size:
        raise UsageError(
            f"target {t} is out of range for {z.size} logits: labels run from 0 to {z.size - 1}"
        )
    return z, t


def _files(results: the_demo.Results) -> dict[str, bytes | None]:
    experiment, row = results.experiment, results.hardest_row
    loss, logits = the_demo.loss_of_row(experiment, row)
    (gradient,) = gradients(loss, [logits])
    drawing = draw(loss, direction="TB")
    svg = _svg_if_possible(drawing)
    return {
        "index.html": report.page(results, row, gradient[0], svg).encode(),
        "loss.svg": None if svg is None else svg.encode(),
        "loss.dot": drawing.dot.encode(),
        "weights.npz": _npz(experiment),
    }


def _svg_if_possible(drawing: Drawing) -> str | None:
    try:
        return drawing.svg()
    except (ImportError, RuntimeError) as error:
        print(f"no picture of the graph, only loss.dot: {error}", file=sys.stderr)
        return None


def _npz(experiment: Experiment) -> bytes:
    file = io.BytesIO()
    arrays: dict[str, Any] = experiment.model.state_dict()
    np.savez(file, **arrays)
    return file.getvalue()


def _status(links: Iterable[Link]) -> int:
    return 0 if all(link.comparison.close for link in links) else 1


# ── What is printed ───────────────────────────────────────────────────────────────────────────────


def _print_accuracy(experiment: Experiment, n_right: int) -> None:
    n = len(experiment.y_test)
    print(f"test accuracy: {n_right / n:.3f} ({n_right} of {n})")


def _print_links(title: str, links: Iterable[Link]) -> None:
    print(f"\n{title}" if title else "")
    print(table(link.comparison for link in links))


def _print_numbers(z: Array, t: Array) -> None:
    """Logits, probabilities and gradients, side by side."""
    logits = Tensor(z, requires_grad=True)
    loss = F.cross_entropy(logits, t)
    (found,) = gradients(loss, [logits])
    print(f"label {t}, loss L = {loss.item():.6g}")
    for name, row in (
        ("logits z", z),
        ("p = softmax(z)", closed_form.softmax(z)),
        ("∂L/∂z, autograd", found),
        ("p − one-hot", closed_form.cross_entropy_grad(z, t)),
    ):
        print(f"{name:<16}", *(f"{number:>11.6g}" for number in row))
