"""Probabilities, losses and activations, composed of primitives."""

from .activations import dropout, gelu
from .losses import (
    calculate_cross_entropy,
    cross_entropy,
    margin_cross_entropy,
    naive_cross_entropy,
    shifted_cross_entropy,
)
from .probabilities import log_softmax, logsumexp, one_hot, softmax

__all__ = [
    "softmax",
    "log_softmax",
    "logsumexp",
    "one_hot",
    "cross_entropy",
    "naive_cross_entropy",
    "shifted_cross_entropy",
    "margin_cross_entropy",
    "calculate_cross_entropy",
    "gelu",
    "dropout",
]


def __dir__() -> list[str]:
    return __all__
