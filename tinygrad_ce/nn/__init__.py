"""Layers: a Module holds parameters, and a call opens a scope of its name."""

from ..checkpoint import Checkpoint, load, save
from ..other_names import name_error
from . import init
from .activations import (
    ELU,
    GELU,
    LeakyReLU,
    LogSoftmax,
    ReLU,
    Sigmoid,
    SiLU,
    Softmax,
    Softplus,
    Tanh,
)
from .containers import MLP, ModuleList, Sequential
from .layers import Dropout, Embedding, Flatten, Linear
from .losses import (
    BCELoss,
    BCEWithLogitsLoss,
    CrossEntropyLoss,
    HuberLoss,
    KLDivLoss,
    L1Loss,
    MSELoss,
    NLLLoss,
)
from .module import Module
from .module import Rng as Rng
from .normalization import BatchNorm1d, LayerNorm
from .torch_state import from_torch, to_torch

__all__ = [
    "Module",
    "Linear",
    "BatchNorm1d",
    "LayerNorm",
    "Embedding",
    "Dropout",
    "Flatten",
    "Tanh",
    "ReLU",
    "LeakyReLU",
    "ELU",
    "GELU",
    "SiLU",
    "Softplus",
    "Sigmoid",
    "Softmax",
    "LogSoftmax",
    "Sequential",
    "ModuleList",
    "MLP",
    "CrossEntropyLoss",
    "NLLLoss",
    "MSELoss",
    "L1Loss",
    "HuberLoss",
    "BCELoss",
    "BCEWithLogitsLoss",
    "KLDivLoss",
    "save",
    "load",
    "Checkpoint",
    "init",
    "from_torch",
    "to_torch",
]


def __dir__() -> list[str]:
    return __all__


def __getattr__(name: str) -> object:
    raise name_error(__name__, name)
