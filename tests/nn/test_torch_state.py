"""States of PyTorch's modules, and layers and models against PyTorch."""

import subprocess
import sys
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
except ImportError:
    torch = None

pytestmark = pytest.mark.torch
RNG = np.random.default_rng(0)


def both(dtype=np.float64):
    """The same architecture twice; its second Linear is square."""
    kind = torch.float64 if dtype == np.float64 else torch.float32
    ours = nn.Sequential(
        nn.Linear(4, 6, rng=0, dtype=dtype), nn.BatchNorm1d(6, dtype=dtype), nn.GELU(),
        nn.Linear(6, 6, rng=1, dtype=dtype), nn.LayerNorm(6, dtype=dtype), nn.SiLU(),
        nn.Sequential(nn.Linear(6, 3, bias=False, rng=2, dtype=dtype), nn.LeakyReLU()),
    )  # fmt: skip
    theirs = torch.nn.Sequential(
        torch.nn.Linear(4, 6), torch.nn.BatchNorm1d(6), torch.nn.GELU(),
        torch.nn.Linear(6, 6), torch.nn.LayerNorm(6), torch.nn.SiLU(),
        torch.nn.Sequential(torch.nn.Linear(6, 3, bias=False), torch.nn.LeakyReLU()),
    ).to(kind)  # fmt: skip
    return ours, theirs


X = RNG.normal(size=(16, 4))
Y = RNG.integers(0, 3, 16)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_state_of_pytorch_gives_the_same_outputs(dtype):
    ours, theirs = both(dtype)
    theirs(torch.tensor(X.astype(dtype)))  # which moves the running averages
    ours.load_state_dict(nn.from_torch(theirs.state_dict(), ours))
    for training in (True, False):
        y = ours.train(training)(X.astype(dtype)).data
        z = theirs.train(training)(torch.tensor(X.astype(dtype))).detach().numpy()
        np.testing.assert_allclose(y, z, rtol=1e-5 if dtype == np.float32 else 1e-11, atol=1e-6)
    np.testing.assert_array_equal(ours[3].weight.data, theirs[3].weight.detach().numpy().T)


def test_a_state_goes_there_and_back():
    ours, theirs = both()
    state = nn.to_torch(ours)
    theirs.load_state_dict(state)
    y, z = ours.eval()(X).data, theirs.eval()(torch.tensor(X)).detach().numpy()
    np.testing.assert_allclose(y, z, rtol=1e-11)
    back = nn.from_torch(state, ours)
    for name, array in ours.state_dict().items():
        np.testing.assert_array_equal(back[name], array)
    state["3.weight"][:] = 0
    assert ours[3].weight.data.all()


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.slow
def test_twenty_steps_of_training_agree(compiled):
    ours, theirs = both()
    ours.load_state_dict(nn.from_torch(theirs.state_dict(), ours))
    mine = optim.AdamW(ours.parameters(), lr=0.01)
    yours = torch.optim.AdamW(theirs.parameters(), lr=0.01)
    criterion = nn.CrossEntropyLoss(label_smoothing=0.1)

    def step(X, Y):
        loss = criterion(ours(X), Y)
        mine.zero_grad()
        loss.backward()
        mine.step()
        return loss

    run = tg.compile(step) if compiled else step
    for _ in range(20):
        loss = run(X, Y)
        other = torch.nn.CrossEntropyLoss(label_smoothing=0.1)(
            theirs(torch.tensor(X)), torch.tensor(Y)
        )
        yours.zero_grad()
        other.backward()
        yours.step()
        assert abs(loss.item() - other.item()) <= 1e-11
    for name, array in nn.from_torch(theirs.state_dict(), ours).items():
        np.testing.assert_allclose(ours.state_dict()[name], array, rtol=0, atol=1e-9)


@pytest.mark.parametrize("name", ["LayerNorm", "Softmax", "LogSoftmax", "GELU", "SiLU", "ELU",
                                  "LeakyReLU", "Softplus", "Flatten"])  # fmt: skip
def test_layers_agree(name):
    x = RNG.normal(1, 2, (3, 5, 4))
    options = {"LayerNorm": (4,)}.get(name, ())
    ours = getattr(nn, name)(*options, **({"dtype": float} if name == "LayerNorm" else {}))
    theirs = {"Softmax": (-1,), "LogSoftmax": (-1,)}.get(name, options)
    theirs = getattr(torch.nn, name)(*theirs).to(torch.float64)
    a, b = tg.Tensor(x, requires_grad=True), torch.tensor(x, requires_grad=True)
    y, z = ours(a), theirs(b)
    np.testing.assert_allclose(y.data, z.detach().numpy(), rtol=1e-12, atol=1e-13)
    cotangent = RNG.normal(size=y.shape)
    y.backward(cotangent)
    z.backward(torch.tensor(cotangent))
    np.testing.assert_allclose(a.grad, b.grad.numpy(), rtol=1e-10, atol=1e-12)
    for p, q in zip(ours.parameters(), theirs.parameters(), strict=True):
        np.testing.assert_allclose(p.grad, q.grad.numpy(), rtol=1e-11)


def test_what_does_not_fit_is_refused():
    ours, theirs = both()
    state = dict(theirs.state_dict())
    with pytest.raises(KeyError, match=r"missing \['0.weight'\]"):
        nn.from_torch({k: v for k, v in state.items() if k != "0.weight"}, ours)
    with pytest.raises(KeyError, match=r"unknown .*extra"):
        nn.from_torch({**state, "extra": 1}, ours)
    with pytest.raises(TypeError, match="dict"):
        nn.from_torch([*state], ours)
    with pytest.raises(TypeError, match="model"):
        nn.from_torch(state, theirs)
    with pytest.raises(TypeError, match="model"):
        nn.to_torch(theirs)


@pytest.mark.slow
def test_nothing_of_pytorch_is_imported_until_it_is_needed():
    code = "import sys; from tinygrad_ce import nn; nn.from_torch; print('torch' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "False"


def test_without_pytorch_the_error_says_what_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(ImportError, match="pip install torch"):
        nn.to_torch(nn.Linear(2, 2))
    assert F.relu(tg.Tensor(1.0)).item() == 1
