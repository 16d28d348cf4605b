"""Threads: each finds the bits it would find alone, and none loses a gradient."""

import hashlib
import sys
import time

import numpy as np
import pytest
from attacks import PACKAGE, in_threads

import tinygrad_ce as tg
from tinygrad_ce.engine.context import MODE

T = tg.Tensor


def work(seed, steps):
    """Steps that mix all modes; the bits of all the gradients."""
    rng = np.random.default_rng(seed)
    digest = hashlib.sha256()
    w = T(rng.normal(size=(3, 2)), requires_grad=True)
    for i in range(steps):
        x = rng.normal(size=(2, 3))
        with tg.scope(f"step {i}"):
            with tg.no_grad():
                shift = (x @ w).max(axis=1, keepdims=True)
                assert not shift.requires_grad
            if i % 7 == 0:
                with tg.detect_nan():
                    y = ((x @ w - shift).exp().sum(1) + 1).log().sum()
            else:
                y = ((x @ w - shift).exp().sum(1) + 1).log().sum()
            if i % 11 == 0:
                with pytest.raises(FloatingPointError), tg.detect_nan(), tg.no_grad():
                    (y - y).log()
        assert y.scope.path == f"step {i}"
        if i % 5 == 0:
            y.backward(retain_graph=True)
            digest.update(tg.gradients(y, [w])[0].tobytes())
        y.backward()
        digest.update(w.grad.tobytes())
        w.data = w.data - 0.01 * w.grad
        w.grad = None
    assert MODE.get().parent is None
    return digest.hexdigest()


@pytest.mark.slow
def test_eight_threads_of_2000_steps_find_the_bits_of_a_single_one():
    expected = [work(seed, 2000) for seed in range(8)]
    assert len(set(expected)) == 8
    assert in_threads([lambda seed=seed: work(seed, 2000) for seed in range(8)]) == expected


def yielding(frame, event, argument):
    """A trace that lets another thread run at each line of the package."""
    if not frame.f_code.co_filename.startswith(PACKAGE):
        return None
    if event == "line":
        time.sleep(1e-5)
    return yielding


def test_threads_that_share_a_parameter_lose_none_of_its_gradient():
    w = T(np.zeros(3), requires_grad=True)
    ones = np.ones(w.shape)

    def accumulate():
        sys.settrace(yielding)
        for _ in range(10):
            (w * 1.0).backward(ones)
        sys.settrace(None)

    assert in_threads([accumulate] * 8) == [None] * 8
    assert w.grad.tolist() == [80, 80, 80]


def test_what_makes_no_nan_passes_in_each_thread_by_itself():
    def divide():
        for _ in range(50):
            assert np.isnan((T(0.0) / 0).item())

    def watch():
        for _ in range(50):
            with pytest.raises(FloatingPointError), tg.detect_nan():
                T(0.0) / 0

    assert in_threads([divide, watch] * 4) == [None] * 8
