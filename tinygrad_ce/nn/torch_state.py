"""The state of a model from and to PyTorch, whose Linear has its weight transposed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Any

from ..arguments import as_numbers, check_kind, shown
from ..engine.array_types import Array
from .layers import Linear
from .module import Module
from .normalization import BatchNorm1d

_COUNTER = "num_batches_tracked"  # of PyTorch's BatchNorm1d: it uses it with momentum=None alone


def from_torch(state: Mapping[str, Any], model: Module) -> dict[str, Array]:
    """Return a state dict of PyTorch as `model.load_state_dict` takes it.

    Parameters
    ----------
    state
        What `state_dict()` of a PyTorch module returned: Tensors on a CPU, or arrays, by name.
    model
        A model with the same names. The weights of its Linear layers are transposed, square ones
        too.

    Raises
    ------
    TypeError
        A state that is no dict, or a model that is no Module.
    KeyError
        Names that are missing or unknown.

    >>> from tinygrad_ce import nn
    >>> model = nn.Sequential(nn.Linear(3, 2, rng=0))
    >>> import numpy as np
    >>> theirs = {"0.weight": np.ones((2, 3)), "0.bias": np.zeros(2)}
    >>> model.load_state_dict(from_torch(theirs, model))
    >>> model[0].weight.shape
    (3, 2)
    """
    check_kind("state", state, dict, "a dict as state_dict() of a PyTorch module returns it")
    given = {name: x for name, x in state.items() if str(name).rpartition(".")[2] != _COUNTER}
    names = check_kind("model", model, Module).state_dict().keys()
    if given.keys() != names:
        raise KeyError(
            f"the state does not fit the model: missing {sorted(names - given.keys())}, "
            f"unknown {sorted(map(shown, given.keys() - names))}"
        )
    transposed = set(_transposed(model))
    arrays = {name: as_numbers(_to_numpy(x), name) for name, x in given.items()}
    return {name: x.T.copy() if name in transposed else x for name, x in arrays.items()}


def to_torch(model: Module) -> dict[str, Any]:
    """Return the state of a model as a PyTorch module with the same names loads it.

    Parameters
    ----------
    model
        A Module. The weights of its Linear layers are transposed, square ones too.

    Returns
    -------
    dict
        Tensors of PyTorch by name, which share no memory with the model.

    Raises
    ------
    TypeError
        A model that is no Module.
    ImportError
        PyTorch is not installed.
    """
    transposed = set(_transposed(check_kind("model", model, Module)))
    try:
        torch = import_module("torch")
    except ImportError as error:
        raise ImportError(
            "to_torch makes Tensors of PyTorch, which is not installed: pip install torch"
        ) from error
    state = {
        name: x.T.copy() if name in transposed else x for name, x in model.state_dict().items()
    }
    found = {name: torch.from_numpy(x) for name, x in state.items()}
    for path, module in _paths(model):
        if isinstance(module, BatchNorm1d):
            found[f"{path}{_COUNTER}"] = torch.tensor(0)
    return found


def _to_numpy(x: Any) -> Any:
    """A Tensor of PyTorch as an array, and anything else as it is."""
    return x.detach().cpu().numpy() if hasattr(x, "cpu") else x


def _transposed(model: Module) -> Iterator[str]:
    """The names of the weights that are (n_in, n_out) here and (n_out, n_in) there."""
    return (f"{path}weight" for path, module in _paths(model) if isinstance(module, Linear))


def _paths(module: Module, prefix: str = "") -> Iterator[tuple[str, Module]]:
    """The module and all inside of it, with what their names begin with."""
    yield prefix, module
    for name, child in module.named_children():
        yield from _paths(child, f"{prefix}{name}.")
