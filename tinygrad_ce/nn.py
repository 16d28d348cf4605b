"""Layers: a Module holds parameters, and calling it opens a scope of its name.

A parameter is a Tensor with requires_grad; there is no other class for it.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any, ClassVar, TypeAlias

import numpy as np
from numpy.typing import DTypeLike

from .modes import scope
from .tensor import Array, Tensor, as_tensor

# In quotes, since looking it up would load numpy.random at import.
Rng: TypeAlias = "np.random.Generator | int | None"


class Module:
    """Something with parameters that maps Tensors to Tensors.

    A subclass assigns Tensors and Modules to attributes in ``__init__`` and defines ``forward``.
    Tensors with requires_grad are its parameters, other Tensors part of its state. A parameter
    without a name is called after its attribute.

    >>> import tinygrad_ce as tg
    >>> class Scale(Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.factor = tg.Tensor(2.0, requires_grad=True)
    ...
    ...     def forward(self, x):
    ...         return x * self.factor
    >>> Scale()(tg.Tensor([1.0, 2.0])).data
    array([2., 4.])
    >>> dict(Scale().named_parameters())
    {'factor': Tensor(2., name='factor', requires_grad=True)}
    """

    training: bool

    def __init__(self) -> None:
        self.training = True

    def __setattr__(self, name: str, value: Any) -> None:
        if isinstance(value, Tensor) and value.name is None:
            value.name = name
        super().__setattr__(name, value)

    def forward(self, x: Any) -> Tensor:
        """The output for an input; to be defined by each subclass."""
        raise NotImplementedError(f"{type(self).__name__} does not define forward()")

    def __call__(self, x: Any) -> Tensor:
        with scope(type(self).__name__):
            return self.forward(x)

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """The Modules among the attributes, by name."""
        for name, value in vars(self).items():
            if isinstance(value, Module):
                yield name, value

    def _named_tensors(self, prefix: str = "") -> Iterator[tuple[str, Tensor]]:
        for name, value in vars(self).items():
            if isinstance(value, Tensor):
                yield prefix + name, value
        for name, child in self.named_children():
            yield from child._named_tensors(f"{prefix}{name}.")

    def named_parameters(self) -> Iterator[tuple[str, Tensor]]:
        """The parameters by name, such as "0.weight"; one that is shared comes once."""
        seen = set()
        for name, value in self._named_tensors():
            if value.requires_grad and id(value) not in seen:
                seen.add(id(value))
                yield name, value

    def parameters(self) -> list[Tensor]:
        """The parameters, in the order of their making."""
        return [parameter for _, parameter in self.named_parameters()]

    def state_dict(self) -> dict[str, Array]:
        """Copies of all Tensors of this Module and of its children, as arrays, by name."""
        return {name: np.array(value.data) for name, value in self._named_tensors()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Assign what `state_dict` returned; nothing is assigned if anything does not fit.

        Raises
        ------
        KeyError
            Names that are missing, or that this Module does not have.
        ValueError
            An array of another shape.
        """
        own = dict(self._named_tensors())
        if own.keys() != state.keys():
            raise KeyError(
                f"the state does not fit: missing {sorted(own.keys() - state.keys())}, "
                f"unknown {sorted(state.keys() - own.keys())}"
            )
        values = {name: np.array(state[name], dtype=own[name].dtype) for name in own}
        for name, value in values.items():
            if value.shape != own[name].shape:
                raise ValueError(f"{name} has shape {own[name].shape}, the state's {value.shape}")
        for name, value in values.items():
            own[name].rebind(value[()])

    def train(self, training: bool = True) -> Module:
        """Set the mode of this Module and its children to training; returns itself."""
        self.training = training
        for _, child in self.named_children():
            child.train(training)
        return self

    def eval(self) -> Module:
        """Set the mode of this Module and its children to evaluation; returns itself."""
        return self.train(False)

    def __repr__(self) -> str:
        inner = ", ".join(f"{name}={child!r}" for name, child in self.named_children())
        return f"{type(self).__name__}({inner})"


class Linear(Module):
    """x @ weight + bias, with a weight of shape (n_in, n_out).

    Parameters
    ----------
    n_in, n_out
        The number of features of the input's last axis, and of the output's.
    bias
        Whether to add a bias.
    rng
        A generator or a seed. Both weight and bias start uniform in ±1/√n_in.
    dtype
        Of the parameters.

    >>> layer = Linear(4, 3, rng=0)
    >>> layer(np.ones((2, 4), np.float32)).shape
    (2, 3)
    """

    def __init__(
        self,
        n_in: int,
        n_out: int,
        bias: bool = True,
        rng: Rng = None,
        dtype: DTypeLike = np.float32,
    ) -> None:
        super().__init__()
        if min(n_in, n_out) < 1:
            raise ValueError(f"a Linear has at least one input and one output, got {n_in}, {n_out}")
        rng = np.random.default_rng(rng)
        bound = 1 / np.sqrt(n_in)
        self.weight = Tensor(rng.uniform(-bound, bound, (n_in, n_out)), True, dtype=dtype)
        self.bias = Tensor(rng.uniform(-bound, bound, n_out), True, dtype=dtype) if bias else None

    def forward(self, x: Any) -> Tensor:
        """x of shape (..., n_in) to (..., n_out)."""
        y = as_tensor(x) @ self.weight
        return y if self.bias is None else y + self.bias

    def __repr__(self) -> str:
        n_in, n_out = self.weight.shape
        return f"Linear({n_in}, {n_out}{'' if self.bias is not None else ', bias=False'})"


class Tanh(Module):
    """The hyperbolic tangent of each element."""

    def forward(self, x: Any) -> Tensor:
        """Any shape."""
        return as_tensor(x).tanh()


class ReLU(Module):
    """max(x, 0) of each element."""

    def forward(self, x: Any) -> Tensor:
        """Any shape."""
        return as_tensor(x).relu()


class Sigmoid(Module):
    """1 / (1 + exp(-x)) of each element."""

    def forward(self, x: Any) -> Tensor:
        """Any shape."""
        return as_tensor(x).sigmoid()


class Sequential(Module):
    """Modules one after another.

    >>> model = Sequential(Linear(4, 8, rng=0), Tanh(), Linear(8, 3, rng=1))
    >>> [name for name, _ in model.named_parameters()]
    ['0.weight', '0.bias', '2.weight', '2.bias']
    """

    def __init__(self, *layers: Module) -> None:
        super().__init__()
        self.layers = layers

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """The layers, by number."""
        return ((str(i), layer) for i, layer in enumerate(self.layers))

    def forward(self, x: Any) -> Tensor:
        """What the last layer returns."""
        y = as_tensor(x)
        for layer in self.layers:
            y = layer(y)
        return y


class MLP(Sequential):
    """A multi-layer perceptron: Linear layers with an activation between them.

    Parameters
    ----------
    sizes
        The number of inputs, of each hidden layer's units, and of outputs.
    activation
        "tanh", "relu" or "sigmoid"; none after the last layer, whose outputs are logits.
    rng
        A generator or a seed for the first weights.
    dtype
        Of the parameters.

    >>> MLP([4, 16, 3], rng=0)
    MLP(0=Linear(4, 16), 1=Tanh(), 2=Linear(16, 3))
    """

    ACTIVATIONS: ClassVar[dict[str, type[Module]]] = {
        "tanh": Tanh,
        "relu": ReLU,
        "sigmoid": Sigmoid,
    }

    def __init__(
        self,
        sizes: list[int] | tuple[int, ...],
        activation: str = "tanh",
        rng: Rng = None,
        dtype: DTypeLike = np.float32,
    ) -> None:
        if len(sizes) < 2:
            raise ValueError(
                f"an MLP needs the sizes of its input and output at least, got {sizes}"
            )
        if activation not in self.ACTIVATIONS:
            raise ValueError(
                f"activation is one of {', '.join(self.ACTIVATIONS)}, got {activation!r}"
            )
        rng = np.random.default_rng(rng)
        layers: list[Module] = []
        for n_in, n_out in pairwise(sizes):
            layers += [Linear(n_in, n_out, rng=rng, dtype=dtype), self.ACTIVATIONS[activation]()]
        super().__init__(*layers[:-1])
