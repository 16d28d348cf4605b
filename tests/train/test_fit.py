import math
import re
import signal
import sys
from xml.etree import ElementTree

import numpy as np
import pytest

from tinygrad_ce import Tensor, data, nn, optim
from tinygrad_ce import functional as F
from tinygrad_ce.train import (
    EarlyStopping,
    History,
    accuracy,
    confusion_matrix,
    evaluate,
    fit,
    metrics,
    predict,
)

SVG = "{http://www.w3.org/2000/svg}"


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
    with pytest.raises(ValueError, match=r"label|shape"):
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


# ── What fit can do besides ───────────────────────────────────────────────────────────────────────


def run(X, y, seed=0, lr=0.1, **more):
    model, optimizer = trainable(lr=lr)
    arguments = {"epochs": 5, "batch_size": 16, "rng": seed} | more
    history = fit(model, optimizer, X, y, **arguments)
    return weights(model), history


def same(one, other):
    return all(np.array_equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("compile", [None, False, "numpy"])
def test_compiled_training_is_the_eager_one_bit_for_bit(compile):
    X, y = blobs()
    expected, history = run(X, y, compile=True, epochs=20)
    found, other = run(X, y, compile=compile, epochs=20)
    assert same(found, expected)
    assert history == other


def test_long_trainings_are_compiled_and_short_ones_are_not(monkeypatch):
    from tinygrad_ce.train import steps

    recorded = []
    monkeypatch.setattr(steps, "COMPILED_FROM", 50)
    original = steps.Compilable.__call__

    def spy(self, *arguments):
        result = original(self, *arguments)
        recorded.append(self.compiled._latest is not None)
        return result

    monkeypatch.setattr(steps.Compilable, "__call__", spy)
    X, y = blobs()
    run(X, y, epochs=10)  # 30 full batches and 10 short ones
    assert not any(recorded)
    recorded.clear()
    run(X, y, epochs=20)
    assert any(recorded)


def test_a_step_that_cannot_be_compiled_runs_as_it_is():
    class Reading(nn.Module):
        def __init__(self):
            self.linear = nn.Linear(2, 3, rng=0)

        def forward(self, x):
            z = self.linear(x)
            return z * 2 if float(z.data.max()) > 100 else z

    X, y = blobs()
    model = Reading()
    sgd = optim.SGD(model.parameters(), lr=0.1)
    fit(model, sgd, X, y, epochs=200, batch_size=15, rng=0)
    assert accuracy(model, X, y) > 0.9


def test_sample_weights_are_those_of_the_weighted_mean():
    X, y = blobs()
    weight = np.random.default_rng(0).random(60)
    found, _ = run(X, y, sample_weight=weight, epochs=1, batch_size=60)
    twin, _ = trainable()
    losses = F.cross_entropy(twin(X), y, reduction="none")
    ((losses * weight).sum() / weight.sum()).backward()
    for name, parameter in twin.named_parameters():
        expected = parameter.data - 0.1 * parameter.grad
        np.testing.assert_allclose(found[name], expected, rtol=1e-12, atol=1e-14)


def test_rows_of_weight_0_are_not_learned_from():
    X, y = blobs()
    wrong = np.where(np.arange(60) < 30, 0, y)
    weight = np.where(np.arange(60) < 30, 0.0, 1.0)
    model, optimizer = trainable()
    fit(model, optimizer, X, wrong, epochs=30, batch_size=4, rng=0, sample_weight=weight)
    assert accuracy(model, X[30:], y[30:]) == 1
    assert accuracy(model, X[:30], y[:30]) > 0.9


def test_class_weights_are_weights_of_rows():
    X, y = blobs()
    y[5:] %= 2
    of_class = np.array([1.0, 2.0, 5.0])
    expected, _ = run(X, y, sample_weight=of_class[y])
    for given in (of_class, [1, 2, 5], {1: 2, 2: 5}):
        assert same(run(X, y, class_weight=given)[0], expected)
    counts = np.bincount(y)
    balanced, _ = run(X, y, sample_weight=(60 / (3 * counts))[y])
    assert same(run(X, y, class_weight="balanced")[0], balanced)


def test_any_loss_is_minimized():
    X, y = blobs()
    smooth, _ = run(X, y, loss=nn.CrossEntropyLoss(label_smoothing=0.1))
    assert not same(smooth, run(X, y)[0])
    per_row, _ = run(X, y, loss=nn.CrossEntropyLoss(reduction="none"))
    for name, value in run(X, y)[0].items():
        np.testing.assert_allclose(per_row[name], value, rtol=1e-12, atol=1e-14)
    with pytest.raises(ValueError, match="weights need the loss of each row"):
        run(X, y, loss=nn.CrossEntropyLoss(), sample_weight=np.ones(60))


def test_distributions_are_targets():
    X, y = blobs()
    hard, _ = run(X, np.eye(3)[y])
    for name, value in run(X, y)[0].items():
        np.testing.assert_allclose(hard[name], value, rtol=1e-10, atol=1e-12)


def test_validation_rows_are_not_trained_on():
    X, y = blobs()
    model, optimizer = trainable()
    seen = set()
    forward = model.forward

    def spy(x):
        if model.training:
            seen.update(x.data[:, 0].tolist())
        return forward(x)

    model.forward = spy
    history = fit(model, optimizer, X, y, epochs=2, batch_size=8, rng=0, validation=0.25)
    assert len(seen) == 45
    assert len(history.test_loss) == 2
    with pytest.raises(ValueError, match="validation takes rows of the training set"):
        fit(model, optimizer, X, y, epochs=1, batch_size=8, rng=0, validation=0.2, X_test=X,
            y_test=y)  # fmt: skip


def test_early_stopping_ends_and_goes_back_to_the_best_epoch():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(40, 2)), rng.integers(0, 3, 40)  # nothing but noise to learn
    X_test, y_test = rng.normal(size=(40, 2)), rng.integers(0, 3, 40)
    model, optimizer = trainable(lr=0.5)
    stopping = EarlyStopping(patience=4)
    history = fit(model, optimizer, X, y, epochs=300, batch_size=8, rng=0, X_test=X_test,
                  y_test=y_test, early_stopping=stopping)  # fmt: skip
    assert len(history) < 300
    assert history.stopped == f"no better than after epoch {stopping.best_epoch}"
    assert min(history.test_loss) == history.test_loss[stopping.best_epoch - 1]
    assert evaluate(model, X_test, y_test)[0] == min(history.test_loss)


def test_gradients_are_clipped():
    X, y = blobs()
    before = trainable()[0].state_dict()
    clipped, _ = run(X, y, epochs=1, batch_size=60, lr=1.0, max_norm=1e-3)
    moved = np.sqrt(sum(np.square(clipped[name] - before[name]).sum() for name in before))
    assert moved == pytest.approx(1e-3, rel=1e-2)


def test_schedules_step_each_epoch_or_each_batch():
    X, y = blobs()
    for each, steps in (("epoch", 3), ("batch", 12)):
        model, optimizer = trainable()
        schedule = optim.lr_scheduler.ExponentialLR(optimizer, 0.5)
        history = fit(model, optimizer, X, y, epochs=3, batch_size=15, rng=0, scheduler=schedule,
                      schedule_each=each)  # fmt: skip
        assert optimizer.lr == 0.1 * 0.5**steps
        assert history.lr[0] == 0.1
    model, optimizer = trainable()
    plateau = optim.lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.5, patience=0, threshold=9)
    fit(model, optimizer, X, y, epochs=3, batch_size=15, rng=0, scheduler=plateau)
    assert optimizer.lr < 0.1


def test_callbacks_see_each_epoch_and_can_stop():
    X, y = blobs()
    seen = []

    def look(training):
        seen.append((training.epoch, training.history.loss[-1]))
        if training.epoch == 3:
            training.stop("enough")

    _, history = run(X, y, callbacks=[look])
    assert seen == [*enumerate(history.loss, 1)]
    assert (len(history), history.stopped) == (3, "enough")


def test_a_history_goes_on():
    X, y = blobs()
    model, optimizer = trainable()
    rng = np.random.default_rng(0)
    history = fit(model, optimizer, X, y, epochs=2, batch_size=16, rng=rng)
    assert fit(model, optimizer, X, y, epochs=5, batch_size=16, rng=rng, history=history) is history
    expected, whole = run(X, y)
    assert history == whole
    assert same(weights(model), expected)


def test_rows_keep_their_order_without_shuffle():
    X, y = blobs()
    assert same(run(X, y, seed=0, shuffle=False)[0], run(X, y, seed=1, shuffle=False)[0])


def test_without_a_pass_over_the_training_set_the_loss_is_that_of_the_batches():
    X, y = blobs()
    _, history = run(X, y, evaluate_training=False, epochs=1, batch_size=60)
    expected = F.cross_entropy(trainable()[0](X), y).item()
    assert history.loss == [pytest.approx(expected, rel=1e-14)]
    assert history.accuracy == []


@pytest.mark.parametrize("compile", [False, True])
def test_a_loss_that_is_not_finite_leaves_the_model_as_before_the_batch(problem, compile):
    model, optimizer, X, y = problem
    before = weights(model)
    X[17, 1] = np.nan
    with pytest.raises(FloatingPointError, match="the loss is nan in epoch 1"):
        fit(model, optimizer, X, y, epochs=1, batch_size=60, rng=0, compile=compile)
    assert_unchanged(model, before)


def test_ctrl_c_ends_the_epoch_and_keeps_what_was_learned(capsys):
    X, y = blobs()
    handler = signal.getsignal(signal.SIGINT)
    done = []

    def press(training):
        done.append(training.epoch)
        if training.epoch == 2:
            signal.raise_signal(signal.SIGINT)

    found, history = run(X, y, epochs=50, callbacks=[press])
    assert done == [1, 2, 3]
    assert (len(history), history.stopped) == (3, "interrupted")
    assert same(found, run(X, y, epochs=3)[0])
    assert signal.getsignal(signal.SIGINT) is handler
    assert "finishing the epoch" in capsys.readouterr().err


def test_a_second_ctrl_c_stops_at_once():
    X, y = blobs()
    handler = signal.getsignal(signal.SIGINT)

    def press(training):
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        run(X, y, callbacks=[press])
    assert signal.getsignal(signal.SIGINT) is handler


def test_rows_on_disk_give_what_rows_in_memory_give(tmp_path, monkeypatch):
    X, y = blobs()
    np.save(tmp_path / "X.npy", X)
    on_disk = np.load(tmp_path / "X.npy", mmap_mode="r")
    monkeypatch.setattr(metrics, "BLOCK_ROWS", 50)
    expected, history = run(X, y, validation=0.2)
    found, other = run(on_disk, y, validation=0.2)
    assert same(found, expected)
    assert history == other
    monkeypatch.setattr(metrics, "BLOCK_ROWS", 7)
    model, _ = trainable()
    whole = F.cross_entropy(model(X), y).item()
    assert evaluate(model, on_disk, y)[0] == pytest.approx(whole, rel=1e-14)
    np.testing.assert_array_equal(predict(model, on_disk), model(X).data.argmax(1))


@pytest.mark.parametrize(
    ("more", "error", "message"),
    [
        ({"sample_weight": np.ones(59)}, ValueError, r"sample_weight has shape \(59,\)"),
        ({"sample_weight": -np.ones(60)}, ValueError, r"sample_weight\[0\] is -1.0: expected"),
        ({"sample_weight": np.zeros(60)}, ValueError, "all weights are 0"),
        ({"sample_weight": ["a"] * 60}, TypeError, "sample_weight: real numbers"),
        ({"class_weight": [1.0]}, ValueError, "expected a weight for each class"),
        ({"class_weight": "equal"}, ValueError, "class_weight is one of balanced"),
        ({"class_weight": [1, 1, np.nan]}, ValueError, r"class_weight\[2\] is nan"),
        ({"validation": 1.5}, ValueError, "test_size"),
        ({"loss": 3}, TypeError, "loss is a function"),
        ({"max_norm": -1}, ValueError, "max_norm"),
        ({"schedule_each": "step"}, ValueError, "schedule_each is one of epoch, batch"),
        ({"early_stopping": 3}, TypeError, "early_stopping"),
        ({"history": []}, TypeError, "history"),
        ({"shuffle": None}, TypeError, "shuffle is True or False"),
    ],
)
def test_options_that_do_not_fit_are_refused_before_the_model_changes(
    problem, more, error, message
):
    model, optimizer, X, y = problem
    before = weights(model)
    with pytest.raises(error, match=message):
        fit(model, optimizer, X, y, epochs=1, batch_size=8, rng=0, **more)
    assert_unchanged(model, before)


# ── History ───────────────────────────────────────────────────────────────────────────────────────


def test_a_history_prints_as_a_table_and_draws_as_a_chart():
    X, y = blobs()
    _, history = run(X, y, epochs=30, validation=0.2)
    lines = str(history).splitlines()
    assert lines[0].split() == [
        "epoch",
        "loss",
        "accuracy",
        "test",
        "loss",
        "test",
        "accuracy",
        "learning",
        "rate",
    ]
    assert len(lines) == 22
    assert lines[-1].split()[:2] == ["30", f"{history.loss[-1]:.4f}"]
    bundle = history._repr_mimebundle_()
    assert bundle == {"image/svg+xml": history.svg(), "text/plain": str(history)}
    charts = ElementTree.fromstring(history.svg()).findall(f"{SVG}g")
    assert [chart.findtext(f"{SVG}text") for chart in charts] == ["loss", "accuracy"]
    for chart in charts:
        training, test = (
            [path.get("d") for path in chart.iter(f"{SVG}path") if path.get("class") == kind]
            for kind in ("line", "line test")
        )
        assert [len(re.findall(r"[ML]", line)) for line in training] == [30, 1]  # and its legend
        assert [len(re.findall(r"[ML]", line)) for line in test] == [30, 1]


def test_the_ticks_of_a_chart_are_round_numbers_around_the_lines():
    history = History(loss=[0.83, 0.31, 0.12], accuracy=[0.61, 0.9, 0.97])
    loss, accuracy = ElementTree.fromstring(history.svg()).findall(f"{SVG}g")
    ticks = [
        [t.text for t in chart.iter(f"{SVG}text") if t.get("class") == kind]
        for chart in (loss, accuracy)
        for kind in ("end", "middle")
    ]
    assert ticks == [
        *(["0", "0.2", "0.4", "0.6", "0.8", "1", "epoch"], ["1", "2", "3"]),
        *(["0.6", "0.7", "0.8", "0.9", "1", "epoch"], ["1", "2", "3"]),
    ]


@pytest.mark.parametrize(
    "losses", [[], [0.5], [0.0, 0.0], [1.0, math.inf], [math.nan], [1e-300, 1e300], [3e-9] * 4]
)
def test_histories_of_any_length_print_and_draw(losses):
    history = History(loss=losses, accuracy=[1.0] * len(losses))
    assert "epoch" in str(history)
    assert repr(history).startswith(f"<History of {len(losses)} epoch")
    assert len(repr(history)) < 80
    assert len(str(history)) < 150
    assert ("image/svg+xml" in history._repr_mimebundle_()) == bool(losses)
    assert ElementTree.fromstring(history.svg()).tag == f"{SVG}svg"
    assert not re.search(
        "nan|inf", re.sub("<style>.*?</style>", "", history.svg(), flags=re.DOTALL)
    )
