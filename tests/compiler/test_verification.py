"""The net: the step itself runs too at the second and the third call, and must do the same."""

from unittest.mock import Mock

import numpy as np
import pytest
from bits import assert_same_bits
from compiler_helpers import X3, Training

import tinygrad_ce as tg
from tinygrad_ce.compiler import RecordingError, VerificationError


def test_the_step_itself_runs_at_the_second_and_third_call():
    for verify, expected in ((None, [2, 3, 4, 4, 4, 4]), (0, [2] * 6), (3, [2, 2, 3, 3, 3, 4])):
        calls = Mock()
        f = tg.compile(lambda x, calls=calls: (calls(), x * 2)[1], verify=verify)
        counts = [(f(X3), calls.call_count)[1] for _ in range(6)]
        assert counts == expected


def test_what_differs_is_named_and_the_eager_result_is_in_place():
    table = np.ones(2000)
    w = tg.Tensor([1.0, 1.0, 1.0], requires_grad=True, name="w")

    def step(x):
        w.grad = None
        loss = (w * x * table[:3]).sum()
        loss.backward()
        return loss

    f = tg.compile(step)
    f(X3)
    table[:] = 5.0  # in place, which nobody sees
    with pytest.raises(VerificationError, match=r"the result, grad of tensor 'w'") as error:
        f(X3)
    assert "__wrapped__" in str(error.value)
    assert error.value.result.item() == 30
    assert w.grad.tolist() == [5, 10, 15]


def test_writes_past_the_attributes_are_found():
    model = tg.nn.Linear(3, 1, rng=0, dtype=float)

    def step(x):
        model.__dict__["seen"] = model.__dict__.get("seen", 0) + 1
        return model(x)

    with pytest.raises(RecordingError, match=r"another thing at once.*Linear\.seen"):
        tg.compile(step)(X3)


@pytest.mark.parametrize("fast", [False, True])
def test_the_net_changes_no_bit_of_a_training_with_draws(fast):
    def run(verify):
        training, rng = Training("Adam"), np.random.default_rng(0)
        step = tg.compile(
            lambda X, y: training.step(X + tg.sample(rng.normal, size=(32, 4)), y),
            fast=fast,
            verify=verify,
        )
        batches = [training.batch(np.random.default_rng(i)) for i in range(6)]
        return [step(*batch) for batch in batches], training.state()

    assert_same_bits(run(verify=2), run(verify=0)) if not fast else run(verify=2)
