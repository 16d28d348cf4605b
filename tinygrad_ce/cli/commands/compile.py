"""``tinygrad-ce compile``: the training step of an experiment as a module that needs NumPy only."""

from __future__ import annotations

import argparse
import copy
import inspect
import textwrap
from pathlib import Path
from typing import Any

import numpy as np

from ... import functional as F
from ...atomic_files import ensure_writable, write_file
from ...engine.tensor import Tensor
from ..experiment import Experiment, prepare
from ..options import add_experiment, defaults, file_path, whole_number

MAX_BATCH = 100_000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_experiment(parser)
    rows = f"the number of rows that the function takes (default: {defaults('batch_size')})"
    parser.add_argument("--batch", type=whole_number(1, MAX_BATCH), metavar="N", help=rows)
    where = "write a file (default: print it)"
    parser.add_argument("-o", "--out", type=file_path, metavar="FILE.py", help=where)


def run(arguments: argparse.Namespace) -> int:
    """Write the training step of a network as a NumPy function, to a file or to stdout.

    The module needs NumPy alone; its docstring shows how to call it.
    """
    path: Path | None = arguments.out

    def text(name: str) -> str:
        experiment = prepare(arguments.data, arguments.hidden, seed=arguments.seed)
        return step_module(experiment, arguments.batch, name)

    if path is None:
        print(text("step"), end="")
        return 0
    with ensure_writable([path]):
        write_file(path, text(path.stem if path.stem.isidentifier() else "step").encode())
    print(path)
    return 0


def step_module(experiment: Experiment, batch_size: int | None = None, name: str = "step") -> str:
    """The text of a module of this name with a function `step`, and how to call it.

    The function takes `batch_size` rows, by default those of the experiment, which is left as it
    is.
    """
    from ...compiler import compile  # noqa: A004

    n = experiment.config.batch_size if batch_size is None else batch_size
    model, optimizer = copy.deepcopy((experiment.model, experiment.optimizer))

    @compile
    def step(X: Any, y: Any) -> Tensor:
        loss = F.cross_entropy(model(X), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    rows = [i % len(experiment.y_train) for i in range(n)]
    step(experiment.X_train[rows], experiment.y_train[rows])
    return f'"""{_docstring(experiment, n, name, step.source)}"""\n\n{step.source}'


def _docstring(experiment: Experiment, n: int, name: str, source: str) -> str:
    config = experiment.config
    n_in, n_out = len(experiment.features), len(experiment.classes)
    namespace: dict[str, Any] = {}
    exec(source, namespace)
    function = namespace["step"]
    call = inspect.cleandoc(function.__doc__).split("\n\n")[1]
    shapes = [parameter.shape for parameter in experiment.model.parameters()]
    _, _, *names = inspect.signature(function).parameters
    weights, velocities = names[: len(shapes)], names[len(shapes) + 1 :]
    begin = []
    # A bias is drawn within the bounds of the matrix before it.
    for weight, shape in zip(weights, shapes, strict=True):
        if len(shape) == 2:
            bound = float(1 / np.sqrt(shape[0]))
        begin.append(f"{weight} = rng.uniform({-bound}, {bound}, {shape})")
    begin += [f"{v} = np.zeros({shape})" for v, shape in zip(velocities, shapes, strict=True)]
    example = [
        "import numpy as np",
        f"from {name} import step",
        "",
        f"rng = np.random.default_rng({experiment.seed})",
        *begin,
        f"lr = {config.lr}",
        "for _ in range(100):",
        f"    X = rng.normal(size=({n}, {n_in}))  # in place of standardized rows",
        f"    y = rng.integers(0, {n_out}, {n})  # and of their labels",
        call,
    ]
    block = textwrap.indent("\n".join(example), "    ")
    return f"""\
A training step on {experiment.name}: {n_in} inputs, {config.hidden} tanh, {n_out} outputs, \
cross-entropy, SGD.

Written by tinygrad-ce compile. It needs NumPy alone. Momentum {config.momentum} and weight decay
{config.weight_decay} are in it; all else it takes and returns. This begins with the weights of
tinygrad-ce demo --seed {experiment.seed}:

{block}
"""
