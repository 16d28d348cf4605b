"""This package's compiler where it writes C, with the bits of the eager step."""

from __future__ import annotations

import os
from functools import partial

from work import Characters, CrossEntropy, Fit, Job, Training

import tinygrad_ce as tg

from . import compiled, eager

THREADS = int(os.environ.get("OMP_NUM_THREADS") or 1)
in_c = partial(tg.compile, backend="c", threads=THREADS)


def training(task: Training) -> Job:
    return eager.training(task, in_c)


def characters(task: Characters) -> Job:
    return eager.characters(task, in_c)


def cross_entropy(task: CrossEntropy) -> Job:
    return compiled.cross_entropy(task, backend="c", threads=THREADS)


def fit(task: Fit) -> Job:
    return eager.fit(task, in_c)
