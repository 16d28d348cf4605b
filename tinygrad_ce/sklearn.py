"""The estimator for scikit-learn: a multilayer perceptron, with what theirs does not have.

>>> from sklearn.datasets import load_wine
>>> from sklearn.pipeline import make_pipeline
>>> from sklearn.preprocessing import StandardScaler
>>> X, y = load_wine(return_X_y=True)
>>> model = make_pipeline(StandardScaler(), MLPClassifier(tol=1e-3, random_state=0))
>>> float(model.fit(X, y).score(X, y)) > 0.98
True
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from itertools import pairwise
from numbers import Integral, Real
from typing import Any, ClassVar, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray

from . import functional as F
from . import nn, optim
from .data import train_test_split
from .engine.context import no_grad
from .engine.tensor import Tensor
from .train import EarlyStopping, History, Training, fit
from .train.metrics import evaluating
from .train.training import Scheduler

try:
    from sklearn.base import BaseEstimator, ClassifierMixin
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.utils import check_consistent_length, check_random_state
    from sklearn.utils._param_validation import Interval, StrOptions
    from sklearn.utils.class_weight import compute_class_weight
    from sklearn.utils.multiclass import check_classification_targets
    from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data
except ImportError as error:
    raise ImportError(
        "tinygrad_ce.sklearn needs scikit-learn 1.6 or newer: "
        'pip install "tinygrad-ce[sklearn]", or pip install ".[all]" in a checkout'
    ) from error

__all__ = ["MLPClassifier"]


def __dir__() -> list[str]:
    return __all__


Array: TypeAlias = NDArray[Any]

ACTIVATIONS = {"relu": nn.ReLU, "tanh": nn.Tanh, "logistic": nn.Sigmoid, "identity": None}
BATCH_SIZE = 200  # if "auto", but no more than there are rows


class MLPClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A multilayer perceptron that minimizes cross-entropy, as an estimator of scikit-learn.

    Parameters that scikit-learn's `MLPClassifier` has mean the same as there.

    Parameters
    ----------
    hidden_layer_sizes
        The number of units of each hidden layer; () for logistic regression.
    activation
        "relu", "tanh", "logistic" or "identity".
    solver
        "adam", "sgd" or "adamw", which decays weights apart from the gradient.
    alpha
        The strength of weight decay: as in scikit-learn, a batch of n rows adds
        alpha / n times a weight to its gradient. With "adamw", the weight decay itself. Biases
        do not decay.
    batch_size
        The number of rows of a batch; "auto" is min(200, number of rows).
    learning_rate_init, momentum, nesterovs_momentum, beta_1, beta_2, epsilon
        Settings of the solvers.
    learning_rate
        "constant", "cosine" down to 0 over `max_iter` epochs, "one_cycle"; or a function that maps
        an optimizer to a schedule, whose `step` is called after each epoch.
    max_iter
        The largest number of epochs.
    shuffle
        Whether the rows are shuffled in each epoch.
    random_state
        A seed, a RandomState or None: of the first weights, the order, dropout and validation.
    tol, n_iter_no_change
        The training ends once the loss, or with `early_stopping` the validation score, has not
        improved by `tol` for so many epochs.
    warm_start
        Whether `fit` goes on with the weights that it finds.
    early_stopping, validation_fraction
        Whether to hold this share of the rows out, end once their accuracy does not improve, and
        go back to the weights that were best.
    class_weight
        "balanced", a dict of weights by class, or None.
    label_smoothing
        ε in [0, 1]: targets become (1 - ε) y + ε / C.
    dropout
        The probability with which a hidden unit is set to 0, in training.
    max_norm
        The largest norm of the gradient of a batch; None for any.
    callbacks
        Functions of a `tinygrad_ce.train.Training`, called after each epoch.
    backend
        "auto" compiles long trainings to NumPy, "numpy" and "c" all, "eager" none.
    dtype
        "float32" or "float64", in which it computes.
    verbose
        Whether to print each epoch's loss.

    Attributes
    ----------
    classes_
        The class labels.
    model_, optimizer_
        The network, a `tinygrad_ce.nn.Module`, and what trained it.
    history_
        A `tinygrad_ce.train.History`, with one entry an epoch.
    loss_curve_, loss_, best_loss_, validation_scores_, best_validation_score_
        As in scikit-learn, of the epochs so far.
    n_iter_, t_
        The number of epochs, and of rows trained on.
    n_features_in_, feature_names_in_
        The number of features and, of a DataFrame, their names.
    n_layers_, n_outputs_, out_activation_
        As in scikit-learn.

    Notes
    -----
    y can be soft targets: floats of shape (n, C), rows of probabilities that sum to 1. The classes
    are then 0 to C - 1. Other y with two axes is refused: it is no multilabel classifier.

    Differences to scikit-learn's: the weights are float32 by default; a sigmoid is not used for two
    classes, which have two outputs; there is no "lbfgs".
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "hidden_layer_sizes": ["array-like", Interval(Integral, 1, None, closed="left")],
        "activation": [StrOptions(set(ACTIVATIONS))],
        "solver": [StrOptions({"adam", "sgd", "adamw"})],
        "alpha": [Interval(Real, 0, None, closed="left")],
        "batch_size": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
        "learning_rate": [StrOptions({"constant", "cosine", "one_cycle"}), callable],
        "learning_rate_init": [Interval(Real, 0, None, closed="neither")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "shuffle": ["boolean"],
        "random_state": ["random_state"],
        "tol": [Interval(Real, 0, None, closed="left")],
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left")],
        "warm_start": ["boolean"],
        "momentum": [Interval(Real, 0, 1, closed="both")],
        "nesterovs_momentum": ["boolean"],
        "early_stopping": ["boolean"],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
        "beta_1": [Interval(Real, 0, 1, closed="left")],
        "beta_2": [Interval(Real, 0, 1, closed="left")],
        "epsilon": [Interval(Real, 0, None, closed="neither")],
        "class_weight": [StrOptions({"balanced"}), dict, None],
        "label_smoothing": [Interval(Real, 0, 1, closed="both")],
        "dropout": [Interval(Real, 0, 1, closed="left")],
        "max_norm": [Interval(Real, 0, None, closed="neither"), None],
        "callbacks": ["array-like", callable, None],
        "backend": [StrOptions({"auto", "eager", "numpy", "c"})],
        "dtype": [StrOptions({"float32", "float64"})],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        hidden_layer_sizes: int | Iterable[int] = (100,),
        activation: str = "relu",
        *,
        solver: str = "adam",
        alpha: float = 1e-4,
        batch_size: int | str = "auto",
        learning_rate: str | Callable[[optim.Optimizer], Scheduler] = "constant",
        learning_rate_init: float = 1e-3,
        max_iter: int = 200,
        shuffle: bool = True,
        random_state: Any = None,
        tol: float = 1e-4,
        verbose: bool = False,
        warm_start: bool = False,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        n_iter_no_change: int = 10,
        class_weight: str | Mapping[Any, float] | None = None,
        label_smoothing: float = 0.0,
        dropout: float = 0.0,
        max_norm: float | None = None,
        callbacks: Iterable[Callable[[Training], Any]] | None = None,
        backend: str = "auto",
        dtype: str = "float32",
    ) -> None:
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.solver = solver
        self.alpha = alpha
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.learning_rate_init = learning_rate_init
        self.max_iter = max_iter
        self.shuffle = shuffle
        self.random_state = random_state
        self.tol = tol
        self.verbose = verbose
        self.warm_start = warm_start
        self.momentum = momentum
        self.nesterovs_momentum = nesterovs_momentum
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.n_iter_no_change = n_iter_no_change
        self.class_weight = class_weight
        self.label_smoothing = label_smoothing
        self.dropout = dropout
        self.max_norm = max_norm
        self.callbacks = callbacks
        self.backend = backend
        self.dtype = dtype

    # ── Fitting ───────────────────────────────────────────────────────────────────────────────────

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Fit the network to a training set.

        Parameters
        ----------
        X
            (n, d) numbers: an array or a DataFrame.
        y
            (n,) class labels, numbers or texts; or (n, C) soft targets.
        sample_weight
            (n,) weights of the rows, at least 0.

        Returns
        -------
        MLPClassifier
            Itself.
        """
        self._validate_params()
        fresh = not (self.warm_start and hasattr(self, "model_"))
        X, targets, classes = self._validate(X, y, reset=fresh)
        if len(classes) < 2:
            raise ValueError(
                f"{type(self).__name__} needs samples of at least 2 classes in the data, but the "
                f"data contains only one class: {classes[0]!r}"
            )
        if fresh:
            self._start(X.shape[1], classes)
        elif not np.array_equal(classes, self.classes_):
            raise ValueError(f"warm_start with other classes: {classes}, before {self.classes_}")
        weight = self._compute_weights(targets, X, sample_weight)
        if weight is not None and targets.ndim == 1 and len(np.unique(targets[weight > 0])) < 2:
            raise ValueError(
                "the rows with a weight above 0 are of one class: expected two or more"
            )
        self.n_iter_ = self._train(X, targets, weight, self.max_iter)
        if self.n_iter_ == self.max_iter and not self.history_.stopped:
            warnings.warn(
                f"{self.max_iter} epochs (max_iter) were not enough for the "
                f"{'validation score' if self.early_stopping else 'loss'} to settle within tol",
                ConvergenceWarning,
                stacklevel=2,
            )
        return self

    def partial_fit(
        self,
        X: Any,
        y: Any,
        classes: Any = None,
        sample_weight: Any = None,
    ) -> Self:
        """Train for one epoch on some rows.

        Parameters
        ----------
        X, y, sample_weight
            As of `fit`.
        classes
            All classes there are, at the first call.

        Returns
        -------
        MLPClassifier
            Itself.
        """
        self._validate_params()
        if self.early_stopping:
            raise ValueError("partial_fit does not support early_stopping=True")
        first = not hasattr(self, "model_")
        X, targets, found = self._validate(X, y, reset=first)
        if first:
            if classes is None and targets.ndim == 1:
                raise ValueError("classes must be passed on the first call to partial_fit.")
            self._start(X.shape[1], found if classes is None else np.unique(classes))
            self.n_iter_ = 0
        elif classes is not None and not np.array_equal(np.unique(classes), self.classes_):
            raise ValueError(f"classes are {self.classes_}, as in the first call to partial_fit")
        if targets.ndim == 1:
            targets = self._encode(found)[targets]
        elif len(found) != len(self.classes_):
            raise ValueError(f"y has {len(found)} columns, for {len(self.classes_)} classes")
        self.n_iter_ += self._train(X, targets, self._compute_weights(targets, X, sample_weight), 1)
        return self

    def _validate(self, X: Any, y: Any, reset: bool) -> tuple[Array, Array, Array]:
        """X, the targets as codes or distributions, and the classes that they are of."""
        values = np.asarray(y)
        if values.ndim == 2 and values.shape[1] > 1:
            targets = _as_soft_targets(values)
            X = validate_data(self, X, dtype=(np.float64, np.float32), reset=reset)
            check_consistent_length(X, targets)
            return X, targets.astype(self.dtype), np.arange(values.shape[1])
        X, y = validate_data(self, X, y, dtype=(np.float64, np.float32), reset=reset)
        check_classification_targets(y)
        classes, codes = np.unique(y, return_inverse=True)
        return X, codes, classes

    def _encode(self, labels: Array) -> Array:
        """The index of each label among the classes."""
        codes = np.minimum(np.searchsorted(self.classes_, labels), len(self.classes_) - 1)
        unknown = labels[self.classes_[codes] != labels]
        if len(unknown):
            raise ValueError(f"y has classes that are not in {self.classes_}: {unknown}")
        return codes

    def _start(self, n_features: int, classes: Array) -> None:
        self.classes_ = classes
        # A seed, a RandomState or None become one Generator, which the engine takes.
        self._rng = np.random.default_rng(check_random_state(self.random_state).randint(2**31))
        hidden = np.atleast_1d(np.asarray(self.hidden_layer_sizes, dtype=int)).tolist()
        if any(units < 1 for units in hidden):
            raise ValueError(f"hidden_layer_sizes must be > 0, got {self.hidden_layer_sizes}.")
        layers: list[nn.Module] = []
        for n_in, n_out in pairwise([n_features, *hidden, len(classes)]):
            layer = nn.Linear(n_in, n_out, dtype=self.dtype, rng=self._rng)
            nn.init.xavier_uniform_(layer.weight, rng=self._rng)
            layers.append(layer)
        self.model_ = nn.Sequential(*self._between(layers))
        self.n_layers_, self.n_outputs_ = len(layers) + 1, len(classes)
        self.out_activation_ = "softmax"
        self.optimizer_ = self._make_optimizer()
        self.history_ = History()
        self.validation_scores_: list[float] | None = [] if self.early_stopping else None
        self.t_ = 0

    def _between(self, layers: list[nn.Module]) -> Iterator[nn.Module]:
        """The layers, with activation and dropout after each but the last."""
        activation = ACTIVATIONS[self.activation]
        for layer in layers[:-1]:
            yield layer
            if activation is not None:
                yield activation()
            if self.dropout:
                yield nn.Dropout(self.dropout, rng=self._rng)
        yield layers[-1]

    def _make_optimizer(self) -> optim.Optimizer:
        lr, betas = self.learning_rate_init, (self.beta_1, self.beta_2)
        nesterov = bool(self.nesterovs_momentum and self.momentum)
        kinds: dict[str, Callable[..., optim.Optimizer]] = {
            "sgd": partial(optim.SGD, lr=lr, momentum=self.momentum, nesterov=nesterov),
            "adam": partial(optim.Adam, lr=lr, betas=betas, eps=self.epsilon),
            "adamw": partial(optim.AdamW, lr=lr, betas=betas, eps=self.epsilon),
        }
        make, parameters = kinds[self.solver], self.model_.parameters()
        if not self.alpha:
            return make(parameters, weight_decay=0.0)
        decay = self.alpha
        if self.solver != "adamw":
            decay /= self._batch_size(BATCH_SIZE)
        decayed = [p for p in parameters if p.ndim > 1]
        others = [p for p in parameters if p.ndim <= 1]
        return optim.ParameterGroups(
            [make(decayed, weight_decay=decay), make(others, weight_decay=0.0)]
        )

    def _batch_size(self, n: int) -> int:
        """The number of rows of a batch, of n in all."""
        return min(BATCH_SIZE, n) if isinstance(self.batch_size, str) else self.batch_size

    def _compute_weights(self, targets: Array, X: Array, sample_weight: Any) -> Array | None:
        if sample_weight is not None:
            sample_weight = _check_sample_weight(sample_weight, X, ensure_non_negative=True)
        if self.class_weight is None:
            return None if sample_weight is None else np.asarray(sample_weight, self.dtype)
        if targets.ndim == 2:
            raise ValueError("class_weight is of labels: give soft targets a sample_weight")
        labels = self.classes_[targets]
        present = np.unique(labels)
        given = self.class_weight
        if isinstance(given, Mapping):
            given = {label: weight for label, weight in given.items() if label in present}
        of_present = compute_class_weight(given, classes=present, y=labels)
        weight = of_present[np.searchsorted(present, labels)]
        return np.asarray(weight if sample_weight is None else weight * sample_weight, self.dtype)

    def _train(self, X: Array, targets: Array, weight: Array | None, epochs: int) -> int:
        """Train for some epochs at most, and return how many there were."""
        X = X.astype(self.dtype, copy=False)
        held: dict[str, Any] = {}
        if self.early_stopping:
            rows = np.arange(len(X))
            labels = targets if targets.ndim == 1 else targets.argmax(1)
            kept, out, _, _ = train_test_split(rows, labels, self.validation_fraction, self._rng)
            held = {"X_test": X[out], "y_test": targets[out]}
            X, targets = X[kept], targets[kept]
            weight = None if weight is None else weight[kept]
        batch_size = self._batch_size(len(X))
        if batch_size > len(X):
            warnings.warn(f"batch_size is {batch_size}, and there are {len(X)} rows", stacklevel=4)
            batch_size = len(X)
        before = len(self.history_)
        scheduler, each = self._make_schedule(epochs * -(-len(X) // batch_size))
        fit(
            self.model_,
            self.optimizer_,
            X,
            targets,
            epochs=before + epochs,
            batch_size=batch_size,
            rng=self._rng,
            shuffle=self.shuffle,
            loss=self._make_loss(weight is not None),
            sample_weight=weight,
            max_norm=self.max_norm,
            scheduler=scheduler,
            schedule_each=each,
            early_stopping=EarlyStopping(
                self.n_iter_no_change + 1,
                self.tol,
                "accuracy" if self.early_stopping else "loss",
                restore_best=self.early_stopping,
            ),
            callbacks=[*self._callbacks()],
            history=self.history_,
            evaluate_training=False,
            compile={"auto": None, "eager": False}.get(self.backend, self.backend),
            **held,
        )
        self.t_ += (len(self.history_) - before) * len(X)
        self.loss_curve_ = self.history_.loss
        self.loss_ = self.loss_curve_[-1]
        self.best_loss_ = None if self.early_stopping else min(self.loss_curve_)
        if self.early_stopping:
            self.validation_scores_ = self.history_.test_accuracy
        scores = self.validation_scores_
        self.best_validation_score_ = max(scores) if scores else None
        return len(self.history_) - before

    def _make_loss(self, weighted: bool) -> Any:
        if not self.label_smoothing:
            return F.cross_entropy
        reduction: Any = "none" if weighted else "mean"
        return partial(F.cross_entropy, label_smoothing=self.label_smoothing, reduction=reduction)

    def _make_schedule(self, steps: int) -> tuple[Any, str]:
        schedules = optim.lr_scheduler
        if callable(self.learning_rate):
            return self.learning_rate(self.optimizer_), "epoch"
        if self.learning_rate == "cosine":
            return schedules.CosineAnnealingLR(self.optimizer_, self.max_iter), "epoch"
        if self.learning_rate == "one_cycle":
            rate = self.learning_rate_init
            return schedules.OneCycleLR(self.optimizer_, rate, total_steps=steps), "batch"
        return None, "epoch"

    def _callbacks(self) -> Iterator[Callable[[Training], Any]]:
        if self.verbose:
            yield lambda t: print(f"Iteration {t.epoch}, loss = {t.history.loss[-1]:.8f}")
        if self.callbacks is not None:
            yield from [self.callbacks] if callable(self.callbacks) else self.callbacks

    # ── Predicting ────────────────────────────────────────────────────────────────────────────────

    def predict(self, X: Any) -> Array:
        """Return the most probable class of each row, (n,).

        Parameters
        ----------
        X
            (n, d) rows.
        """
        codes = self._logits(X).argmax(axis=1)
        labels: Array = self.classes_[codes]
        return labels

    def predict_proba(self, X: Any) -> Array:
        """Return the probability of each class, (n, C) float64, in the order of `classes_`.

        Parameters
        ----------
        X
            (n, d) rows.
        """
        return np.array(F.softmax(self._logits(X)).data)

    def predict_log_proba(self, X: Any) -> Array:
        """Return the logarithm of the probability of each class, (n, C) float64.

        Parameters
        ----------
        X
            (n, d) rows.
        """
        return np.array(F.log_softmax(self._logits(X)).data)

    def loss_graph_(self, X: Any, y: Any) -> Tensor:
        """Return the loss of some rows with its graph: `tg.draw` draws it.

        Parameters
        ----------
        X, y
            A few rows and their classes.
        """
        check_is_fitted(self, "model_")
        X, targets, found = self._validate(X, y, reset=False)
        if targets.ndim == 1:
            targets = self._encode(found)[targets]
        with evaluating(self.model_):
            logits = self.model_(Tensor(X.astype(self.dtype), name="X"))
            logits.name = "logits"
            loss = F.cross_entropy(logits, Tensor(targets, name="y"))
        loss.name = "loss"
        return loss

    @property
    def coefs_(self) -> list[Array]:
        """The weights of each layer, as in scikit-learn."""
        return [p.numpy() for p in self._fitted_model().parameters() if p.ndim > 1]

    @property
    def intercepts_(self) -> list[Array]:
        """The biases of each layer, as in scikit-learn."""
        return [p.numpy() for p in self._fitted_model().parameters() if p.ndim == 1]

    def _fitted_model(self) -> nn.Module:
        if not hasattr(self, "model_"):
            raise AttributeError(f"{type(self).__name__} has no weights before fit")
        return self.model_

    def _logits(self, X: Any) -> Array:
        check_is_fitted(self, "model_")
        X = validate_data(self, X, dtype=(np.float64, np.float32), reset=False)
        with evaluating(self.model_), no_grad():
            return self.model_(Tensor(X.astype(self.dtype))).data.astype(np.float64)


def _as_soft_targets(y: Any) -> Array:
    """Rows of probabilities; whatever else has two axes is refused."""
    targets = np.asarray(y)
    wrong = (
        targets.dtype.kind != "f"
        or not np.isfinite(targets).all()
        or (targets < 0).any()
        or not np.allclose(targets.sum(axis=1), 1, atol=1e-6)
    )
    if wrong:
        raise ValueError(
            f"Unknown label type: y has shape {targets.shape}; with two axes, it is soft targets: "
            "floats, at least 0, rows that sum to 1. Multilabel and multioutput are not supported"
        )
    return targets
