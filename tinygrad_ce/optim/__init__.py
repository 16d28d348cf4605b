"""Optimizers: from gradients to new parameters; schedules of learning rates, and clipping.

An update is written in operators on plain arrays, and the new value is bound to the parameter: the
arrays of a graph never change.
"""

from ..other_names import name_error
from . import lr_scheduler
from .clipping import clip_grad_norm_, clip_grad_value_
from .optimizer import Optimizer, ParameterGroups
from .rules import SGD, Adagrad, Adam, AdamW, RMSprop

__all__ = [
    "Optimizer",
    "ParameterGroups",
    "SGD",
    "Adam",
    "AdamW",
    "RMSprop",
    "Adagrad",
    "clip_grad_norm_",
    "clip_grad_value_",
    "lr_scheduler",
]


def __dir__() -> list[str]:
    return __all__


def __getattr__(name: str) -> object:
    raise name_error(__name__, name)
