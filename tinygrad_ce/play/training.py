"""A training, step by step, of which the last steps are recorded.

A step has two halves: `prepare` computes loss and gradients of a batch, and `advance` first makes
the step that they tell. What is shown is between the halves: weights, and the gradients at these.
"""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import functional as F
from .. import nn, optim
from ..engine.context import no_grad
from ..engine.tensor import Tensor, as_tensor
from .network_settings import MAX_RATES, OPTIMIZERS, Rates, Settings
from .problem import Problem
from .recording import Recording, Snapshot
from .statistics import update_ratio

Array = NDArray[Any]

MAX_PARAMETERS = 200_000
# Up to so many multiplications, BLAS uses one thread. More threads wait for one another where a
# browser is busy beside them, which takes a hundred times as long.
ONE_THREAD = 2**18


def make_model(settings: Settings, problem: Problem) -> nn.Module:
    """Return the perceptron that the settings say, with its initial weights.

    >>> from .problem import make_problem
    >>> make_model(Settings(), make_problem(Settings()))
    MLP(0=Linear(2, 16), 1=Tanh(), 2=Linear(16, 16), 3=Tanh(), 4=Linear(16, 2); 354 parameters)
    """
    sizes = [problem.n_features, *settings.hidden, len(problem.class_names)]
    model = nn.MLP(sizes, activation=settings.activation, rng=settings.seed)
    if settings.weight_scale != 1:
        for layer in model.layers[::2]:
            layer.weight.data *= settings.weight_scale  # type: ignore[attr-defined]
    return model


class Training:
    """A model, an optimizer, and what was recorded; prepared for its first step.

    Attributes
    ----------
    model
        As it is after the last step. A model that was given is copied, and stays as it is.
    recording
        The last steps.
    rates
        The learning rates so far, and from which step on.
    """

    def __init__(self, problem: Problem, model: nn.Module, settings: Settings) -> None:
        size = sum(parameter.size for parameter in model.parameters())
        if size > MAX_PARAMETERS:
            raise ValueError(f"the model has {size:,} parameters: at most {MAX_PARAMETERS:,} fit")
        self.problem, self.model = problem, deepcopy(model)
        name, options = OPTIMIZERS[settings.optimizer]
        self.rates: Rates = settings.rates
        make: Any = getattr(optim, name)
        self.optimizer = make(self.model.parameters(), lr=self.rates[0][1], **options)
        self.batch_size = min(settings.batch, len(problem.X))
        self._rng = np.random.default_rng(settings.seed)
        self.parameters = dict(self.model.named_parameters())
        self.recording = Recording()
        self._prepare(0)

    @np.errstate(all="ignore")
    def advance(self) -> None:
        """Make the step that the last gradients tell, and compute the next ones."""
        step = self.recording.last
        self.optimizer.lr = dict(self.rates).get(step, self.optimizer.lr)
        self.optimizer.step()
        self._prepare(step + 1)

    @np.errstate(all="ignore")
    def _prepare(self, step: int) -> None:
        problem = self.problem
        batch = self._rng.choice(len(problem.X), self.batch_size, replace=False)
        logits = as_tensor(self.model(problem.X[batch]))
        loss = F.cross_entropy(logits, problem.y[batch])
        self.optimizer.zero_grad()
        loss.backward()
        before = self.recording[step].state if step else None
        state = self.model.state_dict()
        gradients = {name: parameter.grad for name, parameter in self.parameters.items()}
        tested = self._test()
        ratios = tuple(
            update_ratio(before[name], state[name]) if before else None
            for name, parameter in self.parameters.items()
            if parameter.ndim == 2
        )
        accuracy = accuracy_of(logits, problem.y[batch])
        measured = (loss.item(), tested[0], accuracy, tested[1])
        self.recording.add(Snapshot(step, state, gradients, batch, *measured, ratios))

    def _test(self) -> tuple[float | None, float | None]:
        if self.problem.test_set is None:
            return None, None
        X, y = self.problem.test_set
        self.model.eval()
        logits = compute_logits(self.model, X)
        self.model.train()
        with no_grad():
            return F.cross_entropy(logits, y).item(), accuracy_of(logits, y)

    def change_rate(self, rate: float) -> Rates:
        """Let the next steps have another learning rate, and return the list of rates."""
        step = self.recording.last
        kept = tuple((at, r) for at, r in self.rates if at < step)
        if len(kept) >= MAX_RATES:
            raise ValueError(f"the learning rate was changed {MAX_RATES} times: start again")
        self.rates = (*kept, (step, rate))
        return self.rates


def rows_at_once(model: nn.Module) -> int:
    """Return how many examples a model can map on one thread.

    >>> rows_at_once(nn.MLP([64, 64, 10], rng=0))
    64
    """
    largest = max((p.size for p in model.parameters() if p.ndim == 2), default=1)
    return max(ONE_THREAD // largest, 16)


def compute_logits(model: nn.Module, X: Array) -> Tensor:
    """Return the logits of many examples, computed some at a time, without a graph."""
    n = rows_at_once(model)
    with no_grad():
        blocks = [as_tensor(model(X[i : i + n])).data for i in range(0, len(X), n)]
    return Tensor(np.concatenate(blocks), copy=False)


def accuracy_of(logits: Tensor, y: NDArray[np.int64]) -> float:
    """Return the share of rows whose largest logit is that of the label."""
    return float((logits.data.argmax(axis=1) == y).mean())
