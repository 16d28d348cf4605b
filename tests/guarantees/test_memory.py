"""Memory: nothing is retained, and backward frees what it has walked."""

import gc
import sys
import tracemalloc
import weakref

import numpy as np
import pytest
from attacks import STOPS, Stop, V, X, Y, mlp

import tinygrad_ce as tg
from tinygrad_ce import functional as F
from tinygrad_ce import nn, optim
from tinygrad_ce.engine.graph import topological_order
from tinygrad_ce.engine.tensor import apply

T = tg.Tensor


@pytest.fixture
def no_collector():
    gc.freeze()  # a collection looks at nothing older than the test
    gc.disable()
    yield
    gc.enable()
    gc.unfreeze()


@pytest.fixture
def traced(no_collector):
    """The bytes in arrays, as tracemalloc and NumPy count them."""
    tracemalloc.start()
    arrays = tracemalloc.DomainFilter(True, np.lib.tracemalloc_domain)

    def arrays_now():
        statistics = tracemalloc.take_snapshot().filter_traces([arrays]).statistics("filename")
        return sum(s.count for s in statistics), sum(s.size for s in statistics)

    yield arrays_now
    tracemalloc.stop()


def trainer(optimizer=optim.Adam, sizes=(4, 6, 3), dtype=np.float64):
    model = nn.MLP(list(sizes), rng=0, dtype=dtype)
    adam = optimizer(model.parameters(), lr=0.01)

    def step():
        loss = F.cross_entropy(model(X), Y)
        adam.zero_grad()
        loss.backward()
        adam.step()
        return loss.item()

    return step


@pytest.mark.parametrize("optimizer", [optim.SGD, optim.Adam, optim.AdamW])
def test_fifty_training_steps_retain_no_array(traced, optimizer):
    step = trainer(optimizer)
    for _ in range(3):
        step()
    before = traced()
    for _ in range(50):
        step()
    assert traced() == before


def test_training_steps_retain_no_object(no_collector):
    step = trainer()
    blocks = []
    for _ in range(4):
        for _ in range(50):
            step()
        blocks.append(sys.getallocatedblocks())
    assert min(np.diff(blocks)) < 5


@pytest.mark.parametrize(
    "use",
    [
        lambda x: tg.hessian(lambda z: (z * z * x).sum())(V),
        lambda x: tg.gradients((x**3).sum(), [x], create_graph=True)[0].sum().backward(),
        lambda x: tg.jvp(lambda z: z.tanh() * x, [V], [V]),
        lambda x: tg.gradcheck(lambda z: z * z, V, order=2),
        F.softmax,
        lambda x: [row * 2 for row in x],
        lambda x: tg.sort(x)[[0, 0]].sum().backward(),
    ],
)
def test_nothing_that_is_used_and_let_go_is_retained(traced, use):
    x = T(V, requires_grad=True)
    for _ in range(3):
        use(x)
    before = traced()
    for _ in range(20):
        use(x)
    assert traced() == before


def test_nothing_is_retained_by_what_failed(traced):
    x = T(V, requires_grad=True)

    def fail():
        with pytest.raises(Stop), tg.detect_nan():
            apply(STOPS["rule"], x * x).sum().backward()
        with pytest.raises(FloatingPointError), tg.detect_nan():
            (x - x).log()
        y = x * x
        y.sum().backward()
        with pytest.raises(tg.FreedGraphError):
            y.sum().backward()

    for _ in range(3):
        fail()
    gc.collect()  # a traceback refers to its frames, and these to the exception
    before = traced()
    for _ in range(20):
        fail()
    gc.collect()
    assert traced() == before


def test_a_large_graph_is_gone_after_backward_while_the_loss_is_alive(traced):
    model = mlp()
    many, labels = np.tile(X, (4_000, 1)), np.tile(Y, 4_000)
    F.cross_entropy(model(many), labels).backward()
    before = traced()
    logits = model(many)
    loss = F.cross_entropy(logits, labels)
    inside = [weakref.ref(node) for node in topological_order(loss)]
    parameters = {id(p) for p in model.parameters()}
    del logits
    assert all(ref() is not None for ref in inside)
    loss.backward()
    alive = [ref() for ref in inside if ref() is not None]
    assert {id(node) for node in alive} == parameters | {id(loss)}
    assert traced() == before


def test_memory_shrinks_while_gradients_appear(traced):
    """A long chain's backward needs no more at any time than the chain itself and a few arrays."""
    x = T(np.ones(10_000), requires_grad=True)
    y = x
    for _ in range(50):
        y = y.tanh()
    tracemalloc.reset_peak()
    held, _ = tracemalloc.get_traced_memory()
    y.backward(np.ones(x.shape))
    _, peak = tracemalloc.get_traced_memory()
    assert peak < held + 6 * x.data.nbytes


@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_a_step_holds_parameters_gradients_and_the_values_of_its_graph(traced, activation):
    rng = np.random.default_rng(0)
    x, y = T(rng.normal(size=(256, 784)).astype(np.float32)), rng.integers(0, 10, 256)
    before, _ = tracemalloc.get_traced_memory()
    model = nn.MLP([784, 512, 512, 10], activation=activation, rng=0)
    sgd = optim.SGD(model.parameters(), lr=0.01)
    for _ in range(3):
        tracemalloc.reset_peak()
        loss = F.cross_entropy(model(x), y)
        values = sum(n.data.nbytes for n in topological_order(loss) if n.primitive is not None)
        sgd.zero_grad()
        loss.backward()
        sgd.step()
    _, peak = tracemalloc.get_traced_memory()
    sizes = [p.data.nbytes for p in model.parameters()]
    # The graph is gone when the update begins, which makes all new values before it binds one.
    update = sum(sizes) + max(sizes)
    assert peak - before < 1.05 * (2 * sum(sizes) + max(values, update))
