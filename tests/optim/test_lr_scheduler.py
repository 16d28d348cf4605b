"""Schedules: their formulas, groups of parameters, and compiled steps."""

import copy
import math

import numpy as np
import pytest

import tinygrad_ce as tg
from tinygrad_ce import functional as F
from tinygrad_ce import nn, optim
from tinygrad_ce.optim import lr_scheduler as S

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(16, 4)), RNG.integers(0, 3, 16)

SCHEDULES = {
    "StepLR": lambda o: S.StepLR(o, 3, 0.5),
    "StepLR/each": lambda o: S.StepLR(o, 1, 0.9),
    "ExponentialLR": lambda o: S.ExponentialLR(o, 0.9),
    "LinearLR": lambda o: S.LinearLR(o, 0.25, 1.0, 6),
    "LinearLR/down": lambda o: S.LinearLR(o, 1.0, 0.0, 30),
    "CosineAnnealingLR": lambda o: S.CosineAnnealingLR(o, 7, 0.01),
    "OneCycleLR": lambda o: S.OneCycleLR(o, 0.5, 15),
    "OneCycleLR/linear": lambda o: S.OneCycleLR(o, 0.5, 25, anneal_strategy="linear"),
    "OneCycleLR/no rise": lambda o: S.OneCycleLR(o, 0.5, 5, pct_start=0.1),
    "OneCycleLR/no fall": lambda o: S.OneCycleLR(o, 0.5, 5, pct_start=1),
    "ReduceLROnPlateau": lambda o: S.ReduceLROnPlateau(
        o, factor=0.5, patience=1, cooldown=1, threshold=0.05
    ),
    "ReduceLROnPlateau/abs": lambda o: S.ReduceLROnPlateau(
        o, mode="max", factor=0.5, patience=0, threshold=0.01, threshold_mode="abs", min_lr=0.02
    ),
}


def one(lr=1.0):
    return optim.SGD([tg.Tensor(1.0, requires_grad=True)], lr=lr)


def rates(schedule, n):
    (group,) = schedule.optimizer.param_groups
    found = [group.lr]
    for _ in range(n):
        schedule.step()
        found.append(group.lr)
    return found


@pytest.mark.parametrize(
    ("make", "formula"),
    [
        (lambda o: S.StepLR(o, 4, 0.5), lambda t: 0.5 ** (t // 4)),
        (lambda o: S.ExponentialLR(o, 0.9), lambda t: 0.9**t),
        (lambda o: S.LinearLR(o, 0.5, 0.75, 8), lambda t: 0.5 + 0.25 * min(t, 8) / 8),
        (
            lambda o: S.CosineAnnealingLR(o, 6, 0.1),
            lambda t: 0.1 + 0.9 * (1 + math.cos(math.pi * t / 6)) / 2,
        ),
    ],
)
def test_rates_follow_their_formula(make, formula):
    np.testing.assert_allclose(
        rates(make(one()), 20), [formula(t) for t in range(21)], rtol=1e-14, atol=1e-16
    )


def test_one_cycle_rises_to_the_largest_rate_falls_and_stays():
    found = rates(S.OneCycleLR(one(), max_lr=2.0, total_steps=10, pct_start=0.3), 14)
    assert found[0] == pytest.approx(2 / 25)
    assert found[2] == max(found) == pytest.approx(2)
    assert found[:3] == sorted(found[:3])
    assert found[2:10] == sorted(found[2:10], reverse=True)
    np.testing.assert_allclose(found[9:], 2 / 25 / 1e4)


def test_a_plateau_counts_from_the_best_and_rests_after_a_reduction():
    optimizer = one()
    schedule = S.ReduceLROnPlateau(optimizer, factor=0.5, patience=1, cooldown=2, threshold=0)
    found = []
    for metric in (5.0, 5.0, 5.0, 5.0, 5.0, 5.0, 5.0, 4.0, 4.0, 4.0):
        schedule.step(metric)
        found.append(optimizer.lr)
    assert found == [1, 1, 0.5, 0.5, 0.5, 0.5, 0.25, 0.25, 0.25, 0.25]
    assert schedule.best == 4


def test_nan_and_a_tensor_are_metrics_too():
    optimizer = one()
    schedule = S.ReduceLROnPlateau(optimizer, factor=0.5, patience=0)
    schedule.step(tg.Tensor([np.float32(2)]))
    assert (schedule.best, optimizer.lr) == (2, 1)
    schedule.step(float("nan"))
    assert (schedule.best, optimizer.lr) == (2, 0.5)


def training(name, groups):
    model = nn.MLP([4, 6, 3], rng=0)
    ps = model.parameters()
    if groups:
        head = {"params": ps[2:], "lr": 0.3, "momentum": 0.5}
        optimizer = optim.SGD([{"params": ps[:2]}, head], lr=0.1, momentum=0.9)
    else:
        optimizer = optim.Adam(ps, lr=0.1)
    schedule = SCHEDULES[name](optimizer)

    def step(X, y):
        loss = F.cross_entropy(model(X), y)
        optimizer.zero_grad()
        loss.backward()
        norm = optim.clip_grad_norm_(ps, 0.5)
        optimizer.step()
        schedule.step(*[loss] * name.startswith("Reduce"))
        return loss, norm

    return ps, optimizer, schedule, step


@pytest.mark.parametrize("groups", [False, True])
@pytest.mark.parametrize("verify", [None, 0])
@pytest.mark.parametrize("name", SCHEDULES)
def test_twenty_compiled_steps_have_the_bits_of_the_eager_ones(name, groups, verify):
    ps, optimizer, schedule, step = training(name, groups)
    qs, other, other_schedule, other_step = training(name, groups)
    compiled = tg.compile(other_step, verify=verify)
    for i in range(20):
        for a, b in zip(step(X, Y), compiled(X, Y), strict=True):
            np.testing.assert_array_equal(a.data, b.data)
        lrs = [group.lr for group in optimizer.param_groups]
        assert lrs == [group.lr for group in other.param_groups], i
        assert {type(group.lr) for group in other.param_groups} == {float}
        assert schedule.state_dict() == other_schedule.state_dict()
    for p, q in zip(ps, qs, strict=True):
        np.testing.assert_array_equal(p.data, q.data)
    assert len(compiled._reasons) == 1
    assert min(lrs) != max(lrs) or lrs[0] != 0.1 or "Plateau" in name or name == "LinearLR"


@pytest.mark.parametrize("name", SCHEDULES)
def test_a_restored_schedule_goes_on_as_the_saved_one(name):
    *_, step = made = training(name, True)
    for _ in range(5):
        step(X, Y)
    saved = copy.deepcopy([made[1].state_dict(), made[2].state_dict()])
    values = [p.data.copy() for p in made[0]]
    ps, optimizer, schedule, again = training(name, True)
    optimizer.load_state_dict(saved[0])
    schedule.load_state_dict(saved[1])
    for p, value in zip(ps, values, strict=True):
        p.data = value
    for _ in range(5):
        np.testing.assert_array_equal(step(X, Y)[0].data, again(X, Y)[0].data)


def test_a_rate_of_numpy_that_a_step_assigns_is_a_python_number_compiled_too():
    def make():
        w = tg.Tensor(np.ones(3, np.float32), requires_grad=True)
        optimizer = optim.SGD([w], lr=0.1)

        def step(x):
            optimizer.zero_grad()
            (w * w * x).sum().backward()
            optimizer.step()
            optimizer.lr = np.cos(optimizer.lr) * x.sum()

        return w, optimizer, step

    (w, a, step), (v, b, other) = make(), make()
    compiled = tg.compile(other)
    for i in range(5):
        x = np.full(3, 0.1 * (i + 1), np.float32)
        step(tg.Tensor(x))
        compiled(x)
        np.testing.assert_array_equal(w.data, v.data)
        assert a.lr == b.lr
        assert type(b.lr) is float
        assert v.dtype == np.float32


@pytest.mark.parametrize(
    ("make", "error", "says"),
    [
        (lambda: S.StepLR(nn.Linear(2, 2), 3), TypeError, "optimizer"),
        (lambda: S.StepLR(one(), 0), ValueError, "step_size"),
        (lambda: S.StepLR(one(), 2.5), TypeError, "step_size"),
        (lambda: S.ExponentialLR(one(), -0.5), ValueError, "gamma"),
        (lambda: S.LinearLR(one(), 0.0), ValueError, "start_factor"),
        (lambda: S.LinearLR(one(), 0.5, 2.0), ValueError, "end_factor"),
        (lambda: S.CosineAnnealingLR(one(), 0), ValueError, "T_max"),
        (lambda: S.OneCycleLR(one(), [0.1, 0.2], 10), ValueError, "2 rates for 1 groups"),
        (lambda: S.OneCycleLR(one(), 0.1, 1), ValueError, "total_steps"),
        (lambda: S.OneCycleLR(one(), 0.1, 10, pct_start=1.5), ValueError, "pct_start"),
        (lambda: S.OneCycleLR(one(), 0.1, 10, anneal_strategy="exp"), ValueError, "cos, linear"),
        (lambda: S.OneCycleLR(one(), 0.1, 10, div_factor=0), ValueError, "above 0"),
        (lambda: S.ReduceLROnPlateau(one(), mode="least"), ValueError, "min, max"),
        (lambda: S.ReduceLROnPlateau(one(), factor=1), ValueError, "below 1"),
        (lambda: S.LRScheduler(one()), NotImplementedError, "compute_lr"),
    ],
)
def test_refuses_with_an_explanation(make, error, says):
    with pytest.raises(error, match=says):
        make()


def test_the_repr_says_where_it_is():
    schedule = S.ExponentialLR(one(0.5), 0.5)
    schedule.step()
    assert repr(schedule) == "ExponentialLR(after 1 steps: lr=0.25)"
