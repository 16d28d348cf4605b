"""This package's compiler where it writes C, and last digits may change."""

from __future__ import annotations

from functools import partial

from work import Characters, CrossEntropy, Fit, Job, Training

from . import compiled, eager
from .compiled_c import THREADS, in_c

in_fast_c = partial(in_c, fast=True)


def training(task: Training) -> Job:
    return eager.training(task, in_fast_c)


def characters(task: Characters) -> Job:
    return eager.characters(task, in_fast_c)


def cross_entropy(task: CrossEntropy) -> Job:
    return compiled.cross_entropy(task, backend="c", fast=True, threads=THREADS)


def fit(task: Fit) -> Job:
    return eager.fit(task, in_fast_c)
