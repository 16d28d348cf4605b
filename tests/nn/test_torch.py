"""Every layer and every loss over 20 steps of training, against PyTorch in float64."""

import warnings

import numpy as np
import pytest

import tinygrad_ce as tg
from tinygrad_ce import functional as F
from tinygrad_ce import nn, optim

try:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import torch
        from torch import nn as tnn
        from torch.nn import functional as TF
except ImportError:
    torch = tnn = TF = None

pytestmark = [pytest.mark.torch, pytest.mark.slow]
RNG = np.random.default_rng(0)
X, LABELS = RNG.normal(size=(16, 5)), RNG.integers(0, 3, 16)
TOKENS = RNG.integers(0, 7, 16)
NUMBERS, UNIT = RNG.normal(size=(16, 3)), RNG.uniform(0.05, 0.95, (16, 3))
SHARES = RNG.dirichlet(np.ones(3), 16)
WEIGHT = np.array([0.5, 1.0, 2.0])

# Between two Linears: what layers of 8 units are made with, here and in PyTorch.
LAYERS = {
    "Tanh": ((), ()), "ReLU": ((), ()), "LeakyReLU": ((0.2,), (0.2,)), "ELU": ((1.5,), (1.5,)),
    "GELU": ((), ()), "GELU by tanh": (("tanh",), ("tanh",)), "SiLU": ((), ()),
    "Softplus": ((2.0,), (2.0,)), "Sigmoid": ((), ()), "Softmax": ((), (-1,)),
    "LogSoftmax": ((), (-1,)), "Flatten": ((), ()), "Dropout": ((0.0,), (0.0,)),
    "Linear": ((8, 8, False), (8, 8, False)), "LayerNorm": ((8,), (8,)),
    "BatchNorm1d": ((8,), (8,)),
}  # fmt: skip
WITH_PARAMETERS = {"Linear", "LayerNorm", "BatchNorm1d"}

# What the last layer's outputs pass through, the options of a loss, and its target.
LOSSES = {
    "CrossEntropyLoss": (None, {"weight": WEIGHT, "label_smoothing": 0.1}, LABELS),
    "CrossEntropyLoss of distributions": (None, {}, SHARES),
    "NLLLoss": ("log_softmax", {"weight": WEIGHT, "ignore_index": 1}, LABELS),
    "MSELoss": (None, {}, NUMBERS),
    "L1Loss": (None, {}, NUMBERS),
    "HuberLoss": (None, {"delta": 0.5}, NUMBERS),
    "BCELoss": ("sigmoid", {"weight": WEIGHT}, UNIT),
    "BCEWithLogitsLoss": (None, {"pos_weight": WEIGHT}, UNIT),
    "KLDivLoss": ("log_softmax", {"reduction": "batchmean"}, SHARES),
    "KLDivLoss of logarithms": (
        "log_softmax", {"reduction": "sum", "log_target": True}, np.log(SHARES)),
}  # fmt: skip


def of_layer(name):
    kind, (options, theirs) = name.split()[0], LAYERS[name]
    dtype = {"dtype": float} if kind in WITH_PARAMETERS else {}
    ours = nn.Sequential(
        nn.Linear(5, 8, dtype=float),
        getattr(nn, kind)(*options, **dtype),
        nn.Linear(8, 3, dtype=float),
    )
    layer = tnn.GELU(approximate="tanh") if "tanh" in theirs else getattr(tnn, kind)(*theirs)
    yours = tnn.Sequential(tnn.Linear(5, 8), layer, tnn.Linear(8, 3))
    return ours, yours, F.cross_entropy, TF.cross_entropy, X, LABELS


def of_embedding(_):
    ours = nn.Sequential(nn.Embedding(7, 4, dtype=float), nn.Linear(4, 3, dtype=float))
    yours = tnn.Sequential(tnn.Embedding(7, 4), tnn.Linear(4, 3))
    return ours, yours, F.cross_entropy, TF.cross_entropy, TOKENS, LABELS


def of_loss(name):
    kind, (before, options, target) = name.split()[0], LOSSES[name]
    loss = getattr(nn, kind)(**options)
    theirs = getattr(tnn, kind)(
        **{k: torch.tensor(v) if isinstance(v, np.ndarray) else v for k, v in options.items()}
    )
    ours = nn.MLP([5, 8, 3], dtype=float)
    yours = tnn.Sequential(tnn.Linear(5, 8), tnn.Tanh(), tnn.Linear(8, 3))

    def after(functions, loss, *options):
        return lambda z, y: loss(getattr(functions, before)(z, *options) if before else z, y)

    dim = (1,) if before == "log_softmax" else ()
    return ours, yours, after(F, loss), after(TF, theirs, *dim), X, target


CASES = [
    *((of_layer, name) for name in LAYERS), (of_embedding, "Embedding"),
    *((of_loss, name) for name in LOSSES),
]  # fmt: skip


@pytest.mark.parametrize(("make", "name"), CASES, ids=lambda x: x if isinstance(x, str) else "")
def test_twenty_steps_agree_and_compiled_ones_have_the_bits_of_the_eager_ones(make, name):
    torch.manual_seed(0)
    _, theirs, _, their_loss, inputs, target = make(name)
    theirs = theirs.double()
    state = {key: array.clone() for key, array in theirs.state_dict().items()}
    yours = torch.optim.SGD(theirs.parameters(), lr=0.1, momentum=0.9)
    expected = []
    for _ in range(20):
        loss = their_loss(theirs(torch.tensor(inputs)), torch.tensor(target))
        yours.zero_grad()
        loss.backward()
        yours.step()
        expected.append(loss.item())

    found = []
    for compiled in (False, True):
        ours, _, our_loss, _, _, _ = make(name)
        ours.load_state_dict(nn.from_torch(state, ours))
        mine = optim.SGD(ours.parameters(), lr=0.1, momentum=0.9)

        def step(x, y, ours=ours, our_loss=our_loss, mine=mine):
            loss = our_loss(ours(x), y)
            mine.zero_grad()
            loss.backward()
            mine.step()
            return loss

        run = tg.compile(step) if compiled else step
        losses = [run(inputs, target).item() for _ in range(20)]
        np.testing.assert_allclose(losses, expected, rtol=1e-12, atol=1e-13)
        for key, array in nn.from_torch(theirs.state_dict(), ours).items():
            np.testing.assert_allclose(ours.state_dict()[key], array, rtol=1e-11, atol=1e-12)
        found.append((losses, {key: a.tobytes() for key, a in ours.state_dict().items()}))
    assert found[0] == found[1]
    assert losses[0] != losses[-1]


def test_each_layer_and_each_loss_has_a_case():
    tried = {name.split()[0] for _, name in CASES}
    holding_others = {"Module", "Sequential", "ModuleList", "MLP"}
    classes = {name for name in nn.__all__ if isinstance(getattr(nn, name), type)}
    assert classes - holding_others - {"Checkpoint"} == tried
