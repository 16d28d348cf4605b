import re
import sys

import numpy as np
import pytest

from tinygrad_ce import Tensor, data, nn, optim
from tinygrad_ce import functional as F
from tinygrad_ce.train import History, accuracy, confusion_matrix, evaluate, fit, predict


def blobs(n=60, seed=0):
    """Three well separated classes in the plane."""
    rng = np.random.default_rng(seed)
    y = np.arange(n) % 3
    return np.array([[0.0, 3.0], [3.0, -2.0], [-3.0, -2.0]])[y] + rng.normal(0, 0.3, (n, 2)), y


def trainable(seed=0, lr=0.1):
    model = nn.MLP([2, 8, 3], rng=seed, dtype=np.float64)
    return model, optim.SGD(model.parameters(), lr=lr, momentum=0.9)


def weights(model):
    return {name: value.copy() for name, value in model.state_dict().items()}


def assert_unchanged(model, before):
    for name, value in model.state_dict().items():
        np.testing.assert_array_equal(value, before[name])


@pytest.fixture
def problem():
    X, y = blobs()
    model, optimizer = trainable()
    return model, optimizer, X, y


def test_training_separates_what_can_be_separated(problem):
    model, optimizer, X, y = problem
    history = fit(model, optimizer, X, y, epochs=20, batch_size=10, rng=0)
    assert history.loss[-1] < 0.05 < history.loss[0]
    assert accuracy(model, *blobs(seed=1)) == 1


def test_history_has_one_measure_an_epoch_and_ends_with_the_model_as_it_is(problem):
    model, optimizer, X, y = problem
    X_test, y_test = blobs(30, seed=1)
    history = fit(
        model, optimizer, X, y, epochs=3, batch_size=7, rng=0, X_test=X_test, y_test=y_test
    )
    assert [len(h) for h in history.columns().values()] == [3, 3, 3, 3, 3]
    assert (history.loss[-1], history.accuracy[-1]) == evaluate(model, X, y)
    assert (history.test_loss[-1], history.test_accuracy[-1]) == evaluate(model, X_test, y_test)


def test_history_without_a_test_set_has_no_test_measures(problem):
    history = fit(*problem, epochs=2, batch_size=60, rng=0)
    assert (history.test_loss, history.test_accuracy) == ([], [])


def test_one_epoch_of_one_batch_is_one_step_of_gradient_descent(problem):
    model, _, X, y = problem
    expected = {}
    twin = nn.MLP([2, 8, 3], rng=0, dtype=np.float64)
    loss = F.cross_entropy(twin(X), y)
    loss.backward()
    for name, parameter in twin.named_parameters():
        expected[name] = parameter.data - 0.5 * parameter.grad
    fit(model, optim.SGD(model.parameters(), lr=0.5), X, y, epochs=1, batch_size=60, rng=0)
    for name, parameter in model.named_parameters():
        np.testing.assert_allclose(parameter.data, expected[name], rtol=1e-12, atol=1e-14)


def test_same_seed_gives_the_same_numbers_and_another_seed_others():
    X, y = blobs()

    def run(seed):
        return fit(*trainable(), X, y, epochs=4, batch_size=8, rng=seed).loss

    assert run(1) == run(1)
    assert run(1) != run(2)


def test_each_epoch_has_an_order_of_its_own_from_a_seed_too():
    class Recorder(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(1, 2, rng=0)
            self.orders = []

        def forward(self, x):
            if self.training:
                self.orders.append(x.data[:, 0].tolist())
            return self.linear(x)

    model = Recorder()
    X, y = np.arange(30.0)[:, None], np.arange(30) % 2
    sgd = optim.SGD(model.parameters(), lr=1e-3)
    fit(model, sgd, X, y, epochs=2, batch_size=30, rng=0)
    first, second = model.orders
    assert first != second
    assert sorted(first) == sorted(second) == X[:, 0].tolist()


def test_a_python_list_is_a_training_set():
    model, optimizer = trainable()
    X, y = blobs(9)
    assert len(fit(model, optimizer, X.tolist(), y.tolist(), epochs=1, batch_size=4, rng=0).loss)


# ── What goes wrong ───────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"epochs": 0}, ValueError, "epochs is 0: expected at least 1"),
        ({"epochs": 2.0}, TypeError, "epochs is 2.0: expected an integer"),
        ({"epochs": True}, TypeError, "epochs is True: expected an integer"),
        ({"batch_size": 0}, ValueError, "batch_size is 0: expected at least 1"),
        ({"batch_size": "8"}, TypeError, "batch_size is '8': expected an integer"),
        ({"y": np.arange(60)}, IndexError, "out of range for 3 classes"),
        ({"y": np.zeros(60)}, TypeError, "labels are integers"),
        ({"y": np.zeros(59, int)}, ValueError, "label a row"),
        ({"y": np.zeros((60, 1), int)}, ValueError, "label a row"),
        ({"X": np.zeros((0, 2)), "y": np.zeros(0, int)}, ValueError, "no rows"),
        ({"X": np.zeros((60, 5))}, ValueError, None),
        ({"X_test": np.zeros((2, 2))}, ValueError, "X_test is given without y_test"),
        ({"y_test": np.zeros(2, int)}, ValueError, "y_test is given without X_test"),
        ({"X_test": np.zeros((2, 2)), "y_test": np.array([0, 3])}, IndexError, "target 3 at row 1"),
        ({"X_test": np.zeros((0, 2)), "y_test": np.zeros(0, int)}, ValueError, "none"),
    ],
)
def test_what_does_not_fit_is_refused_before_the_model_changes(problem, changes, error, message):
    model, optimizer, X, y = problem
    before = weights(model)
    arguments = {"X": X, "y": y, "epochs": 1, "batch_size": 8, "rng": 0} | changes
    with pytest.raises(error, match=message):
        fit(model, optimizer, **arguments)
    assert_unchanged(model, before)


def test_indices_that_the_model_refuses_are_refused_before_it_changes():
    model = nn.Sequential(nn.Embedding(5, 3, rng=0))
    X, y = np.append(np.zeros(59, int), 5), np.zeros(60, int)
    before = weights(model)
    with pytest.raises(IndexError, match="index 5 at row 59"):
        fit(model, optim.SGD(model.parameters(), lr=1), X, y, epochs=1, batch_size=1, rng=0)
    assert_unchanged(model, before)


@pytest.mark.parametrize("y", [np.zeros(60, int)[:, None], np.zeros((60, 2))])
def test_a_test_set_is_checked_as_the_training_set_is(problem, y):
    model, optimizer, *training_set = problem
    X = training_set[0]
    with pytest.raises(ValueError, match="label|shape"):
        fit(model, optimizer, *training_set, epochs=1, batch_size=8, rng=0, X_test=X, y_test=y)


def test_rows_are_checked_without_running_the_whole_set_through_the_model(problem):
    model, optimizer, X, y = problem
    sizes = []
    forward = model.forward
    model.forward = lambda x: sizes.append(len(x)) or forward(x)
    fit(model, optimizer, X, y, epochs=1, batch_size=60, rng=0)
    assert sizes == [2, 60, 60]


def test_an_optimizer_of_another_model_is_refused(problem):
    model, _, X, y = problem
    _, stranger = trainable()
    with pytest.raises(ValueError, match="none of the model's parameters"):
        fit(model, stranger, X, y, epochs=1, batch_size=8, rng=0)


def test_a_loss_of_nan_stops_the_training_before_the_step(problem):
    model, optimizer, X, y = problem
    before = weights(model)
    X[17, 1] = np.nan
    with pytest.raises(FloatingPointError, match=r"the loss is nan in epoch 1: lower the learning"):
        fit(model, optimizer, X, y, epochs=1, batch_size=60, rng=0)
    assert_unchanged(model, before)


def test_a_last_step_that_spoils_the_loss_does_not_pass_unseen(problem):
    model, optimizer, X, y = problem
    X[17, 1] = np.inf  # tanh makes the loss finite; the gradient is not
    with pytest.raises(FloatingPointError, match="epoch 1"):
        fit(model, optimizer, X, y, epochs=1, batch_size=60, rng=0)


# ── Measures ──────────────────────────────────────────────────────────────────────────────────────


class Dropping(nn.Module):
    """Right in evaluation mode, always wrong in training mode."""

    def __init__(self):
        super().__init__()
        self.inner = nn.Tanh()

    def forward(self, x):
        return self.inner(x) * (-1 if self.training else 1)


@pytest.mark.parametrize("training", [True, False])
def test_measuring_happens_in_evaluation_mode_and_leaves_the_mode_as_it_was(training):
    model = Dropping().train(training)
    X, y = np.eye(3), np.arange(3)
    assert accuracy(model, X, y) == 1
    assert (model.training, model.inner.training) == (training, training)


def test_measuring_records_no_graph(problem):
    model, _, X, y = problem
    evaluate(model, X, y)
    assert all(parameter.grad is None for parameter in model.parameters())


def test_predict_is_the_class_with_the_largest_logit():
    model = nn.Linear(2, 2, bias=False)
    model.weight.data = np.eye(2, dtype=np.float32)
    predicted = predict(model, np.array([[3.0, 1.0], [-2.0, -1.0]]))
    assert predicted.tolist() == [0, 1]
    assert predicted.dtype == np.int64


def test_evaluate_is_the_mean_cross_entropy_and_the_accuracy(problem):
    model, _, X, y = problem
    loss, share = evaluate(model, Tensor(X), y)
    assert loss == F.cross_entropy(model(X), y).item()
    assert share == accuracy(model, X, y)


def test_accuracy_of_no_rows_is_refused(problem):
    with pytest.raises(ValueError, match="there are none"):
        accuracy(problem[0], np.zeros((0, 2)), np.zeros(0, int))


def test_confusion_matrix_counts_true_classes_in_rows_and_predictions_in_columns():
    rng = np.random.default_rng(0)
    y, predicted = rng.integers(0, 4, 100), rng.integers(0, 4, 100)
    counts = confusion_matrix(y, predicted, 5)
    assert counts.shape == (5, 5)
    assert all(
        counts[i, j] == np.sum((y == i) & (predicted == j)) for i in range(5) for j in range(5)
    )


def test_confusion_matrix_of_no_rows_is_zero():
    assert confusion_matrix([], [], 2).tolist() == [[0, 0], [0, 0]]


@pytest.mark.parametrize(
    ("y", "predicted", "error", "message"),
    [
        ([0, 1], [0], ValueError, r"got \(2,\) and \(1,\)"),
        ([[0, 1]], [[0, 1]], ValueError, "one label and one prediction a row"),
        (
            [0, 1],
            [0, 3],
            IndexError,
            "the predicted label 3 at row 1 is out of range for 3",
        ),
        ([-1, 1], [0, 1], IndexError, "the true label -1 at row 0"),
        ([0.0, 1.0], [0, 1], TypeError, "the true ones are float64"),
    ],
)
def test_confusion_matrix_refuses_what_are_no_labels(y, predicted, error, message):
    with pytest.raises(error, match=message):
        confusion_matrix(y, predicted, 3)


# ── Progress ──────────────────────────────────────────────────────────────────────────────────────


def test_progress_shows_loss_and_accuracy_on_stderr(problem, capsys):
    history = fit(*problem, epochs=3, batch_size=8, rng=0, progress=True)
    out, err = capsys.readouterr()
    last = re.split(r"[\r\n]", err.strip())[-1]
    assert out == ""
    assert "3/3" in last
    assert f"loss {history.loss[-1]:.4f}, accuracy {history.accuracy[-1]:.3f}" in last


def test_progress_is_silent_without_tqdm(problem, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "tqdm", None)
    assert fit(*problem, epochs=2, batch_size=8, rng=0, progress=True).loss
    assert capsys.readouterr() == ("", "")


def test_progress_is_off_by_default(problem, capsys):
    fit(*problem, epochs=2, batch_size=8, rng=0)
    assert capsys.readouterr() == ("", "")


def test_a_history_starts_empty():
    assert History() == History([], [], [], [])


def test_float32_model_trains_on_float32_rows():
    X, y, _ = data.iris()
    model = nn.MLP([4, 8, 3], rng=0)
    sgd = optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    X = data.Standardizer().fit(X).transform(X)
    fit(model, sgd, X, y, epochs=30, batch_size=30, rng=0)
    assert accuracy(model, X, y) > 0.95
    assert all(parameter.dtype == np.float32 for parameter in model.parameters())
