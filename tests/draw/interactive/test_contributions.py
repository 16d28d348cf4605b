import numpy as np
import pytest
from draw.graphs import cross_entropy_by_hand, two_layers

import tinygrad_ce as tg
from tinygrad_ce.draw.interactive.contributions import contributions
from tinygrad_ce.engine.context import MODE
from tinygrad_ce.engine.graph import topological_order


@pytest.mark.parametrize("make", [cross_entropy_by_hand, two_layers])
def test_contributions_add_up_to_the_engines_gradients_bit_for_bit(make):
    loss = make()
    walk = contributions(loss)
    last = {id(c.source): c.after for c in walk}
    wanted = [node for node in topological_order(loss, grad_only=True) if node is not loss]
    for node, gradient in zip(wanted, tg.gradients(loss, wanted), strict=True):
        assert np.array_equal(last[id(node)], gradient)


def test_watching_leaves_no_trace():
    loss = cross_entropy_by_hand()
    with tg.detect_nan():
        before = MODE.get()
        contributions(loss)
        assert MODE.get() is before
    assert all(node.grad is None for node in topological_order(loss))
    loss.backward()
