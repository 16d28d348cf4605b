"""The demo's work: a classifier trained on real data, and its gradients held against the textbook.

>>> experiment = prepare("iris", epochs=20)
>>> results = run(experiment)
>>> results.accuracy > 0.9
True
>>> all(link.comparison.close for link in results.before + results.after)
True
"""

from __future__ import annotations

from dataclasses import dataclass
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
class Setting:
    """How a data set is split, and how the network is trained on it."""

    test_fraction: float
    hidden: int
    epochs: int
    batch_size: int
    lr: float
    momentum: float
    weight_decay: float


# Chosen by the mean accuracy over seeds from 200 on. Half of iris is held back: of 30 flowers, the
# fifth that is usual, a single one would be worth more than 3 %.
SETTINGS = {
    "iris": Setting(
        test_fraction=0.5,
        hidden=16,
        epochs=150,
        batch_size=32,
        lr=0.1,
        momentum=0.9,
        weight_decay=0.01,
    ),
    "digits": Setting(
        test_fraction=0.2,
        hidden=64,
        epochs=30,
        batch_size=32,
        lr=0.05,
        momentum=0.9,
        weight_decay=0.001,
    ),
}


@dataclass
class Experiment:
    """A data set, split and standardised, and a network with its first weights.

    Everything is in float64, so that gradients can be compared to the last digits. `raw_train` and
    `raw_test` are the rows before they were standardised.
    """

    name: str
    seed: int
    setting: Setting
    epochs: int
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
    def hidden(self) -> int:
        """The number of hidden units."""
        return self.model.parameters()[0].shape[1]

    @property
    def n_parameters(self) -> int:
        """The number of weights and biases."""
        return sum(parameter.size for parameter in self.model.parameters())

    def standardised(self, rows: Array) -> Array:
        """Rows of the raw features, as the network wants them."""
        return data.standardize(self.raw_train, rows)[1]


@dataclass
class Results:
    """What came out.

    Attributes
    ----------
    history
        Loss and accuracy of each epoch.
    before, after
        The gradients of the loss over the training set and their closed forms, with the first
        weights and with the last.
    random_sets
        The gradient of cross-entropy on random logits, and its closed form.
    probabilities
        Of the test set, (n, C).
    """

    experiment: Experiment
    history: train.History
    before: list[GradientCheck]
    after: list[GradientCheck]
    random_sets: GradientCheck
    probabilities: Array

    @property
    def predicted(self) -> Array:
        """The class of each row of the test set, as the network sees it."""
        predicted: Array = self.probabilities.argmax(-1)
        return predicted

    @property
    def accuracy(self) -> float:
        """The share of the test set that is classified right."""
        return self.history.test_accuracy[-1]

    @property
    def hardest_row(self) -> int:
        """The row of the test set to whose label the network gives the smallest probability."""
        labels = self.experiment.y_test
        return int(self.probabilities[np.arange(len(labels)), labels].argmin())

    @property
    def n_right(self) -> int:
        """The number of rows of the test set that are classified right."""
        return int(np.sum(self.predicted == self.experiment.y_test))


def prepare(
    name: str, hidden: int | None = None, epochs: int | None = None, seed: int = 0
) -> Experiment:
    """Load a data set, split it, standardise it, and make a network for it.

    Parameters
    ----------
    name
        One of `SETTINGS`, which holds the defaults of what is left out.
    hidden, epochs
        The number of hidden units, and of passes over the training set.
    seed
        Of the split, the first weights and the order of the rows: it decides everything.
    """
    setting = SETTINGS[name]
    X, y, classes = data.DATASETS[name]()
    raw_train, raw_test, y_train, y_test = data.train_test_split(
        X.astype(np.float64), y, setting.test_fraction, seed
    )
    X_train, X_test = data.standardize(raw_train, raw_test)
    rng = np.random.default_rng(seed)
    sizes = [X.shape[1], setting.hidden if hidden is None else hidden, len(classes)]
    model = MLP(sizes, activation="tanh", rng=rng, dtype=np.float64)
    return Experiment(
        name=name,
        seed=seed,
        setting=setting,
        epochs=setting.epochs if epochs is None else epochs,
        features=data.feature_names(name),
        classes=classes,
        raw_train=raw_train,
        raw_test=raw_test,
        X_train=X_train,
        y_train=y_train,
        X_test=X_test,
        y_test=y_test,
        model=model,
        optimizer=SGD(model.parameters(), setting.lr, setting.momentum, setting.weight_decay),
        rng=rng,
    )


def train_network(experiment: Experiment, progress: bool = False) -> train.History:
    """Train the experiment's network; see `train.fit`."""
    return train.fit(
        experiment.model,
        experiment.optimizer,
        experiment.X_train,
        experiment.y_train,
        epochs=experiment.epochs,
        batch_size=experiment.setting.batch_size,
        rng=experiment.rng,
        X_test=experiment.X_test,
        y_test=experiment.y_test,
        progress=progress,
    )


def run(experiment: Experiment, progress: bool = False) -> Results:
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
    x = Tensor(experiment.X_test[row : row + 1], name="x")
    label = Tensor(experiment.y_test[row : row + 1], name="label")
    logits = experiment.model(x)
    logits.name = "logits"
    loss = F.cross_entropy(logits, label)
    loss.name = "loss"
    return loss, logits
