"""What the commands of ``tinygrad-ce`` do, and what they print.

Results go to stdout, progress and remarks to stderr. Each command returns its exit status.
"""

from __future__ import annotations

import argparse
import io
import sys
import webbrowser
from collections.abc import Iterable
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

import numpy as np

from .. import atomic_files as output
from .. import functional as F
from ..draw import Drawing, draw
from ..engine.tensor import Tensor
from ..engine.transforms import gradients
from ..verify.chain_rule import GradientCheck, check_cross_entropy, check_random_logits
from ..verify.comparison import table
from ..verify.four_ways import check_four_ways
from . import compare_output as side_by_side
from . import experiment as the_demo
from . import logits_input as inputs
from . import report
from . import step_module as export
from .experiment import Experiment
from .logits_input import Problem, UsageError

MAX_ELEMENTS = 10**6  # second derivatives that are compared
MAX_PROVED = 5  # logits in a proof: what is derived grows with their square
DERIVATIVES: tuple[Literal["gradient"], Literal["hessian"]] = ("gradient", "hessian")


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


def compile_step(arguments: argparse.Namespace) -> int:
    """Write the training step of a network as a NumPy function, to a file or to stdout.

    The module needs NumPy alone; its docstring shows how to call it.
    """
    path: Path | None = arguments.out
    if path is None:
        print(export.step_module(_experiment(arguments), arguments.batch), end="")
        return 0
    with output.ready(path.parent, [path.name]):
        name = path.stem if path.stem.isidentifier() else "step"
        text = export.step_module(_experiment(arguments), arguments.batch, name)
        output.write(path.parent, {path.name: text.encode()})
    print(path)
    return 0


def graph(arguments: argparse.Namespace) -> int:
    """Draw the graph of the loss: of a network on one row of data, or of logits alone."""
    if inputs.given_logits(arguments):
        if arguments.data is not None:
            raise UsageError("--data and --logits are two things to draw: give one of them")
        z, t = inputs.logits_and_label(arguments)
        loss = F.cross_entropy(
            Tensor(z, requires_grad=True, name="logits"), Tensor(t, name="label")
        )
        loss.name = "loss"
    else:
        loss, _ = the_demo.loss_of_row(_experiment(arguments), 0)
    path: Path = arguments.out or Path("loss.html" if arguments.open else "loss.svg")
    with output.ready(path.parent, [path.name]):
        try:
            draw(loss, depth=arguments.depth).save(path)
        except ValueError as error:  # a file of another kind
            raise UsageError(error) from error
    print(path)
    if arguments.open:
        webbrowser.open(path.resolve().as_uri())
    return 0


@np.errstate(over="ignore")  # logits may be as far apart as float64 goes
def compare(arguments: argparse.Namespace) -> int:
    """Compare the gradients of cross-entropy, found in four ways, on logits or random ones.

    ∂L/∂p, the Jacobian of softmax, ∂L/∂z and the Hessian: by autograd, by the closed form, by
    central differences, and to 50 digits. Exits with status 1 if a row disagrees.
    """
    problem = inputs.problem(arguments)
    if arguments.prove or arguments.latex:
        return _prove(problem, arguments.latex)
    n, n_classes = problem.logits.shape
    if n * n_classes**2 > MAX_ELEMENTS:
        raise UsageError(
            f"{n:,} rows of {n_classes:,} logits have {n * n_classes**2:,} second derivatives: "
            f"up to {MAX_ELEMENTS:,} are compared"
        )
    found = check_four_ways(problem.logits, problem.target)
    links = check_cross_entropy(problem.logits, problem.target)
    if problem.random:
        links.append(check_random_logits(seed=arguments.seed))
    show = side_by_side.as_json if arguments.json else side_by_side.as_text
    print(show(problem, found, links))
    return 0 if side_by_side.agree(found, links) else 1


def bench(arguments: argparse.Namespace) -> int:
    """Measure this package beside PyTorch, JAX and others; needs a checkout of the sources.

    The same work for all, on the same processors, in turn; nothing is timed before all have
    computed the same.
    """
    folder = Path(__file__).parents[2] / "tests" / "benchmarks"
    if not (folder / "run.py").is_file():
        raise UsageError(
            "bench needs a checkout of the sources: the package is installed without "
            "tests/benchmarks"
        )
    sys.path.insert(0, str(folder))  # its modules find one another by name
    status: int = import_module("run").bench(arguments)
    return status


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


def _prove(problem: Problem, latex: bool) -> int:
    """The derivation of gradient and Hessian for each label that there is."""
    n_classes = problem.logits.shape[1]
    if n_classes > MAX_PROVED:
        raise UsageError(f"a proof is of up to {MAX_PROVED} logits, got {n_classes}")
    from .. import symbolic

    proofs = [
        symbolic.prove(n_classes, label, of=of)
        for label in sorted(set(problem.target.tolist()))
        for of in DERIVATIVES
    ]
    shown = [f"\\[\n{proof.latex()}\n\\]" if latex else str(proof) for proof in proofs]
    print(("\n\n" if latex else f"\n\n{'─' * 80}\n\n").join(shown))
    return 0 if all(proof.holds for proof in proofs) else 1


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


def _status(links: Iterable[GradientCheck]) -> int:
    return 0 if all(link.comparison.close for link in links) else 1


# ── What is printed ───────────────────────────────────────────────────────────────────────────────


def _print_accuracy(experiment: Experiment, n_right: int) -> None:
    n = len(experiment.y_test)
    print(f"test accuracy: {n_right / n:.3f} ({n_right} of {n})")


def _print_links(title: str, links: Iterable[GradientCheck]) -> None:
    print(f"\n{title}" if title else "")
    print(table(link.comparison for link in links))
