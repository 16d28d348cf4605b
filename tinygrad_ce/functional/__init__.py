"""Probabilities, losses and activations, composed of primitives."""

from ..other_names import name_error
from .activations import (
    dropout,
    elu,
    gelu,
    leaky_relu,
    relu,
    sigmoid,
    silu,
    softplus,
    tanh,
)
from .elementwise_losses import (
    binary_cross_entropy,
    binary_cross_entropy_with_logits,
    huber_loss,
    kl_div,
    l1_loss,
    mse_loss,
)
from .losses import (
    calculate_cross_entropy,
    cross_entropy,
    margin_cross_entropy,
    naive_cross_entropy,
    nll_loss,
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
    "nll_loss",
    "mse_loss",
    "l1_loss",
    "huber_loss",
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "kl_div",
    "relu",
    "leaky_relu",
    "elu",
    "gelu",
    "silu",
    "softplus",
    "sigmoid",
    "tanh",
    "dropout",
]


def __dir__() -> list[str]:
    return __all__


def __getattr__(name: str) -> object:
    raise name_error(__name__, name)
