"""Optimizers, schedules and clipping over 20 steps, against PyTorch in float64."""

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
        import torch.nn.functional as TF
except ImportError:
    torch = None

pytestmark = [pytest.mark.torch, pytest.mark.slow]
RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(16, 5)), RNG.integers(0, 3, 16)

RULES = [
    ("SGD", {"lr": 0.1}),
    ("SGD", {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.05}),
    ("Adam", {"lr": 0.05}),
    ("Adam", {"lr": 0.05, "weight_decay": 0.1, "betas": (0.5, 0.9), "eps": 1e-4}),
    ("AdamW", {"lr": 0.05}),
    ("SGD", {"lr": 0.1, "momentum": 0.9, "nesterov": True}),
    ("SGD", {"lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 0.05}),
    ("Adam", {"lr": 0.05, "amsgrad": True}),
    ("Adam", {"lr": 0.05, "amsgrad": True, "weight_decay": 0.1, "betas": (0.5, 0.9)}),
    ("AdamW", {"lr": 0.05, "amsgrad": True}),
    ("RMSprop", {}),
    ("RMSprop", {"lr": 0.02, "alpha": 0.9, "eps": 1e-4, "weight_decay": 0.1}),
    ("RMSprop", {"lr": 0.02, "momentum": 0.9}),
    ("RMSprop", {"lr": 0.02, "momentum": 0.5, "centered": True}),
    ("Adagrad", {"lr": 0.1}),
    ("Adagrad", {"lr": 0.1, "lr_decay": 0.1, "weight_decay": 0.05, "eps": 1e-6}),
    ("Adagrad", {"lr": 0.1, "initial_accumulator_value": 0.5}),
]
SCHEDULES = [
    ("StepLR", {"step_size": 3, "gamma": 0.5}),
    ("ExponentialLR", {"gamma": 0.9}),
    ("LinearLR", {"start_factor": 0.25, "total_iters": 7}),
    ("LinearLR", {}),
    ("CosineAnnealingLR", {"T_max": 7, "eta_min": 0.01}),
    ("CosineAnnealingLR", {"T_max": 20}),
    ("OneCycleLR", {"max_lr": 0.5, "total_steps": 21}),
    ("OneCycleLR", {"max_lr": [0.5, 0.1], "total_steps": 25, "pct_start": 0.5, "div_factor": 5}),
    ("OneCycleLR", {"max_lr": 0.5, "total_steps": 30, "anneal_strategy": "linear"}),
    ("ReduceLROnPlateau", {"factor": 0.5, "patience": 1, "threshold": 0.1}),
    ("ReduceLROnPlateau", {"mode": "max", "patience": 0, "cooldown": 2, "min_lr": 1e-3}),
    ("ReduceLROnPlateau", {"patience": 0, "threshold": 0.05, "threshold_mode": "abs"}),
]


class Both:
    """The same training here, compiled or not, and in PyTorch."""

    def __init__(self, compiled):
        model = nn.MLP([5, 8, 3], rng=0, dtype=np.float64)
        self.model, self.ours = model, model.parameters()
        self.theirs = [torch.tensor(q.data.copy(), requires_grad=True) for q in self.ours]
        self.mine, self.yours = lambda: None, lambda: None  # what follows backward()
        self.step = tg.compile(self.our_step) if compiled else self.our_step

    def our_step(self, X, Y):
        loss = F.cross_entropy(self.model(X), Y)
        self.model.zero_grad()
        loss.backward()
        self.mine(loss)
        return loss

    def run(self):
        """The bits of all losses and of the parameters at the end, once they agree."""
        losses = []
        for _ in range(20):
            loss = self.step(X, Y)
            losses.append(loss.item())
            w1, b1, w2, b2 = self.theirs
            other = TF.cross_entropy((torch.tensor(X) @ w1 + b1).tanh() @ w2 + b2, torch.tensor(Y))
            for q in self.theirs:
                q.grad = None
            other.backward()
            self.yours(other)
            assert abs(loss.item() - other.item()) <= 1e-12
        for q, r in zip(self.ours, self.theirs, strict=True):
            np.testing.assert_allclose(q.data, r.detach().numpy(), rtol=1e-11, atol=1e-12)
        return losses, [q.data.tobytes() for q in self.ours]


def agree(prepare):
    """Check that both agree with PyTorch, eager and compiled, and bit for bit with each other."""
    runs = []
    for compiled in (False, True):
        both = Both(compiled)
        prepare(both)
        runs.append(both.run())
    assert runs[0] == runs[1]


@pytest.mark.parametrize(("name", "options"), RULES, ids=str)
def test_rules_agree(name, options):
    def prepare(both):
        mine = getattr(optim, name)(both.ours, **options)
        yours = getattr(torch.optim, name)(both.theirs, **options)
        both.mine, both.yours = lambda _: mine.step(), lambda _: yours.step()

    agree(prepare)


@pytest.mark.parametrize(("name", "options"), SCHEDULES, ids=str)
def test_schedules_agree_with_two_groups(name, options):
    agree(lambda both: schedule_both(both, name, options))


def schedule_both(both, name, options):
    groups = [
        [{"params": ps[:2]}, {"params": ps[2:], "lr": 0.2}] for ps in (both.ours, both.theirs)
    ]
    mine = optim.SGD(groups[0], lr=0.1, momentum=0.9)
    yours = torch.optim.SGD(groups[1], lr=0.1, momentum=0.9)
    extra = {"cycle_momentum": False} if name == "OneCycleLR" else {}
    schedule = getattr(optim.lr_scheduler, name)(mine, **options)
    theirs = getattr(torch.optim.lr_scheduler, name)(yours, **options, **extra)
    plateau = name == "ReduceLROnPlateau"

    def our_end(loss):
        mine.step()
        schedule.step(*[loss] * plateau)

    def their_end(loss):
        yours.step()
        theirs.step(*[loss.item()] * plateau)
        got = [group.lr for group in mine.param_groups]
        np.testing.assert_allclose(got, [g["lr"] for g in yours.param_groups], rtol=1e-12)

    both.mine, both.yours = our_end, their_end


@pytest.mark.parametrize(
    "clip",
    [
        lambda ours, ps: (optim if ours else torch.nn.utils).clip_grad_norm_(ps, 0.3),
        lambda ours, ps: (optim if ours else torch.nn.utils).clip_grad_norm_(ps, 0.2, 1.0),
        lambda ours, ps: (optim if ours else torch.nn.utils).clip_grad_norm_(ps, 0.1, np.inf),
        lambda ours, ps: (optim if ours else torch.nn.utils).clip_grad_value_(ps, 0.05),
    ],
)
def test_clipping_agrees(clip):
    agree(lambda both: clip_both(both, clip))


def clip_both(both, clip):
    mine = optim.SGD(both.ours, lr=0.1, momentum=0.9)
    yours = torch.optim.SGD(both.theirs, lr=0.1, momentum=0.9)
    norms = []

    def our_end(_):
        norm = clip(True, both.ours)
        if both.step == both.our_step:
            norms.append(norm)
        mine.step()

    def their_end(_):
        norm = clip(False, both.theirs)
        if norm is not None and both.step == both.our_step:
            assert abs(norms.pop().item() - norm.item()) <= 1e-12 * norm.item()
        yours.step()

    both.mine, both.yours = our_end, their_end
