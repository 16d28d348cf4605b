"""Checkpoints: what comes back, that a training goes on bit for bit, and what is refused."""

import json
import pickle
import shutil
import sys
from itertools import product

import numpy as np
import pytest

from tinygrad_ce import Tensor, data, nn, optim, train
from tinygrad_ce import functional as F
from tinygrad_ce.optim import lr_scheduler

safetensors = pytest.importorskip("safetensors.numpy")

X, y, NAMES = data.iris()
X = data.Standardizer().fit(X).transform(X)
EPOCHS, INTERRUPTED = 10, 4


# ── Training goes on bit for bit ──────────────────────────────────────────────────────────────────


def network():
    rng = np.random.default_rng(1)
    return nn.Sequential(
        nn.Linear(4, 12, rng=rng),
        nn.BatchNorm1d(12),
        nn.ReLU(),
        nn.Dropout(0.3, rng=rng),
        nn.Linear(12, 3, rng=rng),
    )


OPTIMIZERS = {
    "SGD": lambda params: optim.SGD(params, 0.05, momentum=0.9, weight_decay=1e-3),
    "Adam": lambda params: optim.Adam(params, 1e-2),
    "AdamW": lambda params: optim.AdamW(params, 1e-2),
    "groups": lambda params: optim.Adam(
        [{"params": params[:2]}, {"params": params[2:], "lr": 5e-3}], 1e-2
    ),
}
SCHEDULES = {
    "none": (lambda optimizer: None, "epoch"),
    "cosine": (lambda optimizer: lr_scheduler.CosineAnnealingLR(optimizer, EPOCHS), "epoch"),
    "one cycle": (lambda o: lr_scheduler.OneCycleLR(o, 0.05, total_steps=5 * EPOCHS), "batch"),
    "plateau": (lambda o: lr_scheduler.ReduceLROnPlateau(o, patience=1), "epoch"),
}


class EndedError(Exception):
    pass


def settings(parts, compile, schedule_each, callbacks=()):
    return {
        "rng": parts["rng"],
        "scheduler": parts["scheduler"],
        "early_stopping": parts["early_stopping"],
        "schedule_each": schedule_each,
        "epochs": EPOCHS,
        "batch_size": 25,
        "validation": 0.2,
        "compile": compile,
        "callbacks": callbacks,
    }


def start(optimizer, schedule):
    model = network()
    made = OPTIMIZERS[optimizer](model.parameters())
    return {
        "model": model,
        "optimizer": made,
        "scheduler": SCHEDULES[schedule][0](made),
        "early_stopping": train.EarlyStopping(patience=3),
        "rng": model[3].rng,  # one generator for the rows and the dropout
    }


def run_whole(optimizer, schedule, compile):
    parts = start(optimizer, schedule)
    more = settings(parts, compile, SCHEDULES[schedule][1])
    return parts["model"], train.fit(parts["model"], parts["optimizer"], X, y, **more)


def run_in_two(optimizer, schedule, compile, path):
    parts = start(optimizer, schedule)

    def interrupt(training):
        training.save(path)
        if training.epoch == INTERRUPTED:
            raise EndedError

    more = settings(parts, compile, SCHEDULES[schedule][1], [interrupt])
    with pytest.raises(EndedError):
        train.fit(parts["model"], parts["optimizer"], X, y, **more)
    run = nn.load(path)
    assert run.epoch == INTERRUPTED
    more = settings(vars(run), compile, SCHEDULES[schedule][1])
    history = train.fit(run.model, run.optimizer, X, y, history=run.history, **more)
    return run.model, history


def assert_same_bits(one, other):
    assert one.keys() == other.keys()
    for name, value in one.items():
        assert value.dtype == other[name].dtype
        assert value.tobytes() == other[name].tobytes(), name


BACKENDS = (False, "numpy", *(["c"] if shutil.which("cc") else []))
COMBINATIONS = [*product(OPTIMIZERS, SCHEDULES, BACKENDS)]
COMBINATIONS = [
    pytest.param(*c, marks=[] if c[0] == "Adam" and c[2] is False else [pytest.mark.slow])
    for c in COMBINATIONS
]


@pytest.mark.parametrize(("optimizer", "schedule", "compile"), COMBINATIONS)
def test_interrupted_training_goes_on_bit_for_bit(optimizer, schedule, compile, tmp_path):
    model, history = run_whole(optimizer, schedule, compile)
    other, other_history = run_in_two(optimizer, schedule, compile, tmp_path / "run.safetensors")
    assert history == other_history
    assert history.stopped == other_history.stopped
    assert_same_bits(model.state_dict(), other.state_dict())


def test_early_stopping_that_had_run_out_stops_at_once(tmp_path):
    parts = start("SGD", "none")
    parts["early_stopping"].patience = 1
    path = tmp_path / "run.safetensors"
    more = settings(parts, False, "epoch", [lambda training: training.save(path)])
    more["epochs"] = 200
    history = train.fit(parts["model"], parts["optimizer"], X, y, **more)
    assert history.stopped.startswith("no better than after epoch")
    run = nn.load(path)
    assert run.epoch == len(history) < 200
    more = settings(vars(run), False, "epoch") | {"epochs": 200}
    again = train.fit(run.model, run.optimizer, X, y, history=run.history, **more)
    assert again == history
    assert_same_bits(run.model.state_dict(), parts["model"].state_dict())


# ── What comes back ───────────────────────────────────────────────────────────────────────────────


def round_trip(path, model=None, **parts):
    nn.save(path, model or nn.Linear(2, 2, rng=0), **parts)
    return nn.load(path)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.safetensors"


DTYPES = ["?", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8", ">f4", ">i8"]
SHAPES = [(), (1,), (0,), (3, 2), (2, 0, 3), (2, 3, 4)]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_arrays_come_back_in_dtype_shape_and_bits(dtype, shape, path):
    array = np.random.default_rng(0).integers(0, 99, shape).astype(dtype)
    arrays = {"plain": array, "fortran": np.asfortranarray(array), "strided": array[..., None].T}
    extra = round_trip(path, extra=arrays).extra
    for name, expected in arrays.items():
        assert extra[name].dtype == expected.dtype
        assert extra[name].shape == expected.shape
        np.testing.assert_array_equal(extra[name], expected)


VALUES = [
    None,
    True,
    0,
    2**130,
    -0.0,
    0.1,
    float("inf"),
    "∂ \n \0 text",
    [],
    [1, [2.0, None]],
    (1, ("a",)),
    {"a": {"b": [True]}},
    np.float32(0.1),
    np.int8(-3),
]


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_plain_values_come_back_as_what_they_were(value, path):
    found = round_trip(path, extra={"value": value}).extra["value"]
    assert repr(found) == repr(value)
    assert type(found) is type(value)


def test_nan_comes_back(path):
    assert np.isnan(round_trip(path, extra={"value": float("nan")}).extra["value"])


@pytest.mark.parametrize("kind", ["PCG64", "PCG64DXSM", "MT19937", "Philox", "SFC64"])
def test_generators_go_on_where_they_were(kind, path):
    rng = np.random.Generator(getattr(np.random, kind)(5))
    rng.random(7, np.float32)  # leaves half of a number behind
    found = round_trip(path, rng=rng).rng
    assert found.random(3, np.float32).tolist() == rng.random(3, np.float32).tolist()
    np.testing.assert_array_equal(found.permutation(100), rng.permutation(100))
    assert found.spawn(1)[0].integers(2**60) == rng.spawn(1)[0].integers(2**60)


def test_what_is_shared_is_shared_again(path):
    layer = nn.Linear(3, 3, rng=0)
    rng = np.random.default_rng(0)
    model = nn.Sequential(layer, nn.Dropout(0.5, rng=rng), layer, nn.Dropout(0.5, rng=rng))
    found = round_trip(path, model, optimizer=optim.SGD(model.parameters(), 0.1), rng=rng)
    assert found.model[0] is found.model[2]
    assert found.model[1].rng is found.model[3].rng is found.rng
    for parameter, other in zip(found.model.parameters(), found.optimizer.params, strict=True):
        assert parameter is other


def test_modes_frozen_parameters_and_names_come_back(path):
    model = network()
    model[1].eval()
    model[0].weight.requires_grad = False
    found = round_trip(path, model).model
    assert [m.training for m in found.modules()] == [m.training for m in model.modules()]
    assert repr([*found.named_parameters()]) == repr([*model.named_parameters()])
    assert repr(found) == repr(model)


LAYERS = [
    lambda: nn.MLP([4, 5, 3], activation="relu", rng=0, dtype=np.float64),
    lambda: nn.Sequential(nn.Embedding(7, 2, rng=0), nn.Flatten(), nn.Linear(4, 3, rng=0)),
    lambda: nn.Sequential(nn.Linear(4, 3, bias=False, rng=0), nn.LayerNorm(3), nn.GELU()),
    lambda: nn.Sequential(nn.Linear(4, 3, rng=0), nn.LeakyReLU(0.3), nn.ELU(), nn.Softplus()),
]


@pytest.mark.parametrize("make", LAYERS)
def test_every_kind_of_layer_comes_back_with_its_output(make, path):
    model = make()
    rows = np.array([[1, 2], [3, 6]]) if isinstance(model[0], nn.Embedding) else np.ones((2, 4))
    found = round_trip(path, model).model
    assert found(rows).data.tobytes() == model(rows).data.tobytes()


def test_the_file_is_a_safetensors_file_with_the_names_of_the_state_dict(path):
    model = nn.MLP([4, 5, 3], rng=0)
    nn.save(path, model)
    arrays = safetensors.load_file(path)
    assert {name.removeprefix("model."): a.tolist() for name, a in arrays.items()} == {
        name: a.tolist() for name, a in model.state_dict().items()
    }


def test_raw_rows_are_predicted_at_once(path):
    table = data.as_table(
        {"size": [1.0, 2.0, 8.0, 9.0], "color": ["red", "red", "blue", "blue"]},
        ["small", "small", "large", "large"],
    )
    standardizer = data.Standardizer().fit(table.X)
    model = nn.Linear(3, 2, rng=0)
    rows = standardizer.transform(table.X).astype(np.float32)
    train.fit(model, optim.Adam(model.parameters(), 0.1), rows, table.y, epochs=30, batch_size=4,
              rng=0)  # fmt: skip
    found = round_trip(path, model, encoder=table.encoder, standardizer=standardizer)
    assert found.predict([{"size": 1.5, "color": "red"}]).tolist() == ["small"]
    assert found.predict_proba([[8.5, "blue"]]).shape == (1, 2)
    assert found.encoder == table.encoder
    assert found.model.training


class Scaled(nn.Module):
    def __init__(self):
        self.linear = nn.Linear(2, 2, rng=0)
        self.factor = 3

    def forward(self, x):
        return self.linear(x) * self.factor


def test_a_class_of_ones_own_is_given(path):
    nn.save(path, Scaled())
    with pytest.raises(TypeError, match=r"class 'Scaled', .* load\(path, classes=\[MyModule\]\)"):
        nn.load(path)
    rows = np.ones((1, 2), np.float32)
    assert nn.load(path, [Scaled]).model(rows).data.tolist() == Scaled()(rows).data.tolist()


# ── What is refused ───────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        ({"f": len}, "extra.f is <built-in function len>"),
        ({"f": lambda: 0}, r"extra.f is <function"),
        ({"c": complex}, "extra.c is <class 'complex'>"),
        ({"a": np.zeros(2, complex)}, "extra.a holds complex128"),
        ({"a": np.array([None])}, "extra.a holds object"),
        ({"a": np.zeros(1, np.longdouble)}, "extra.a holds"),
        ({"d": {1: 2}}, "extra.d has the key 1"),
        ({"t": Tensor(1.0, True) * 2}, "extra.t is the result of an operation"),
    ],
)
def test_what_a_file_cannot_hold_is_refused_before_it_is_written(extra, message, path):
    with pytest.raises(TypeError, match=message):
        nn.save(path, nn.Linear(2, 2), extra=extra)
    assert not path.exists()


def test_an_unknown_part_is_refused(path):
    with pytest.raises(TypeError, match="no part of a checkpoint: optimiser; there are model, op"):
        nn.save(path, nn.Linear(2, 2), optimiser=None)


def test_without_safetensors_the_error_names_the_extra(path, monkeypatch):
    monkeypatch.setitem(sys.modules, "safetensors.numpy", None)
    with pytest.raises(ImportError, match=r"tinygrad-ce\[checkpoint\]"):
        nn.save(path, nn.Linear(2, 2))
    path.write_bytes(b"")
    with pytest.raises(ImportError, match=r"tinygrad-ce\[checkpoint\]"):
        nn.load(path)


class Evil:
    def __reduce__(self):
        return exec, ("raise SystemExit('code in a file was run')",)


def document(path):
    raw = path.read_bytes()
    length = int.from_bytes(raw[:8], "little")
    return json.loads(json.loads(raw[8 : 8 + length])["__metadata__"]["tinygrad_ce"])


def changed(path, change):
    """The bytes of the file with its text changed."""
    tree = document(path)
    tree = change(tree) or tree
    return safetensors.save(safetensors.load_file(path), {"tinygrad_ce": json.dumps(tree)})


def replaced(*keys, by):
    def change(tree):
        for key in keys[:-1]:
            tree = tree[key]
        tree[keys[-1]] = by

    return change


MODEL = ("parts", "model")
WEIGHT = (*MODEL, "attributes", "weight", "tensor")
HOSTILE = {
    "another format": replaced("format", by="other"),
    "a later version": replaced("version", by=2),
    "no model": replaced("parts", by={}),
    "a part that is none": replaced("parts", "weights", by=1),
    "a model that is none": replaced(*MODEL, by=3),
    "a list": lambda tree: [tree],
    "an unknown kind": replaced(*MODEL, by={"pickle": "gASV", "id": 0}),
    "a class that is a function": replaced(*MODEL, "object", by="from_torch"),
    "a class from elsewhere": replaced(*MODEL, "object", by="os.system"),
    "a method replaced": replaced(*MODEL, "attributes", "forward", by=1),
    "a special attribute": replaced(*MODEL, "attributes", "__class__", by=1),
    "a missing array": replaced(*WEIGHT, "value", "name", by="model.w"),
    "an array used twice": replaced(*WEIGHT, "value", "name", by="model.bias"),
    "a dtype of objects": replaced(*WEIGHT, "value", "dtype", by="|O"),
    "another dtype": replaced(*WEIGHT, "value", "dtype", by="<f8"),
    "a name that is none": replaced(*WEIGHT, "name", by=[1]),
    "a reference to nothing": replaced(*MODEL, "attributes", "bias", by={"ref": 99}),
    "an id that is there": replaced(*MODEL, "attributes", "bias", "id", by=0),
    "a generator that is none": replaced("parts", "rng", by={"generator": {"kind": "x"}, "id": 99}),
    "a deep tree": lambda tree: json.loads('{"a":' * 500 + "1" + "}" * 500),
    "a deep model": replaced(*MODEL, by=json.loads('{"tuple":[' * 400 + "1" + "]}" * 400)),
}


@pytest.mark.parametrize("attack", HOSTILE)
def test_a_text_that_was_tampered_with_is_refused(attack, path):
    nn.save(path, nn.Linear(2, 2, rng=0))
    path.write_bytes(changed(path, HOSTILE[attack]))
    with pytest.raises((ValueError, TypeError), match=r"checkpoint|class"):
        nn.load(path)


def test_state_of_another_shape_is_refused(path):
    model = nn.Linear(2, 2, rng=0)
    optimizer = optim.Adam(model.parameters())
    optimizer.m[0] = np.zeros((3, 3))
    nn.save(path, model, optimizer=optimizer)
    with pytest.raises(ValueError, match="the optimizer's m does not fit its parameters"):
        nn.load(path)


CONTENTS = {
    "nothing": b"",
    "noise": bytes(range(256)) * 4,
    "a pickle": pickle.dumps(Evil()),
    "a pickle in numpy's format": b"\x93NUMPY\x01\x00v\x00{'descr': '|O', 'shape': ()}",
    "another safetensors file": safetensors.save({"a": np.zeros(3)}),
    "text that is no JSON": safetensors.save({"a": np.zeros(3)}, {"tinygrad_ce": "{"}),
    "a number of 5,000 digits": safetensors.save({}, {"tinygrad_ce": "9" * 5000}),
}


@pytest.mark.parametrize("content", CONTENTS)
def test_a_file_of_another_kind_is_refused(content, path):
    path.write_bytes(CONTENTS[content])
    with pytest.raises(ValueError, match="is no checkpoint that can be read"):
        nn.load(path)


@pytest.mark.slow
def test_a_file_that_is_cut_anywhere_or_has_a_flipped_byte_in_its_text_is_refused(path):
    nn.save(path, nn.Linear(2, 2, rng=0))
    whole = path.read_bytes()
    for length in range(0, len(whole), 7):
        path.write_bytes(whole[:length])
        with pytest.raises(ValueError, match="no checkpoint"):
            nn.load(path)
    rng = np.random.default_rng(0)
    outcomes = set()
    for _ in range(200):
        raw = bytearray(whole)
        raw[rng.integers(len(raw))] ^= 1 << rng.integers(8)
        path.write_bytes(raw)
        try:
            nn.load(path)
            outcomes.add("loaded")  # a digit of a number has no check of its own
        except (ValueError, TypeError):
            outcomes.add("refused")
    assert "refused" in outcomes


def test_loss_after_loading_is_that_before(path):
    model = nn.MLP([4, 8, 3], rng=0)
    loss = F.cross_entropy(model(X), y)
    assert F.cross_entropy(round_trip(path, model).model(X), y).item() == loss.item()


def test_the_repr_of_a_checkpoint_names_what_is_in_it():
    model = nn.Linear(2, 3)
    assert repr(nn.Checkpoint(model)) == f"<Checkpoint of {model!r}>"
    full = nn.Checkpoint(
        model, rng=np.random.default_rng(0), extra={"note": "a"}, versions={"a": 1}
    )
    assert repr(full) == f"<Checkpoint of {model!r} with rng, extra>"
