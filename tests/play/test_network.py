"""The network that learns: its numbers are the engine's, and what was recorded is shown again."""

import base64
import json

import numpy as np
import pytest

import tinygrad_ce as tg
from tinygrad_ce import functional as F
from tinygrad_ce import nn
from tinygrad_ce.draw.heatmap import cells
from tinygrad_ce.play.frames import MAX_CELLS
from tinygrad_ce.play.messages import write
from tinygrad_ce.play.network import MAX_AHEAD, Network
from tinygrad_ce.play.network_settings import (
    ACTIVATIONS,
    MAX_DRAWN,
    MAX_LAYERS,
    MAX_RATES,
    MAX_UNITS,
    OPTIMIZERS,
    Settings,
)  # fmt: skip
from tinygrad_ce.play.recording import MAX_BYTES, Recording, Snapshot
from tinygrad_ce.play.session import Session

CSV = "width,color,kind\n" + "".join(
    f"{0.37 * i % 2:.2f},{['red', 'blue'][i % 2]},{['a', 'b', 'c'][i % 3]}\n" for i in range(30)
)
DRAWN = [[0.5, 0.25, 0], [-0.5, 0.125, 1], [0.25, -1.0, 0], [0.75, 0.5, 2]]


def random_settings(rng):
    """Settings as a page sends them."""
    data = str(rng.choice(["two_moons", "circles", "spirals", "iris", "digits", "drawn", "csv"]))
    fields = {
        "data": data,
        "points": int(rng.integers(20, 120)),
        "noise": round(float(rng.uniform(0, 0.4)), 2),
        "data_seed": int(rng.integers(2**32)),
        "hidden": rng.integers(1, 20, size=rng.integers(0, 4)).tolist(),
        "activation": str(rng.choice(ACTIVATIONS)),
        "weight_scale": float(rng.choice([0.3, 1.0, 5.0])),
        "optimizer": str(rng.choice([*OPTIMIZERS])),
        "rates": [[0, float(rng.choice([0.001, 0.1, 1.0]))]],
        "batch": int(rng.choice([1, 8, 32, 500])),
        "seed": int(rng.integers(2**32)),
    }
    if rng.random() < 0.5:
        fields["rates"].append([int(rng.integers(1, 6)), 0.01])
    own = {
        "drawn": {"drawn": DRAWN},
        "csv": {"csv": CSV, "csv_name": "kinds.csv", "target": "kind"},
    }
    return fields | own.get(data, {})


def network(**fields):
    made = Network()
    made.handle({"part": "network", "do": "set", **fields})
    return made


def ask(made, what, **fields):
    return made.handle({"part": "network", "do": what, **fields})


def frame_of(replies):
    (frame,) = [reply for reply in replies if reply["kind"] == "frame"]
    return frame


def frames_of(made, steps):
    """The frames of some steps of training, however few a slice of time has room for."""
    frames = [frame_of(ask(made, "step", n=steps))]
    while made.running:
        frames.append(frame_of(made.tick()))
    return frames


def advance(made, steps):
    """The frame after some steps."""
    return frames_of(made, steps)[-1]


def session(given=None):
    opened = Session(given)
    opened.handle({"part": "session", "do": "open"})
    return opened


def floats(packed):
    return np.frombuffer(base64.b64decode(packed), "<f4")


def same_bits(a, b):
    a, b = np.asarray(a), np.asarray(b)
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()


# ── Numbers ───────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.filterwarnings("ignore:overflow", "ignore:invalid value", "ignore:divide by zero")
def test_the_code_that_is_shown_makes_the_same_bits(seed, tmp_path, monkeypatch):
    fields = random_settings(np.random.default_rng(seed))
    (tmp_path / "kinds.csv").write_text(CSV)
    monkeypatch.chdir(tmp_path)
    made = network(**fields)
    advance(made, 1)
    frame = advance(made, 7)
    (code,) = ask(made, "code")
    names = {"print": lambda *_: None}
    exec(compile(code["text"], "shown", "exec"), names)
    recorded = made.training.recording
    assert frame["step"] == 8
    assert np.array_equal(names["losses"], [s.loss for s in recorded.since(0)], equal_nan=True)
    newest = recorded[8]
    for name, parameter in names["model"].named_parameters():
        assert same_bits(parameter.data, newest.state[name])
        assert same_bits(parameter.grad, newest.gradients[name])
    assert frame["loss"] == newest.loss or not np.isfinite(newest.loss)


def test_the_code_has_about_20_lines():
    for kind in ("two_moons", "iris", "drawn"):
        (code,) = ask(network(data=kind, drawn=DRAWN), "code")
        assert 18 <= len(code["text"].splitlines()) <= 26


@pytest.mark.parametrize("seed", range(40, 46))
def test_what_a_frame_shows_is_what_the_engine_computes(seed):
    rng = np.random.default_rng(seed)
    fields = random_settings(rng) | {"rates": [[0, 0.05]], "weight_scale": 1.0}
    made = network(**fields)
    frame = advance(made, 1)
    problem, training = made.training.problem, made.training
    model, snapshot = training.model, training.recording[1]
    batch = snapshot.batch
    loss = F.cross_entropy(model(problem.X[batch]), problem.y[batch])
    assert loss.item() == frame["loss"]
    parameters = [*training.parameters.values()]
    gradients = tg.gradients(loss, parameters)
    shown = frame["parameters"]
    for what, arrays in (("values", [p.data for p in parameters]), ("gradients", gradients)):
        expected = np.concatenate([cells(array, MAX_CELLS).ravel() for array in arrays])
        assert same_bits(floats(shown[what]), expected.astype("<f4"))
    # The activations: layer after layer, by hand.
    X = made.frames.probe
    function = {"tanh": np.tanh, "relu": lambda z: z.relu(), "sigmoid": lambda z: z.sigmoid()}
    h, outputs = tg.Tensor(X), []
    for i, layer in enumerate(model.layers[::2]):
        z = h @ layer.weight + layer.bias
        if 2 * i + 1 < len(model.layers):
            h = function[fields["activation"]](z)
            outputs.append(h)
    gradients = tg.gradients(F.cross_entropy(z, problem.y[: len(X)]), outputs) if outputs else ()
    layers = frame["activations"]["layers"]
    assert len(layers) == len(outputs) == len(fields["hidden"])
    for layer, y, g in zip(layers, outputs, gradients, strict=True):
        assert layer["mean"] == pytest.approx(float(y.data.mean()), abs=1e-6)
        assert layer["gradient_std"] == pytest.approx(float(g.std()), rel=1e-5)
        assert sum(layer["histogram"]["counts"]) == y.size
    # The regions.
    region = np.frombuffer(base64.b64decode(frame["region"]["classes"]), np.uint8)
    grid = problem.plane.grid(made.frames.grid).astype(problem.X.dtype)
    whole = F.softmax(model(grid)).data  # which is not computed in blocks, and differs by an ulp
    certain = np.ptp(np.sort(whole, axis=1)[:, -2:], axis=1) > 1e-5
    assert np.array_equal(region[certain], whole.argmax(axis=1)[certain])


def test_the_example_shows_its_own_gradients():
    made = network(hidden=[5])
    advance(made, 1)
    example = frame_of(ask(made, "example", index=17))["example"]
    problem, model = made.training.problem, made.training.model
    (_, graph, _) = ask(made, "resume")
    loss = F.cross_entropy(model(problem.X[17:18]), problem.y[17:18])
    weight, bias = model.layers[2].weight, model.layers[2].bias
    expected = dict(zip(("weight", "bias"), tg.gradients(loss, [weight, bias]), strict=True))
    wanted = [t for t in graph["tensors"] if t["gradient"]]
    numbers = iter(floats(example["gradients"]))
    found = {t["name"]: [next(numbers) for _ in range(int(np.prod(t["cells"])))] for t in wanted}
    assert next(numbers, None) is None
    assert same_bits(np.array(found["weight₂"]), expected["weight"].ravel())
    assert same_bits(np.array(found["bias₂"]), expected["bias"])
    assert example["label"] == problem.y[17]
    strongest = max(example["flows"], key=example["flows"].get)
    assert example["flows"][strongest] > 0


def test_a_backward_pass_is_shown_contribution_by_contribution():
    made = network(hidden=[5])
    frame, backward = ask(made, "backward")
    steps = backward["steps"]
    assert steps[0]["from_name"] == "loss"
    assert {step["use"] for step in steps} <= {*frame["example"]["flows"]}
    to = [step["to"] for step in steps]
    for step in steps:
        assert 1 <= step["number"] <= step["of"] == to.count(step["to"])
    assert {"weight₁", "bias₁", "weight₂", "bias₂"} <= {step["name"] for step in steps}


# ── The past ──────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("fields", [{}, {"data": "digits", "batch": 16}, {"optimizer": "Adam"}])
def test_a_step_that_is_shown_again_has_the_same_bits(fields):
    made = network(hidden=[8], **fields)
    live = {}
    ask(made, "play", pace=1)
    for _ in range(12):
        frame = frame_of(made.tick())
        live[frame["step"]] = frame
    for step in (12, 1, 7):
        again = frame_of(ask(made, "show", step=step))
        changing = {"last", "curves", "running", "first"}
        assert {k: v for k, v in again.items() if k not in changing} == {
            k: v for k, v in live[step].items() if k not in changing
        }
    assert advance(made, 1)["step"] == 13  # it goes on where it was
    assert frame_of(ask(made, "show", step=10**6))["step"] == 13


def test_the_recording_forgets_the_oldest_steps():
    recording = Recording(max_steps=10)
    array = np.zeros(100)

    def snapshot(step):
        return Snapshot(step, {"w": array}, {"w": array}, np.arange(2), 0.0, None, 1.0, None, ())

    for step in range(25):
        recording.add(snapshot(step))
    assert (recording.first, recording.last, len(recording)) == (14, 24, 11)
    assert recording[0].step == 14
    assert recording[99].step == 24
    assert recording.before(14) is None
    assert recording.before(20).step == 19
    assert [s.step for s in recording.since(22)] == [22, 23, 24]
    small = Recording(max_bytes=10 * snapshot(0).nbytes)
    for step in range(50):
        small.add(snapshot(step))
    assert len(small) == 10
    assert MAX_BYTES <= 100e6


def test_what_one_step_changed_is_what_the_optimizer_did():
    made = network(hidden=[4], rates=[[0, 0.01]], batch=150)
    last = advance(made, 1)["last_step"]
    before, after = (made.training.recording[k] for k in (0, 1))
    weight = last["weight"]
    place = tuple(weight["place"])
    assert weight["before"] == before.state[weight["name"]][place]
    assert weight["gradient"] == before.gradients[weight["name"]][place]
    assert weight["after"] == after.state[weight["name"]][place]
    squares = sum(float((g.astype(float) ** 2).sum()) for g in before.gradients.values())
    assert last["predicted"] == pytest.approx(-0.01 * squares, rel=1e-3)
    assert last["after"] - last["before"] == pytest.approx(last["predicted"], rel=0.05)


def test_saturated_tanh_learn_slowly():
    """What the page asks, with the numbers of its answer."""
    small, large = (advance(network(weight_scale=scale), 100) for scale in (1.0, 30.0))
    for layer in small["activations"]["layers"]:
        assert layer["saturated"] < 0.05
        assert layer["derivative"] > 0.7
        assert layer["passed_std"] > 0.7 * layer["gradient_std"]
    for layer, other in zip(
        large["activations"]["layers"], small["activations"]["layers"], strict=True
    ):
        assert layer["saturated"] > 0.5
        assert layer["derivative"] < 0.1
        assert layer["passed_std"] < 0.15 * layer["gradient_std"]
        assert layer["gradient_std"] > other["gradient_std"]
    ratios = [frame["parameters"]["ratios"][0] for frame in (small, large)]
    assert ratios == pytest.approx([-2.2, -3.4], abs=0.3)


# ── Play ──────────────────────────────────────────────────────────────────────────────────────────


def test_a_tick_makes_one_frame_and_no_more_steps_than_were_asked_for():
    made = network()
    assert not made.running
    ask(made, "play", pace=3)
    assert made.running
    steps = [0, *(frame_of(made.tick())["step"] for _ in range(3))]
    assert all(1 <= step <= 3 for step in np.diff(steps))
    assert ask(made, "pause") == [{"kind": "paused"}]
    assert not made.running


def test_a_link_trains_as_far_as_it_says():
    made = network(steps=30)
    while made.running:
        frame = frame_of(made.tick())
    assert frame["step"] == 30


def test_another_learning_rate_counts_from_the_next_step_on():
    made = network()
    advance(made, 2)
    (rates,) = ask(made, "rate", lr=0.5)
    assert rates["rates"] == ((0, 0.3), (2, 0.5))
    (rates,) = ask(made, "rate", lr=0.25)
    assert rates["rates"] == ((0, 0.3), (2, 0.25))
    advance(made, 1)
    assert made.training.optimizer.lr == 0.25
    again = network(rates=[[0, 0.3], [2, 0.25]])
    advance(again, 3)
    assert again.training.recording[3].loss == made.training.recording[3].loss


def test_the_learning_rate_is_not_changed_without_end():
    made = network(rates=[[i, 0.1] for i in range(MAX_RATES)])
    advance(made, MAX_RATES)
    before = made.training.rates
    with pytest.raises(ValueError, match="start again"):
        ask(made, "rate", lr=0.2)
    assert made.training.rates == before


def test_the_example_stays_where_the_data_have_it():
    made = network()
    ask(made, "example", index=100)
    assert frame_of(ask(made, "set", seed=3))["example"]["index"] == 100
    assert frame_of(ask(made, "set", points=20))["example"]["index"] == 0


def test_the_curves_come_once_and_whole_after_a_new_connection():
    made = network()
    advance(made, 3)
    assert [step for frame in frames_of(made, 2) for step in frame["curves"]["steps"]] == [4, 5]
    frame = frame_of(ask(made, "resume"))
    assert frame["step"] == 5
    assert frame["curves"]["steps"] == [0, 1, 2, 3, 4, 5]


def test_a_training_that_diverges_is_shown():
    made = network(rates=[[0, 100.0]], activation="relu", weight_scale=100.0)
    frame = advance(made, 1)
    for _ in range(40):
        frame = advance(made, 1)
        write(frame)  # it can be sent: JSON has no nan
    assert frame["step"] == 41


# ── Bounds ────────────────────────────────────────────────────────────────────────────────────────

WRONG = [
    ("hidden", [10**9]), ("hidden", [0]), ("hidden", [-1]), ("hidden", [1.5]), ("hidden", ["8"]),
    ("hidden", 8), ("hidden", None), ("hidden", [4] * (MAX_LAYERS + 1)), ("hidden", [True]),
    ("points", 10**9), ("points", 0), ("points", 1e2), ("noise", -1), ("noise", float("nan")),
    ("noise", float("inf")), ("noise", "a"), ("data", "moons"), ("data", None), ("data", ["iris"]),
    ("data", "given"), ("activation", "gelu"), ("optimizer", "LBFGS"), ("optimizer", {}),
    ("rates", []), ("rates", [[1, 0.1]]), ("rates", [[0, 0.1], [0, 0.2]]), ("rates", [[0, 0]]),
    ("rates", [[0, 1e9]]), ("rates", [[0]]), ("rates", [0, 0.1]), ("rates", 0.1),
    ("rates", [[i, 0.1] for i in range(MAX_RATES + 1)]), ("batch", 0), ("batch", 10**9),
    ("seed", -1), ("seed", 2**32), ("seed", 1.0), ("data_seed", 2**64), ("weight_scale", -1),
    ("weight_scale", 1e9), ("drawn", [[0, 0]]), ("drawn", [[0, 0, 9]]), ("drawn", [[1e9, 0, 0]]),
    ("drawn", [[0, 0, 0]] * (MAX_DRAWN + 1)), ("drawn", "points"), ("csv", "x" * 600_000),
    ("csv", 1), ("target", ["a"]), ("steps", -1), ("steps", MAX_AHEAD + 1), ("play", 1),
    ("units", 3),
]  # fmt: skip


@pytest.mark.parametrize("name, value", WRONG, ids=lambda v: str(v)[:30])
def test_a_setting_out_of_bounds_is_refused_and_changes_nothing(name, value):
    opened = session()
    made = opened.parts["network"]
    before = made.training
    (reply,) = opened.handle({"part": "network", "do": "set", name: value})
    assert reply["kind"] == "error"
    assert made.training is before
    assert made.settings == Settings()


@pytest.mark.parametrize(
    "fields",
    [
        {"data": "drawn"},
        {"data": "csv"},
        {"data": "csv", "csv": "a,b\n1,x\n", "target": "b"},
        {"data": "csv", "csv": "a,b\n1,x\n2,y\n", "target": "c"},
        {"data": "csv", "csv": "a,b\n1,x\n2\n", "target": "b"},
        {"data": "csv", "csv": CSV + "0.1,green,d\n", "target": "kind"},
    ],
)
def test_data_that_cannot_be_learned_from_are_refused(fields):
    opened = session()
    before = opened.parts["network"].training
    (reply,) = opened.handle({"part": "network", "do": "set", **fields})
    assert reply["kind"] == "error"
    assert opened.parts["network"].training is before


def test_an_error_in_a_csv_file_has_its_name_and_line():
    opened = session()
    fields = {"data": "csv", "csv": "a,b\n1,x\n2\n", "csv_name": "my.csv", "target": "b"}
    (reply,) = opened.handle({"part": "network", "do": "set", **fields})
    assert "my.csv, line 3" in reply["message"]


def test_the_largest_network_fits_into_memory_and_messages():
    made = network(data="digits", hidden=[MAX_UNITS] * MAX_LAYERS)
    sizes = [len(write(reply)) for reply in ask(made, "resume")]
    assert max(sizes) < 1_000_000
    advance(made, 3)


# ── One's own model ───────────────────────────────────────────────────────────────────────────────


class Residual(nn.Module):
    """No Sequential, with a normalization and random numbers."""

    def __init__(self):
        self.first = nn.Linear(3, 6, rng=0)
        self.norm = nn.BatchNorm1d(6)
        self.drop = nn.Dropout(0.3, rng=1)
        self.last = nn.Linear(6, 3, rng=2)

    def forward(self, x):
        h = self.norm(self.first(x)).relu()
        return self.last(h + self.drop(h).tanh())


def given(model):
    rng = np.random.default_rng(0)
    return model, rng.normal(size=(40, 3)).astype(np.float32), np.arange(40) % 3


def test_ones_own_model_is_trained_as_a_copy():
    model, X, y = given(Residual())
    before = {name: array.copy() for name, array in model.state_dict().items()}
    made = Network((model, X, y))
    live = {}
    ask(made, "play", pace=1)
    for _ in range(6):
        frame = frame_of(made.tick())
        live[frame["step"]] = frame
    assert [layer["saturated"] is not None for layer in frame["activations"]["layers"]] == [
        True
    ] * 2
    again = frame_of(ask(made, "show", step=4))
    assert again["parameters"] == live[4]["parameters"]
    assert again["activations"] == live[4]["activations"]
    for name, array in model.state_dict().items():
        assert same_bits(array, before[name])
    assert made.training.model.training


@pytest.mark.parametrize(
    "model, X, y",
    [
        ("a model", np.zeros((3, 2)), [0, 1, 0]),
        (nn.MLP([2, 2], rng=0), np.zeros(3), [0, 1, 0]),
        (nn.MLP([2, 2], rng=0), np.zeros((3, 2)), [0, 1]),
        (nn.MLP([2, 2], rng=0), np.zeros((3, 2)), [0, -1, 0]),
        (nn.MLP([2, 2], rng=0), np.zeros((0, 2)), []),
        (nn.MLP([2, 2], rng=0), [["a", "b"]], [0]),
        (nn.MLP([2, 2], rng=0), np.zeros((3, 2)), [0, 1, 2]),
        (nn.MLP([3, 2], rng=0), np.zeros((3, 2)), [0, 1, 0]),
        (nn.MLP([2, 2], rng=0), np.zeros((30_000, 2)), np.zeros(30_000, int)),
    ],
)
def test_what_is_no_model_or_no_examples_is_refused(model, X, y):
    with pytest.raises((TypeError, ValueError, IndexError)):
        Network((model, X, y))


def test_a_model_without_activations_is_shown():
    made = Network(given(nn.Linear(3, 3, rng=0)))
    assert advance(made, 1)["activations"]["layers"] == []


# ── Export ────────────────────────────────────────────────────────────────────────────────────────


def test_an_exported_page_has_the_recorded_frames():
    made = network(hidden=[4])
    advance(made, 1)
    frames = [frame_of(made.tick()) for _ in range(5) if ask(made, "play", pace=1) == []]
    ask(made, "export")
    replies = []
    while made.running:
        replies += made.tick()
    page = replies[-1]["text"]
    assert replies[-1]["kind"] == "file"
    start = page.index('<script id="recorded" type="application/json">')
    recorded = json.loads(page[page.index(">", start) + 1 : page.index("</script>", start)])
    assert [frame["step"] for frame in recorded["frames"]] == list(range(7))
    exported = {frame["step"]: frame["parameters"] for frame in recorded["frames"]}
    for frame in frames:
        assert exported[frame["step"]] == json.loads(write(frame))["parameters"]
    assert "losses" in recorded["code"]["text"]
    assert 'src="' not in page.split("<body", 1)[0]
    assert "http:" not in page.replace("http://www.w3.org", "")
