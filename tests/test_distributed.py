"""Training in shards: on one process, on threads in place of processes, and on MPI."""

import re
import subprocess
import sys
from functools import partial
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
import thread_processes
from mpi_process import mpirun

import tinygrad_ce as tg
from tinygrad_ce import distributed, nn, optim, train
from tinygrad_ce import functional as F
from tinygrad_ce.checkpoint import dumps
from tinygrad_ce.distributed import ShardedGradients, Shards
from tinygrad_ce.engine.tensor import set_values

PROCESSES = [1, 2, 4, 8]
IGNORED = -100
CLASS_WEIGHT = np.array([0.2, 1.0, 3.0])


def blobs(n=75, seed=0):
    """Three classes in the plane that overlap a little, of unequal sizes."""
    rng = np.random.default_rng(seed)
    y = rng.choice(3, n, p=[0.6, 0.3, 0.1])
    return np.array([[0.0, 2.0], [2.0, -1.0], [-2.0, -1.0]])[y] + rng.normal(0, 1, (n, 2)), y


def some_ignored(y, share=0.4, seed=0):
    return np.where(np.random.default_rng(seed).random(len(y)) < share, IGNORED, y)


class Scaled(nn.Module):
    """A loss of one's own, whose weight has nothing to do with classes."""

    def __init__(self):
        self.weight = tg.Tensor([2.0])

    def forward(self, logits, y):
        return self.weight * F.margin_cross_entropy(logits, y)


LOSSES = {
    "cross-entropy": F.cross_entropy,
    "smoothed": partial(F.cross_entropy, label_smoothing=0.1),
    "of class weights": nn.CrossEntropyLoss(weight=CLASS_WEIGHT),
    "of class weights, partial": partial(F.cross_entropy, weight=CLASS_WEIGHT),
    "with ignored rows": nn.CrossEntropyLoss(ignore_index=IGNORED),
    "with both": nn.CrossEntropyLoss(weight=CLASS_WEIGHT, ignore_index=IGNORED),
    "rows apart": nn.CrossEntropyLoss(weight=CLASS_WEIGHT, reduction="none"),
    "with a weight of its own": Scaled(),
    "of one's own": lambda logits, y: F.margin_cross_entropy(logits, y) ** 2,
}
OPTIMIZERS = {
    "sgd": partial(optim.SGD, lr=0.1),
    "momentum": partial(optim.SGD, lr=0.05, momentum=0.9, nesterov=True, weight_decay=0.01),
    "adam": partial(optim.Adam, lr=0.01),
    "adamw": partial(optim.AdamW, lr=0.01, weight_decay=0.1),
    "rmsprop": partial(optim.RMSprop, lr=0.01),
    "too fast": partial(optim.SGD, lr=1e30),
}


def make_model(dropout=0.0, dtype=np.float32, seed=0):
    rng = np.random.default_rng(seed)
    layers = [nn.Linear(2, 16, rng=rng, dtype=dtype), nn.Tanh(), nn.Dropout(dropout, rng=rng)]
    layers += [nn.Linear(16, 8, rng=rng, dtype=dtype), nn.ReLU(), nn.Dropout(dropout, rng=7)]
    return nn.Sequential(*layers, nn.Linear(8, 3, rng=rng, dtype=dtype))


def fit(
    comm=None,
    n_shards=8,
    *,
    model=None,
    optimizer="momentum",
    dropout=0.0,
    loss="smoothed",
    dtype=np.float32,
    cosine=False,
    patience=None,
    epochs=3,
    n=75,
    **options,
):
    """Train in shards, or with n_shards=None in none; return all that a checkpoint would hold."""
    X, y = blobs(n)
    if "ignored" in loss or "both" in loss:
        y = some_ignored(y)
    model = make_model(dropout, dtype) if model is None else model
    optimizer = OPTIMIZERS[optimizer](model.parameters())
    parts = {
        "scheduler": optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs) if cosine else None,
        "early_stopping": train.EarlyStopping(patience) if patience else None,
    }
    rng = np.random.default_rng(3)
    history = train.fit(
        model,
        optimizer,
        X.astype(dtype),
        y,
        epochs=epochs,
        rng=rng,
        loss=LOSSES[loss],
        **{"batch_size": 32} | parts | options,
        shards=None if n_shards is None else Shards(n_shards, comm),
    )
    return SimpleNamespace(
        model=model,
        history=history,
        bytes=dumps(model, optimizer=optimizer, rng=rng, history=history, **parts),
    )


def on_threads(size, **options):
    """What each of so many processes ends with."""
    return thread_processes.run(size, lambda comm: fit(comm, **options))


def gradients(model):
    return [p.grad for p in model.parameters()]


# ── The same bytes on any number of processes ─────────────────────────────────────────────────────


def random_case(seed):
    rng = np.random.default_rng(seed)
    loss = str(rng.choice([*LOSSES]))
    labelled = "ignored" not in loss and "both" not in loss
    weighted = labelled and loss in ("cross-entropy", "rows apart", "of one's own")
    return {
        "epochs": 2,
        "n_shards": int(rng.choice([4, 8, 16])),
        "n": int(rng.integers(40, 90)),
        "batch_size": int(rng.integers(16, 50)),
        "loss": loss,
        "optimizer": str(rng.choice([*OPTIMIZERS][:-1])),
        "dropout": float(rng.choice([0.0, 0.3])),
        "dtype": rng.choice([np.float32, np.float64]),
        "cosine": bool(rng.integers(2)),
        "patience": [None, 1][rng.integers(2)],
        "max_norm": [None, 0.5][rng.integers(2)],
        "class_weight": "balanced" if weighted and rng.integers(2) else None,
        "validation": 0.2 if labelled and rng.integers(2) else None,
        "evaluate_training": bool(rng.integers(2)),
        "compile": [None, False, True][rng.integers(3)],
    }


@pytest.mark.parametrize("seed", range(16))
def test_curve_weights_and_state_are_the_same_bytes_on_any_number_of_processes(seed):
    case = random_case(seed)
    expected = fit(**case)
    for size in PROCESSES:
        if size <= case["n_shards"]:
            for found in on_threads(size, **case):
                assert found.history == expected.history, (size, case)
                assert found.bytes == expected.bytes, (size, case)


def test_compiled_shards_are_the_eager_ones_bit_for_bit():
    runs = [fit(dropout=0.2, compile=compile).bytes for compile in (False, True, None)]
    assert runs[0] == runs[1] == runs[2]


@pytest.mark.parametrize("size", PROCESSES)
def test_shards_are_summed_in_pairs_in_the_order_of_their_numbers(size):
    values = 10.0 ** np.random.default_rng(0).uniform(-3, 3, 8)
    a, b, c, d, e, f, g, h = values
    expected = ((a + b) + (c + d)) + ((e + f) + (g + h))
    assert expected != sum(values)  # the order shows

    def total(comm):
        shards = Shards(8, comm)
        arrays = ([np.array([values[i]]), np.float32([i])] for i in shards._own)
        return shards._sum_in_pairs(arrays)

    for found in thread_processes.run(size, total):
        assert found[0].tolist() == [expected]
        assert (found[1].tolist(), found[1].dtype) == ([28.0], np.float32)


def test_another_number_of_shards_gives_other_last_digits_and_no_more():
    one, other = fit(n_shards=4), fit(n_shards=8)
    assert one.bytes != other.bytes
    np.testing.assert_allclose(one.history.loss, other.history.loss, rtol=1e-5)


def test_a_training_goes_on_in_another_number_of_processes(tmp_path):
    path = tmp_path / "checkpoint.safetensors"

    def save_at_2(comm):
        def save(training):
            if training.epoch == 2 and comm.rank == 0:
                training.save(path)
                training.stop()

        return fit(comm, dropout=0.3, optimizer="adam", epochs=5, callbacks=[save])

    def go_on(comm):
        run, (X, y) = tg.nn.load(path), blobs()
        parts = {"rng": run.rng, "history": run.history}
        train.fit(
            run.model,
            run.optimizer,
            X.astype(np.float32),
            y,
            epochs=5,
            batch_size=32,
            loss=LOSSES["smoothed"],
            shards=Shards(8, comm),
            **parts,
        )
        return dumps(
            run.model, optimizer=run.optimizer, **parts, scheduler=None, early_stopping=None
        )

    pytest.importorskip("safetensors")
    whole = fit(dropout=0.3, optimizer="adam", epochs=5)
    stopped = thread_processes.run(4, save_at_2)
    assert {run.history.stopped for run in stopped} == {"by a callback"}
    for found in thread_processes.run(2, go_on):
        assert found == whole.bytes


# ── The mean of the whole batch ───────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("n", [75, 66])  # of which the last batch has 11 rows, and 2
def test_shards_learn_what_whole_batches_do(loss, n):
    options = {"loss": loss, "dtype": np.float64, "n": n}
    shards, whole = fit(**options), fit(n_shards=None, **options)
    np.testing.assert_allclose(shards.history.loss, whole.history.loss, rtol=1e-11)
    assert shards.history.accuracy == whole.history.accuracy


@pytest.mark.parametrize("weights", ["class_weight", "sample_weight"])
def test_weights_of_rows_count_in_the_whole_batch(weights):
    given = "balanced" if weights == "class_weight" else np.random.default_rng(0).random(75) ** 4
    options = {"loss": "rows apart", "dtype": np.float64, weights: given}
    shards, whole = fit(**options), fit(n_shards=None, **options)
    np.testing.assert_allclose(shards.history.loss, whole.history.loss, rtol=1e-11)


@pytest.mark.parametrize("loss", ["of class weights", "with ignored rows", "with both"])
def test_the_mean_of_the_means_of_shards_would_be_another(loss):
    X, y = blobs(32)
    y, model = some_ignored(y), make_model(dtype=np.float64)
    y = np.maximum(y, 0) if loss == "of class weights" else y
    found = ShardedGradients(model, Shards(8), LOSSES[loss])(X, y)
    parts = [LOSSES[loss](model(X[i : i + 4]), y[i : i + 4]).item() for i in range(0, 32, 4)]
    whole = LOSSES[loss](model(X), y).item()
    assert found == pytest.approx(whole, rel=1e-13)
    assert np.mean(parts) != pytest.approx(whole, rel=1e-2)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("size", [1, 4])
def test_the_gradients_of_a_batch_are_those_of_the_whole(loss, size):
    X, y = blobs(13)
    y = some_ignored(y) if "ignored" in loss or "both" in loss else y
    whole = make_model(dtype=np.float64)
    LOSSES[loss](whole(X), y).mean().backward()

    def compute(comm):
        model = make_model(dtype=np.float64)
        ShardedGradients(model, Shards(8, comm), LOSSES[loss])(X, y)
        return gradients(model)

    for found in thread_processes.run(size, compute):
        for one, other in zip(found, gradients(whole), strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-10, atol=1e-14)


def test_shards_without_a_row_that_counts_add_nothing():
    X, y = blobs(16)
    y = np.where(np.arange(16) < 13, IGNORED, y)
    model, loss = make_model(dtype=np.float64), LOSSES["with ignored rows"]
    whole = loss(model(X), y).item()
    assert ShardedGradients(model, Shards(8), loss)(X, y) == pytest.approx(whole, rel=1e-13)
    weight = (np.arange(16) >= 13) * 0.5
    found = ShardedGradients(model, Shards(8))(X, np.maximum(y, 0), weight)
    assert found == pytest.approx(whole, rel=1e-13)


def test_evaluation_weighs_blocks_as_their_mean_does(monkeypatch):
    X, y = blobs(90)
    y, model, loss = some_ignored(y), make_model(dtype=np.float64), LOSSES["with both"]
    expected = train.evaluate(model, X, y, loss)
    monkeypatch.setattr(train.metrics, "BLOCK_ROWS", 7)
    found = train.evaluate(model, X, y, loss)
    assert found == pytest.approx(expected, rel=1e-13)
    assert loss(model.eval()(X), y).item() == pytest.approx(expected[0], rel=1e-13)


def test_a_parameter_that_the_loss_does_not_know_is_left_as_it_is():
    class Half(nn.Module):
        def __init__(self):
            self.used, self.unused = make_model(), nn.Linear(2, 2, rng=0)

        def forward(self, x):
            return self.used(x)

    before = Half().unused.state_dict()
    for run in thread_processes.run(2, lambda comm: fit(comm, model=Half(), optimizer="adamw")):
        assert run.model.unused.weight.grad is None
        for name, array in run.model.unused.state_dict().items():
            np.testing.assert_array_equal(array, before[name])


def test_gradients_that_someone_keeps_do_not_change():
    X, y = blobs(32)
    model = make_model()
    compute = ShardedGradients(model, Shards(4), compile=True)
    compute(X.astype(np.float32), y)
    kept = gradients(model)
    copies = [np.array(g) for g in kept]
    compute(X.astype(np.float32) + 1, y)
    for one, other in zip(kept, copies, strict=True):
        np.testing.assert_array_equal(one, other)


# ── What depends on the whole batch ───────────────────────────────────────────────────────────────


class Masks(nn.Module):
    """Keeps what dropout has let through."""

    def __init__(self, seed=5):
        self.linear = nn.Linear(2, 3, rng=0)
        self.layers = {"dropout": [nn.Dropout(0.5, rng=seed)]}
        self.seen = []

    def forward(self, x):
        mask = self.layers["dropout"][0](np.ones((len(x), 50)))
        self.seen.append(mask.data.tobytes())
        return self.linear(x)


@pytest.mark.parametrize("size", PROCESSES)
def test_dropout_draws_by_seed_step_and_shard(size):
    def draw(comm, seed=5):
        model = Masks(seed)
        compute = ShardedGradients(model, Shards(8, comm))
        for _ in range(3):
            compute(*blobs(16))
        rng = model.layers["dropout"][0].rng
        return np.reshape(model.seen, (3, -1)), rng.bit_generator.state

    expected, state = draw(None)
    assert len(set(expected.ravel())) == expected.size == 24
    assert not set(expected.ravel()) & set(draw(None, seed=6)[0].ravel())
    found = thread_processes.run(size, draw)
    np.testing.assert_array_equal(np.hstack([masks for masks, _ in found]), expected)
    assert all(other == state for _, other in found)


def test_batch_normalization_is_refused_before_anything_has_changed():
    model = nn.Sequential(nn.Linear(2, 4, rng=0), nn.BatchNorm1d(4), nn.Linear(4, 3, rng=0))
    before = model.state_dict()
    with pytest.raises(ValueError, match=r"BatchNorm1d\(4\) normalizes .* LayerNorm"):
        fit(model=model)
    for name, array in model.state_dict().items():
        np.testing.assert_array_equal(array, before[name])
    model.eval()  # which normalizes by constants
    ShardedGradients(model, Shards(4))(np.float32([[0, 1], [2, 3]]), [0, 1])


@pytest.mark.parametrize("compile", [False, True])
def test_a_layer_of_ones_own_with_running_averages_is_refused(compile):
    class Centered(nn.Module):
        def __init__(self):
            self.linear = nn.Linear(2, 3, rng=0)
            self.mean = tg.Tensor(np.zeros(2, np.float32))

        def forward(self, x):
            if self.training:
                set_values([self.mean], [0.5 * self.mean + 0.5 * x.detach().mean(0)])
            return self.linear(x - self.mean)

    model = Centered()
    before = model.state_dict()
    with pytest.raises(ValueError, match=r"mean.* changes with the rows of the batch"):
        fit(model=model, compile=compile)
    for name, array in model.state_dict().items():
        np.testing.assert_array_equal(array, before[name])


@pytest.mark.parametrize(
    "loss",
    [
        lambda logits, y: F.cross_entropy(logits, y, ignore_index=0),
        lambda logits, y: F.calculate_cross_entropy(F.one_hot(y, 3), F.softmax(logits)),
        nn.CrossEntropyLoss(reduction="sum"),
        partial(F.cross_entropy, reduction="sum"),
    ],
)
def test_a_loss_that_does_not_say_what_its_mean_is_divided_by_is_refused(loss):
    with pytest.raises(ValueError, match="return the loss of each row, as with reduction='none'"):
        ShardedGradients(make_model(), Shards(4), loss)(*blobs(8))


# ── What does not fit ─────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "n, size, said",
    [
        (3, 1, "the number of shards is a power of two, such as 8: got 3"),
        (0, 1, "the number of shards is 0: expected at least 1"),
        (8, 3, "3 processes do not fit 8 shards, which are computed by 1, 2, 4 or 8"),
        (4, 8, "8 processes do not fit 4 shards, which are computed by 1, 2 or 4"),
        (1, 2, "2 processes do not fit a single shard"),
    ],
)
def test_processes_that_do_not_fit_the_shards_are_refused(n, size, said):
    with pytest.raises(ValueError, match=said):
        thread_processes.run(size, partial(Shards, n))


def test_shards_are_the_same_in_all_processes():
    with pytest.raises(ValueError, match=r"the same in all processes: got \[4, 8\]"):
        thread_processes.run(2, lambda comm: Shards([4, 8][comm.rank], comm))


def test_a_batch_with_fewer_rows_than_shards_is_refused():
    with pytest.raises(ValueError, match="a batch of 4 rows cannot be cut into 8 shards"):
        fit(batch_size=4)
    with pytest.raises(ValueError, match="a batch of 6 rows cannot be cut into 8 shards"):
        fit(n=6)


def test_rows_and_targets_of_unequal_lengths_are_refused():
    X, y = blobs(16)
    compute = ShardedGradients(make_model(), Shards(4))
    with pytest.raises(ValueError, match="not one a row"):
        compute(X, y[:15])
    with pytest.raises(ValueError, match="not one a row"):
        compute(X, y, np.ones(15))


@pytest.mark.parametrize("what", ["weights", "an order of rows"])
def test_processes_that_begin_with_different_things_are_refused(what):
    def begin(comm):
        seed = comm.rank if what == "weights" else 0
        rng = comm.rank if what != "weights" else 0
        model, (X, y) = make_model(seed=seed), blobs()
        train.fit(
            model,
            optim.SGD(model.parameters(), 0.1),
            X,
            y,
            epochs=1,
            batch_size=32,
            rng=rng,
            shards=Shards(8, comm),
        )

    with pytest.raises(RuntimeError, match=f"process 1 has {what} that process 0 has not"):
        thread_processes.run(2, begin)


def test_one_process_that_stops_stops_all():
    def stop(comm):
        def callback(training):
            if comm.rank == 1 and training.epoch == 2:
                training.stop("by process 1")

        return fit(comm, epochs=9, callbacks=[callback]).history

    histories = thread_processes.run(4, stop)
    assert {(len(h), h.stopped) for h in histories} == {(2, "by process 1")}


def test_a_loss_that_is_not_finite_ends_all_processes():
    @np.errstate(over="ignore", invalid="ignore")
    def overflow(comm):
        return fit(comm, optimizer="too fast")

    with pytest.raises(FloatingPointError, match="lower the learning rate"):
        thread_processes.run(2, overflow)


# ── Starting ──────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def launched(monkeypatch):
    """As if mpiexec had started this process, and mpi4py were what a test says."""

    def launch(size="2", rank="1", mpi=None, runner=True):
        monkeypatch.setenv("PMI_SIZE", size)
        monkeypatch.setenv("PMI_RANK", rank)
        package = None
        if mpi is not None:
            package = ModuleType("mpi4py")
            package.MPI = mpi
        monkeypatch.setitem(sys.modules, "mpi4py", package)
        monkeypatch.setitem(sys.modules, "mpi4py.MPI", mpi)
        monkeypatch.delitem(sys.modules, "mpi4py.run", raising=False)
        if runner:
            monkeypatch.setitem(sys.modules, "mpi4py.run", ModuleType("mpi4py.run"))

    return launch


def fake_mpi(size):
    return SimpleNamespace(COMM_WORLD=SimpleNamespace(size=size, rank=size - 1))


def test_a_process_that_nobody_launched_is_alone():
    assert isinstance(distributed.connect(), distributed.OneProcess)


def test_the_communicator_of_mpi_is_found(launched):
    mpi = fake_mpi(2)
    launched(mpi=mpi)
    assert distributed.connect() is mpi.COMM_WORLD


def test_without_mpi4py_the_extra_is_named(launched):
    launched()
    with pytest.raises(ImportError, match=r"tinygrad-ce\[mpi\]"):
        Shards()


def test_without_a_library_of_mpi_it_is_said_where_to_get_one(launched, monkeypatch):
    class NoLibrary(ModuleType):
        def __getattr__(self, name):
            raise RuntimeError("cannot load MPI library\nlibmpi.so: none")

    launched()
    monkeypatch.setitem(sys.modules, "mpi4py", NoLibrary("mpi4py"))
    monkeypatch.delitem(sys.modules, "mpi4py.MPI")
    with pytest.raises(
        ImportError, match=r"install mpich; cannot load MPI library; libmpi\.so: none$"
    ):
        distributed.connect()


def test_processes_of_another_mpi_are_not_taken_for_single_ones(launched):
    launched(size="4", mpi=fake_mpi(1))
    with pytest.raises(
        RuntimeError, match=r"has started 4 processes, and .* each of them is alone"
    ):
        distributed.connect()


def test_without_the_runner_of_mpi4py_several_processes_are_refused(launched):
    launched(mpi=fake_mpi(2), runner=False)
    with pytest.raises(RuntimeError, match=r"mpiexec -n 2 python -m mpi4py script\.py"):
        distributed.connect()
    launched(size="1", mpi=fake_mpi(1), runner=False)
    assert distributed.connect().size == 1  # one process leaves nobody waiting


# ── On MPI ────────────────────────────────────────────────────────────────────────────────────────

SCRIPT = Path(__file__).with_name("mpi_training.py")


def checksums(done):
    """The checksum of each process."""
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The checksum of a training that one process has done, without MPI, and nobody ended."""
    command = [sys.executable, SCRIPT, tmp_path_factory.mktemp("whole") / "checkpoint"]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", check=True)
    (checksum,) = checksums(done)
    return checksum


@pytest.mark.slow
@pytest.mark.parametrize("size", [1, 2, 4])
def test_processes_of_mpi_end_with_the_same_bytes(tmp_path, whole, size):
    done = mpirun(size, SCRIPT, tmp_path / "checkpoint")
    assert checksums(done) == [whole] * size


@pytest.mark.slow
@pytest.mark.parametrize("end, said", [("raise", "ZeroDivisionError"), ("die", "KILLED|Killed")])
def test_a_process_that_ends_ends_all_and_the_training_goes_on_bit_for_bit(
    tmp_path, whole, end, said
):
    path = tmp_path / "checkpoint"
    done = mpirun(2, SCRIPT, path, end)
    assert done.returncode != 0
    assert re.search(said, done.stderr + done.stdout)
    assert nn.load(path).epoch in (2, 3)
    assert [*tmp_path.iterdir()] == [path]
    command = [sys.executable, SCRIPT, path]
    resumed = subprocess.run(command, capture_output=True, encoding="utf-8", check=False)
    assert checksums(resumed) == [whole]


@pytest.mark.slow
def test_without_the_runner_all_processes_say_how_to_start(tmp_path):
    done = mpirun(2, SCRIPT, tmp_path / "checkpoint", runner=False)
    assert done.returncode != 0
    assert "mpiexec -n 2 python -m mpi4py script.py" in done.stderr
    assert not [*tmp_path.iterdir()]


FAILING = """
import sys
from tinygrad_ce.distributed import connect, report
comm = connect()
if comm.rank in {failing}:
    report("something is wrong")
    sys.exit(3)
comm.Barrier()
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    "failing, line", [([1], "something is wrong (in process 1)"), ([0, 1], "something is wrong")]
)
def test_what_has_failed_is_said_once(failing, line):
    done = mpirun(2, "-c", FAILING.format(failing=failing))
    assert done.returncode == 3
    assert [said for said in done.stderr.splitlines() if "something" in said] == [line]
