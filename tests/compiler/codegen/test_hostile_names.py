"""Names are data: wherever a name is from, nothing of it runs, and no two become one."""

import builtins
import warnings

import numpy as np
import pytest
from bits import assert_same_bits
from hostile_names import ALL, TAKEN, assert_shows_nothing_that_acts, hostile_names

import tinygrad_ce as tg
from tinygrad_ce import functional as F
from tinygrad_ce import nn, optim
from tinygrad_ce.compiler.codegen.literals import identifier


def module_class(name):
    """A class of Modules, if Python lets it have the name."""
    try:
        return type(name, (nn.Module,), {"forward": lambda self, x: x * self.factor})
    except ValueError:  # null characters, lone surrogates
        return type("M", (nn.Module,), {"forward": lambda self, x: x * self.factor})


class Everywhere:
    """A step with these names at every place where a name can be, and other numbers for each."""

    def __init__(self, names):
        self.names, rng = names, np.random.default_rng(0)
        self.parameters, self.layers = [], []
        for name in names:
            number = [tg.Tensor(rng.uniform(0.9, 1.1, 2), requires_grad=True) for _ in range(3)]
            number[0].name = name
            layer = module_class(name)()
            setattr(layer, name, number[1])
            layer.table = {name: number[2]}
            layer.factor = number[1]
            self.parameters += number
            self.layers.append(layer)
        self.optimizer = optim.SGD(self.parameters, lr=0.01, momentum=0.9)
        for name in names:
            if not hasattr(self.optimizer, name):
                setattr(self.optimizer, name, 0.5)
        self.rng = np.random.default_rng(0)

    def step(self, inputs, /, **named):
        h = inputs["x"]
        for i, (name, layer) in enumerate(zip(self.names, self.layers, strict=True)):
            with tg.scope(name):
                h = h * self.parameters[3 * i] + inputs[name]
            kept = layer(h)
            kept.name = name
            with tg.scope(name), tg.scope(name):
                h = np.tanh(kept * layer.table[name]) * named[name] + kept
        loss = (h * h).sum() + tg.sample(self.rng.normal)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return loss, h


def assert_harmless(names):
    ran = []
    eager, recorded = Everywhere(names), Everywhere(names)

    def step(*args, **named):
        return recorded.step(*args, **named)

    step.__name__ = names[0]
    compiled = tg.compile(step)
    rng = np.random.default_rng(1)
    builtins.RAN = lambda *args: ran.append(args) or ""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            for _ in range(2):
                inputs = {name: rng.normal(size=2) for name in ["x", *names]}
                named = {name: rng.uniform(size=2) for name in names}
                expected = eager.step(
                    {k: tg.Tensor(v) for k, v in inputs.items()},
                    **{k: tg.Tensor(v) for k, v in named.items()},
                )
                assert_same_bits(compiled(inputs, **named), expected)
            parameters = [p.data for p in eager.parameters]
            assert_same_bits([p.data for p in recorded.parameters], parameters)
    finally:
        del builtins.RAN
    assert not ran
    assert_shows_nothing_that_acts(compiled.source + repr(compiled))
    return compiled


def test_names_that_run_break_or_are_taken_for_another():
    worst = [
        "\n    RAN()\n    #",
        '"""+RAN()+"""',
        "ｎｐ",
        "φ",
        "ϕ",
        "\ud800",
        "lambda",
        "\x1b[31m",
    ]
    assert_harmless(worst)


@pytest.mark.slow
def test_no_name_runs_breaks_or_is_taken_for_another():
    names = hostile_names(500)
    for i in range(0, len(names), 20):
        assert_harmless(names[i : i + 20])


@pytest.mark.slow
@pytest.mark.parametrize("name", ALL, ids=lambda name: ascii(name[:20]))
def test_a_step_may_have_any_name(name):
    def step(x):
        return x.exp() * 2

    step.__name__ = name
    compiled = tg.compile(step)
    assert_same_bits([compiled(np.ones(2))], [np.exp(np.ones(2)) * 2])
    assert_shows_nothing_that_acts(compiled.source + repr(compiled) + repr(compiled.__name__))


def test_names_become_identifiers_of_their_own():
    for name in hostile_names(500):
        found = identifier(name)
        assert found.isidentifier()
        assert identifier(found) == found
        assert not found.startswith("_")
        assert len(found) < 100
    assert identifier("layers.0.weight") == "layers_0_weight"


@pytest.mark.slow
@pytest.mark.parametrize("name", TAKEN)
def test_no_name_shadows_what_the_module_needs(name):
    """Buffers, helpers, generators and constants are all in this step."""
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(8000, 4)), rng.integers(0, 4, 8000)
    w = tg.Tensor(rng.normal(size=(4, 4)), requires_grad=True, name=name)
    scale, shift = tg.Tensor(rng.normal(size=4)), tg.Tensor([0.5])

    def make(generator):
        def step(inputs):
            h = (inputs[name] @ w * scale).tanh() + tg.sample(generator.normal, size=4)
            h.name = name
            with tg.scope(name):
                h = h * 0.5 + shift
            loss = F.cross_entropy(h, y)
            w.grad = None
            loss.backward()
            return loss, h.sigmoid()

        step.__name__ = name
        return step

    scale.name = shift.name = name
    compiled, generator = tg.compile(make(np.random.default_rng(0))), np.random.default_rng(0)
    for _ in range(2):
        assert_same_bits(compiled({name: X}), make(generator)({name: tg.Tensor(X)}))
