"""The work of demo and train: a classifier on real data, its gradients against the textbook.

>>> experiment = prepare("iris", epochs=20)
>>> results = run_experiment(experiment)
>>> results.accuracy > 0.9
True
>>> all(check.comparison.close for check in results.before + results.after)
True
"""

from __future__ import annotations

import io
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import data, train
from .. import functional as F
from ..engine.context import no_grad
from ..engine.tensor import Tensor
from ..nn import MLP
from ..optim import SGD
from ..verify.chain_rule import GradientCheck, check_network, check_random_logits

Array = NDArray[Any]


@dataclass(frozen=True)
class TrainingConfig:
    test_fraction: float
    hidden: int
    epochs: int
    lr: float
    weight_decay: float
    momentum: float = 0.9
    batch_size: int = 32


# Chosen by the mean accuracy over seeds from 200 on. The test set is half of iris: of 30 flowers,
# the fifth that is usual, a single one would be worth more than 3 %.
CONFIGS = {
    "iris": TrainingConfig(test_fraction=0.5, hidden=16, epochs=150, lr=0.1, weight_decay=0.01),
    "digits": TrainingConfig(test_fraction=0.2, hidden=64, epochs=30, lr=0.05, weight_decay=0.001),
}


@dataclass
class Experiment:
    """A data set, split and standardized, and a network with its first weights.

    Everything is in float64, so that gradients can be compared to the last digits. `raw_train` and
    `raw_test` are the rows before they were standardized.
    """

    name: str
    seed: int
    config: TrainingConfig
    features: tuple[str, ...]
    classes: tuple[str, ...]
    raw_train: Array
    raw_test: Array
    X_train: Array
    y_train: Array
    X_test: Array
    y_test: Array
    model: MLP
    optimizer: SGD
    rng: np.random.Generator

    @property
    def n_parameters(self) -> int:
        return sum(parameter.size for parameter in self.model.parameters())

    @property
    def summary(self) -> str:
        """Data set, network and optimizer, a line each."""
        c, n_in, n_out = self.config, len(self.features), len(self.classes)
        return f"""\
{self.name}: {len(self.y_train):,} rows to train on, {len(self.y_test):,} to test, \
{n_in} features, {n_out} classes
network: {n_in} inputs, {c.hidden} tanh, {n_out} outputs, {self.n_parameters:,} parameters
SGD: learning rate {c.lr:g}, momentum {c.momentum:g}, weight decay {c.weight_decay:g}, \
batches of {c.batch_size}"""

    def accuracy_line(self, accuracy: float) -> str:
        n = len(self.y_test)
        return f"test accuracy: {accuracy:.3f} ({round(accuracy * n)} of {n})"

    def standardize(self, rows: Array) -> Array:
        return data.Standardizer().fit(self.raw_train).transform(rows)

    def weights_file(self) -> bytes:
        file = io.BytesIO()
        np.savez(file, **self.model.state_dict())  # type: ignore[arg-type]
        return file.getvalue()


@dataclass
class Results:
    """What came out, with the gradients of the first weights and of the last.

    `random_logits` is the check on random logits; `probabilities` are those of the test set (n, C).
    """

    experiment: Experiment
    history: train.History
    before: list[GradientCheck]
    after: list[GradientCheck]
    random_logits: GradientCheck
    probabilities: Array

    @property
    def predicted(self) -> Array:
        return np.asarray(self.probabilities.argmax(-1))

    @property
    def accuracy(self) -> float:
        return self.history.test_accuracy[-1]

    @property
    def n_correct(self) -> int:
        return int(np.sum(self.predicted == self.experiment.y_test))

    @property
    def hardest_row(self) -> int:
        """The row of the test set to whose label the network gives the smallest probability."""
        labels = self.experiment.y_test
        return int(self.probabilities[np.arange(len(labels)), labels].argmin())


def prepare(
    name: str, hidden: int | None = None, epochs: int | None = None, seed: int = 0
) -> Experiment:
    """Load a data set, split it, standardize it, and make a network for it.

    `CONFIGS` has the defaults. The seed decides the split, the first weights and the order of rows.
    """
    config = CONFIGS[name]
    config = replace(config, hidden=hidden or config.hidden, epochs=epochs or config.epochs)
    X, y, classes = data.DATASETS[name]()
    raw_train, raw_test, y_train, y_test = data.train_test_split(
        X.astype(np.float64), y, config.test_fraction, seed
    )
    standardizer = data.Standardizer().fit(raw_train)
    X_train, X_test = standardizer.transform(raw_train), standardizer.transform(raw_test)
    rng = np.random.default_rng(seed)
    sizes = [X.shape[1], config.hidden, len(classes)]
    model = MLP(sizes, activation="tanh", rng=rng, dtype=np.float64)
    optimizer = SGD(model.parameters(), config.lr, config.momentum, config.weight_decay)
    names = data.feature_names(name), classes
    rows = raw_train, raw_test, X_train, y_train, X_test, y_test
    return Experiment(name, seed, config, *names, *rows, model, optimizer, rng)


def train_network(experiment: Experiment, progress: bool = False) -> train.History:
    e = experiment
    history = train.fit(
        e.model, e.optimizer, e.X_train, e.y_train, epochs=e.config.epochs,
        batch_size=e.config.batch_size, rng=e.rng, X_test=e.X_test, y_test=e.y_test,
        progress=progress,
    )  # fmt: skip
    if history.stopped == "interrupted":  # what is made of it needs the whole training
        raise KeyboardInterrupt
    return history


def run_experiment(experiment: Experiment, progress: bool = False) -> Results:
    """Train the experiment's network, and compare its gradients before and after."""
    model, X, y = experiment.model, experiment.X_train, experiment.y_train
    before = check_network(model, X, y)
    history = train_network(experiment, progress)
    after = check_network(model, X, y)
    with no_grad():
        probabilities = F.softmax(model(experiment.X_test)).data
    return Results(experiment, history, before, after, check_random_logits(), probabilities)


def loss_of_row(experiment: Experiment, row: int) -> tuple[Tensor, Tensor]:
    """The loss of one row of the test set, with its graph, and the logits (1, C) in it."""
    logits = experiment.model(Tensor(experiment.X_test[[row]], name="x"))
    logits.name = "logits"
    return named_loss(logits, experiment.y_test[[row]]), logits


def named_loss(logits: Tensor, label: Array) -> Tensor:
    loss = F.cross_entropy(logits, Tensor(label, name="label"))
    loss.name = "loss"
    return loss
