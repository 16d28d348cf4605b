"""scikit-learn's MLPClassifier."""

from __future__ import annotations

import warnings

from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier
from work import ADAM_LR, BETA1, BETA2, EPS, Fit, Job


def fit(task: Fit) -> Job:
    """From its own first weights, which cannot be given; checked by those of the others.

    It sets out from weights that are there where it starts warm.
    """
    # It warns that it has not converged, which 30 epochs are not meant to do.
    warnings.simplefilter("ignore", ConvergenceWarning)

    def step() -> float:
        model = classifier(task, max_iter=task.epochs, random_state=0)
        return float(model.fit(task.X, task.y).score(task.X_test, task.y_test))

    def check() -> list[float]:
        model = classifier(task, max_iter=1, shuffle=False, warm_start=True)
        model.fit(task.X, task.y)
        model.coefs_ = [W.copy() for W in task.weights[::2]]
        model.intercepts_ = [b.copy() for b in task.weights[1::2]]
        model.set_params(max_iter=task.checked_epochs)
        return model.fit(task.X, task.y).loss_curve_[-task.checked_epochs :]

    return Job(step, check)


def classifier(task: Fit, **options: object) -> MLPClassifier:
    """Adam without regularisation, which goes through all epochs."""
    return MLPClassifier(
        [W.shape[1] for W in task.weights[:-2:2]],
        activation="tanh",
        solver="adam",
        alpha=0,
        batch_size=task.batch_size,
        learning_rate_init=ADAM_LR,
        beta_1=BETA1,
        beta_2=BETA2,
        epsilon=EPS,
        n_iter_no_change=task.epochs,
        tol=0,
        **options,
    )
