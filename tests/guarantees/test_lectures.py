"""The programs of the lectures run as they are typed, and reach the lectures' numbers."""

import math
import warnings

import lectures
import numpy as np
import pytest
from doc_pages import ROOT

import tinygrad_ce as tg
from tinygrad_ce import functional as F

try:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import torch
except ImportError:
    torch = None

DATA = lectures.read_dataset(ROOT / "examples" / "names.txt")
CHANCE = math.log(27)  # 3.2958: the loss of a network that knows nothing

# What micrograd's notebook prints at its first steps and at its last.
DEMO = {0: (0.8958441028683222, 0.5), 1: (1.7235905336972022, 0.81), 2: (0.7429006313851131, 0.77),
        99: (0.010978370135492717, 1.0)}  # fmt: skip


def test_the_expressions_of_micrograds_page():
    g, da, db = lectures.expressions()
    assert [round(float(x), 4) for x in (g, da, db)] == [24.7041, 138.8338, 645.5773]


@pytest.mark.slow
def test_the_demo_with_a_tensor_for_each_number():
    for k, (loss, accuracy) in enumerate(lectures.demo_with_scalars(2)):
        assert float(loss) == pytest.approx(DEMO[k][0], rel=1e-14)
        assert accuracy == pytest.approx(DEMO[k][1])


def test_the_demo_with_arrays_ends_where_the_notebook_ends():
    steps = list(lectures.demo_with_arrays(100))
    for k, (loss, accuracy) in DEMO.items():
        assert float(steps[k][0]) == pytest.approx(loss, rel=1e-9)
        assert steps[k][1] == pytest.approx(accuracy)


@pytest.mark.torch
def test_the_first_loss_of_part_2_from_the_generator_of_the_lecture():
    # Five names that the lecture begins with, which give 32 examples.
    words = ["emma", "olivia", "ava", "isabella", "sophia"]
    stoi = {s: i + 1 for i, s in enumerate("abcdefghijklmnopqrstuvwxyz")} | {".": 0}
    X, Y = lectures.build_dataset(words, stoi)
    g = torch.Generator().manual_seed(lectures.SEED)
    C, W1, b1, W2, b2 = (
        tg.Tensor(torch.randn(shape, generator=g).numpy())
        for shape in [(27, 2), (6, 100), (100,), (100, 27), (27,)]
    )
    emb = C[X]
    h = np.tanh(emb.reshape(-1, 6) @ W1 + b1)
    logits = h @ W2 + b2
    counts = np.exp(logits)
    prob = counts / counts.sum(1, keepdims=True)
    loss = -prob[np.arange(32), Y].log().mean()
    assert round(loss.item(), 4) == 17.7697
    assert round(F.cross_entropy(logits, Y).item(), 4) == 17.7697


@pytest.mark.slow
def test_part_2_learns_from_a_bad_start():
    losses, train, val = lectures.part_2(DATA, 2000)
    assert losses[0] > 20  # 27 in the lecture of part 3, which explains it
    assert train < 3.2
    assert train + 0.5 < val < 5


@pytest.mark.slow
@pytest.mark.parametrize(("steps", "calibrated"), [(1500, False), (600, True)])
def test_part_3_starts_at_chance_and_generalizes(steps, calibrated):
    losses, train, val = lectures.part_3(DATA, steps, calibrated)
    assert losses[0] == pytest.approx(CHANCE, abs=0.05)  # 3.3239 in the lecture
    assert train < 2.4
    assert val < 2.5


@pytest.mark.slow
def test_part_4_by_hand_is_autograd():
    losses, train, val, largest = lectures.part_4(DATA, 800)
    assert losses[0] == pytest.approx(3.78, abs=0.2)  # 3.7805 in the lecture
    assert largest < 1e-7  # 5e-9 and 9e-10 in the lecture, of one step each
    assert train < 2.4
    assert val < 2.5


# What the lecture plots of the five tanh layers at the first step: outputs, and saturation.
GAIN = ([0.75, 0.69, 0.67, 0.66, 0.66], [0.20, 0.08, 0.07, 0.06, 0.06])
NO_GAIN = ([0.62, 0.48, 0.41, 0.36, 0.32], [0.035, 0.0, 0.0, 0.0, 0.0])


@pytest.mark.parametrize(("gain", "expected"), [(5 / 3, GAIN), (1, NO_GAIN)])
def test_the_gain_keeps_the_layers_of_part_3_alive(gain, expected):
    seen = lectures.part_3_deep(DATA, 1, gain=gain)
    np.testing.assert_allclose(seen.outputs, expected[0], atol=0.04)
    np.testing.assert_allclose(seen.saturated, expected[1], atol=0.06)


@pytest.mark.slow
def test_batch_normalization_makes_the_layers_of_part_3_alike():
    seen = lectures.part_3_deep(DATA, 300, normalized=True, gain=1)
    assert max(seen.outputs) < 1.1 * min(seen.outputs)
    assert max(seen.gradients) < 1.5 * min(seen.gradients)
    assert max(seen.saturated) < 0.06
    assert seen.loss < 2.7
