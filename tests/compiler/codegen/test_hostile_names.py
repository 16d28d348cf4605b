"""Names are data: wherever a name is from, nothing of it runs, and no two become one."""

import numpy as np
import pytest
from bits import assert_same_bits
from everywhere import assert_harmless
from hostile_names import ALL, TAKEN, assert_shows_nothing_that_acts, hostile_names

import tinygrad_ce as tg
from tinygrad_ce import functional as F
from tinygrad_ce.compiler.codegen.literals import identifier


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
