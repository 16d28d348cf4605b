"""The training step of an experiment, written out as a module that needs NumPy alone.

>>> from tinygrad_ce.cli.experiment import prepare
>>> text = step_module(prepare("iris"))
>>> "weight_1 = rng.uniform(-0.5, 0.5, (4, 16))" in text, "logits = " in text
(True, True)
"""

from __future__ import annotations

import copy
import inspect
import textwrap
from typing import Any

import numpy as np

from .. import functional as F
from ..compiler import compile  # noqa: A004
from ..engine.tensor import Tensor
from .experiment import Experiment


def step_module(experiment: Experiment, batch_size: int | None = None, name: str = "step") -> str:
    """The text of a module with a function `step`, and a docstring that shows how to call it.

    The function takes `batch_size` rows, by default those of the experiment, which is left as it
    is. The name is that of the module, for its docstring.
    """
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
    parameters = experiment.model.parameters()
    _, _, *names = inspect.signature(function).parameters
    weights, velocities = names[: len(parameters)], names[len(parameters) + 1 :]
    begin = []
    # A bias is drawn within the bounds of the matrix before it.
    for weight, shape in zip(weights, (p.shape for p in parameters), strict=True):
        if len(shape) == 2:
            bound = float(1 / np.sqrt(shape[0]))
        begin.append(f"{weight} = rng.uniform({-bound}, {bound}, {shape})")
    zeros = (f"np.zeros({parameter.shape})" for parameter in parameters)
    begin += map(" = ".join, zip(velocities, zeros, strict=True))
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
    return (
        f"A training step on {experiment.name}: {n_in} inputs, {config.hidden} tanh, "
        f"{n_out} outputs, cross-entropy, SGD.\n\n"
        "Written by tinygrad-ce compile. It needs NumPy alone. "
        f"Momentum {config.momentum} and weight decay\n"
        f"{config.weight_decay} are in it; all else it takes and returns. "
        f"This begins with the weights of\ntinygrad-ce train --seed {experiment.seed}:\n\n"
        + textwrap.indent("\n".join(example), "    ")
        + "\n"
    )
