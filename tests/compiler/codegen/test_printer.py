"""The source: it runs with NumPy alone, reads well, and is found by tracebacks."""

import inspect
import linecache
import subprocess
import sys
import traceback

import numpy as np
import pytest
from bits import assert_same_bits
from compiler_helpers import OPTIMIZERS, Training

import tinygrad_ce as tg


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_saved_source_runs_with_numpy_alone(optimizer, tmp_path):
    training = Training(optimizer, activation="sigmoid")
    step = tg.compile(training.step)
    X, y = training.batch(np.random.default_rng(10))
    step(X, y)
    step.save(tmp_path / "step.py")
    parameters = [p.data for p in training.model.parameters()]
    names = inspect.signature(step_of(step.source)).parameters
    assert [n for n in names if n.startswith(("weight", "bias"))] == [
        "weight_1", "bias_1", "weight_2", "bias_2"
    ]  # fmt: skip
    values = dict(zip(["weight_1", "bias_1", "weight_2", "bias_2"], parameters, strict=True))
    slots = {
        slot: getattr(training.optimizer, slot) for slot in training.optimizer.per_parameter_state
    }
    for slot, entries in slots.items():
        for name, value in zip(list(values)[:4] if entries else [], entries, strict=True):
            values["t" if slot == "t" else f"{slot}_{name}"] = value
    values |= {"X": X, "y": y, "lr": training.optimizer.lr}
    np.savez(tmp_path / "in.npz", **values)
    script = (
        "import sys, numpy as np; sys.modules['tinygrad_ce'] = None\n"
        "from step import step\n"
        "given = {k: v if v.ndim else v.item() for k, v in np.load('in.npz').items()}\n"
        "np.save('loss.npy', step(**given)[0])\n"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", script], cwd=tmp_path, check=True)
    assert_same_bits(np.load(tmp_path / "loss.npy"), step(X, y))


def step_of(source):
    namespace = {}
    exec(source, namespace)
    return namespace["step"]


def test_source_of_the_mlp_reads_like_a_derivation_by_hand():
    training = Training()
    step = tg.compile(training.step)
    step(*training.batch(np.random.default_rng(11)))
    source = step.source
    assert max(map(len, source.splitlines())) < 100
    lines = [line.strip() for line in source.splitlines()]
    for line in (
        "def step(X, y, weight_1, bias_1, weight_2, bias_2, lr):",
        "# MLP/Linear",
        "z = X.dot(weight_1)",
        "z += bias_1",
        "h = np.tanh(z, out=z)",
        "logits += bias_2",
        "counts = np.exp(shifted)",
        "# back through cross_entropy",
        "dlogits.reshape(-1)[places] -= c_0_03125",
        "dweight_2 = h.T.dot(dlogits)",
        "dz = np.multiply(dh, slope, out=dh)",
        "dbias_1 = np.add.reduce(dz, 0)",
        "# update",
        "weight_1 = np.subtract(weight_1, step, out=step)",
    ):
        assert line in lines, f"{line}\n{source}"
    assert "zeros" not in source
    assert "np.full" not in source


def test_tracebacks_show_the_source():
    training = Training()
    step = tg.compile(training.step)
    X, y = training.batch(np.random.default_rng(12))
    step(X, y)
    with pytest.raises(IndexError) as caught:
        step(X, y + 1)
    text = "".join(traceback.format_exception(caught.value))
    assert "check_labels(y, 3, None)" in text
    linecache.checkcache()
    assert "check_labels(y, 3, None)" in "".join(traceback.format_exception(caught.value))


def test_long_programs_compile_without_recursion():
    @tg.compile
    def chain(x, n):
        for _ in range(n):
            x = x * 1e-4 + x
        return x

    assert chain(np.ones(2), 2000).shape == (2,)
    assert len(chain.source.splitlines()) > 4000
