"""A step in which names are wherever they can be, and a check that they do nothing there."""

import builtins
import warnings

import numpy as np
from bits import assert_same_bits
from hostile_names import assert_shows_nothing_that_acts

import tinygrad_ce as tg
from tinygrad_ce import nn, optim


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


def assert_harmless(names, **options):
    """Check that a compiled step does what the step does, and that no name has run."""
    ran = []
    eager, recorded = Everywhere(names), Everywhere(names)

    def step(*args, **named):
        return recorded.step(*args, **named)

    step.__name__ = names[0]
    compiled = tg.compile(step, **options)
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
