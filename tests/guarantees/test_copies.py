"""Copies and pickles share within themselves, and with nothing else."""

import copy
import pickle
import sys

import numpy as np
import pytest
from attacks import V, X, mlp

import tinygrad_ce as tg
from tinygrad_ce import nn, optim

T = tg.Tensor


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Linear(3, 3, rng=0, dtype=np.float64)
        self.b = nn.Linear(3, 3, rng=1, dtype=np.float64)
        self.b.weight = self.a.weight
        self.scale = T(2.0)

    def forward(self, x):
        return self.b(self.a(x)) * self.scale


COPIES = [
    copy.deepcopy,
    *(
        lambda o, n=n: pickle.loads(pickle.dumps(o, n))
        for n in range(2, pickle.HIGHEST_PROTOCOL + 1)
    ),
]


@pytest.fixture
def tied_class(monkeypatch):
    # A pickle names its class by the module, which this kind of import does not make known.
    monkeypatch.setitem(sys.modules, Tied.__module__, sys.modules.get(Tied.__module__) or _itself())
    return Tied


def _itself():
    module = type(sys)(Tied.__module__)
    module.Tied = Tied
    return module


@pytest.mark.parametrize("copied", COPIES)
def test_a_copied_model_shares_within_itself_and_with_nothing_else(copied, tied_class):
    model = tied_class()
    sgd = optim.SGD(model.parameters(), lr=0.1, momentum=0.9)

    def train(model, optimizer):
        optimizer.zero_grad()
        (model(X[:, :3]) ** 2).sum().backward()
        optimizer.step()
        return [p.data.tolist() for p in model.parameters()]

    train(model, sgd)
    twin, twins_sgd = copied((model, sgd))
    assert twin.a.weight is twin.b.weight
    assert [id(p) for p in twins_sgd.params] == [id(p) for p in twin.parameters()]
    assert not {id(p) for p in twin.parameters()} & {id(p) for p in model.parameters()}
    assert [p.name for p in twin.parameters()] == [p.name for p in model.parameters()]
    for p, q in zip(model.parameters(), twin.parameters(), strict=True):
        np.testing.assert_array_equal(p.grad, q.grad)
        assert not np.shares_memory(p.data, q.data)
    before = [p.data.tolist() for p in model.parameters()]
    first = train(twin, twins_sgd)
    assert [p.data.tolist() for p in model.parameters()] == before
    assert train(model, sgd) == first


def test_a_shallow_copy_of_a_model_shares_its_parameters():
    model = mlp()
    other = copy.copy(model)
    assert [id(p) for p in other.parameters()] == [id(p) for p in model.parameters()]


@pytest.mark.parametrize("copied", COPIES)
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.int8, bool])
@pytest.mark.parametrize("shape", [(), (0,), (2, 3)])
def test_a_leaf_of_any_dtype_and_shape_round_trips(copied, dtype, shape):
    t = T(np.ones(shape, dtype), requires_grad=np.dtype(dtype).kind == "f", name="t")
    twin = copied(t)
    assert (twin.dtype, twin.shape, twin.name) == (t.dtype, t.shape, "t")
    assert (twin.requires_grad, twin.inputs) == (t.requires_grad, ())
    np.testing.assert_array_equal(twin.data, t.data)
    with pytest.raises(ValueError, match="read-only"):
        twin.data[...] = 0


def test_the_same_tensor_twice_in_a_list_is_one_in_its_copy():
    w = T(V, requires_grad=True)
    for copied in COPIES:
        a, b, node = copied([w, w, w * w])
        assert a is b
        assert (node.requires_grad, node.data.tolist()) == (False, [1, 4])
