"""Layers: a Module holds parameters, and a call opens a scope of its name.

A parameter is a Tensor with requires_grad; there is no other class for it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any, ClassVar, Self, TypeAlias

import numpy as np
from numpy.typing import DTypeLike

from . import functional
from .arguments import (
    as_numbers,
    check_choice,
    check_flag,
    check_generator,
    check_integer,
    check_kind,
    check_real,
    check_sequence,
    shown,
)
from .engine.array_types import Array
from .engine.context import scope
from .engine.names import printable
from .engine.tensor import Tensor, as_tensor, run_check, set_values
from .functional import validation

__all__ = [
    "Module",
    "Linear",
    "BatchNorm1d",
    "Embedding",
    "Dropout",
    "Tanh",
    "ReLU",
    "Sigmoid",
    "Sequential",
    "MLP",
]


def __dir__() -> list[str]:
    return __all__


# In quotes, since looking it up would load numpy.random at import.
Rng: TypeAlias = "np.random.Generator | int | None"


class Module:
    """The base class of layers and models: parameters, and a function of Tensors.

    A subclass assigns Tensors and Modules to attributes in ``__init__``, directly or in lists,
    tuples and dicts, and defines ``forward``. Tensors with requires_grad are its parameters, other
    Tensors part of its state; results of operations are neither. A Tensor without a name gets that
    of its attribute.

    >>> import tinygrad_ce as tg
    >>> class Scale(Module):
    ...     def __init__(self):
    ...         self.factor = tg.Tensor(2.0, requires_grad=True)
    ...
    ...     def forward(self, x):
    ...         return x * self.factor
    >>> Scale()(tg.Tensor([1.0, 2.0])).data
    array([2., 4.])
    >>> dict(Scale().named_parameters())
    {'factor': Tensor(2., name='factor', requires_grad=True)}
    """

    _training: bool = True
    _scope: ClassVar[scope] = scope("Module")

    def __init_subclass__(cls) -> None:
        cls._scope = scope(cls.__name__)

    def __setattr__(self, name: str, value: Any) -> None:
        for path, part in _parts_of(name, value):
            if isinstance(part, Tensor) and part.name is None:
                part.name = path
        super().__setattr__(name, value)

    def forward(self, *args: Any, **kwargs: Any) -> Tensor:
        """Return the output for an input; each subclass defines it."""
        raise NotImplementedError(f"{printable(type(self).__name__)} does not define forward()")

    def __call__(self, *args: Any, **kwargs: Any) -> Tensor:
        return self._scope.run(self.forward, args, kwargs)

    def _parts(self) -> Iterator[tuple[str, Part]]:
        """Tensors and Modules among the attributes, with their names."""
        for name, value in vars(self).items():
            yield from _parts_of(name, value)

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """Iterate over child Modules with their names, such as "hidden" or "blocks.0"."""
        for name, part in self._parts():
            if isinstance(part, Module):
                yield name, part

    def _named_tensors(self, prefix: str = "") -> Iterator[tuple[str, Tensor]]:
        """Its leaves, and then those of its children."""
        for name, part in self._parts():
            if isinstance(part, Tensor) and part.primitive is None:
                yield prefix + name, part
        for name, child in self.named_children():
            yield from child._named_tensors(f"{prefix}{name}.")

    def named_parameters(self) -> Iterator[tuple[str, Tensor]]:
        """Iterate over parameters with names such as "0.weight"; a shared one comes once."""
        seen = set()
        for name, value in self._named_tensors():
            if value.requires_grad and id(value) not in seen:
                seen.add(id(value))
                yield name, value

    def parameters(self) -> list[Tensor]:
        """Return the parameters, in the order of `named_parameters`."""
        return [parameter for _, parameter in self.named_parameters()]

    def state_dict(self) -> dict[str, Array]:
        """Return copies of all its Tensors and those of its children, as arrays, by name."""
        return {name: np.array(value.data) for name, value in self._named_tensors()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Assign what `state_dict` returned. If anything does not fit, nothing is assigned.

        Raises
        ------
        KeyError
            Names that are missing or unknown.
        ValueError
            An array of another shape.
        """
        own = dict(self._named_tensors())
        check_kind("state", state, Mapping, "a dict as state_dict() returns it")
        if own.keys() != state.keys():
            raise KeyError(
                f"the state does not fit: missing {sorted(own.keys() - state.keys())}, "
                f"unknown {sorted(map(shown, state.keys() - own.keys()))}"
            )
        values = {name: as_numbers(state[name], name, own[name].dtype) for name in own}
        for name, value in values.items():
            if value.shape != own[name].shape:
                raise ValueError(
                    f"{printable(name, 80)} has shape {own[name].shape}, the state's {value.shape}"
                )
        set_values(list(own.values()), [value[()] for value in values.values()])

    @property
    def training(self) -> bool:
        """Whether it is in training mode, as at first, or in evaluation mode."""
        return self._training

    @training.setter
    def training(self, training: bool) -> None:
        self._training = check_flag("training", training)

    def train(self, training: bool = True) -> Self:
        """Set the mode of this Module and its children to training, and return the Module."""
        self.training = training
        for _, child in self.named_children():
            child.train(training)
        return self

    def eval(self) -> Self:
        """Set the mode of this Module and its children to evaluation, and return the Module."""
        return self.train(False)

    def extra_repr(self) -> str:
        """Return what its repr says before the children: the arguments that made it."""
        return ""

    def __repr__(self) -> str:
        extra = self.extra_repr()
        children = (f"{printable(name)}={child!r}" for name, child in self.named_children())
        return f"{printable(type(self).__name__)}({', '.join([extra] * bool(extra) + [*children])})"


Part: TypeAlias = Tensor | Module


def _parts_of(name: str, value: Any) -> Iterator[tuple[str, Part]]:
    """Tensors and Modules that an attribute is, or holds in lists, tuples and dicts."""
    if isinstance(value, Part):
        yield name, value
    elif isinstance(value, list | tuple):
        for i, part in enumerate(value):
            yield from _parts_of(f"{name}.{i}", part)
    elif isinstance(value, dict):
        for key, part in value.items():
            yield from _parts_of(f"{name}.{key}", part)


class Linear(Module):
    """A linear layer: x @ weight + bias, with a weight of shape (n_in, n_out).

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

    Raises
    ------
    ValueError
        No inputs or no outputs.

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
        n_in, n_out = check_integer("n_in", n_in, 1), check_integer("n_out", n_out, 1)
        rng = check_generator(rng)
        bound = 1 / np.sqrt(n_in)
        self.weight = Tensor(rng.uniform(-bound, bound, (n_in, n_out)), True, dtype=dtype)
        self.bias = None
        if check_flag("bias", bias):
            self.bias = Tensor(rng.uniform(-bound, bound, n_out), True, dtype=dtype)

    def forward(self, x: Any) -> Tensor:
        """Map x of shape (..., n_in) to (..., n_out)."""
        y = as_tensor(x) @ self.weight
        return y if self.bias is None else y + self.bias

    def extra_repr(self) -> str:
        """Return its shape, and bias=False if it has no bias."""
        n_in, n_out = self.weight.shape
        return f"{n_in}, {n_out}{'' if self.bias is not None else ', bias=False'}"


class BatchNorm1d(Module):
    """Normalize each feature over the batch: γ (x - μ)(σ² + ε)^-½ + β.

    In training, μ is the mean of the batch and σ² its biased variance (divided by N); running
    averages of the mean and of the unbiased variance (divided by N - 1) are updated. In evaluation,
    μ and σ² are the running averages. As in PyTorch.

    Parameters
    ----------
    n
        The number of features.
    eps
        ε, which keeps a constant feature from a division by 0.
    momentum
        The share of a batch in the running averages: r ← (1 - momentum) r + momentum · batch.
    dtype
        Of the parameters and the running averages.

    Attributes
    ----------
    weight, bias
        γ and β, parameters of shape (n,), 1 and 0 at first.
    running_mean, running_var
        Of shape (n,), 0 and 1 at first. Part of the state, but no parameters.

    Raises
    ------
    ValueError
        Input of another shape than (N, n), or, in training, of fewer than two rows.

    References
    ----------
    Ioffe and Szegedy, Batch normalization, 2015, algorithm 1.

    >>> layer = BatchNorm1d(1)
    >>> layer(Tensor([[1.0], [3.0]])).data.round(3)
    array([[-1.],
           [ 1.]])
    >>> layer.running_mean, layer.running_var
    (Tensor([0.2], dtype=float32, name='running_mean'),
     Tensor([1.1], dtype=float32, name='running_var'))
    """

    def __init__(
        self, n: int, eps: float = 1e-5, momentum: float = 0.1, dtype: DTypeLike = np.float32
    ) -> None:
        n = check_integer("n", n, 1)
        # As Python's numbers, these leave the dtype of the batch alone.
        self.eps = check_real("eps", eps, 0)
        self.momentum = check_real("momentum", momentum, 0, 1)
        self.weight = Tensor(np.ones(n), True, dtype=dtype)
        self.bias = Tensor(np.zeros(n), True, dtype=dtype)
        self.running_mean = Tensor(np.zeros(n), dtype=dtype)
        self.running_var = Tensor(np.ones(n), dtype=dtype)

    def forward(self, x: Any) -> Tensor:
        """Map x of shape (N, n) to the same shape."""
        batch = as_tensor(x)
        if batch.shape[1:] != self.weight.shape:
            raise ValueError(
                f"BatchNorm1d({self.extra_repr()}) needs a batch of shape "
                f"(N, {self.weight.size}), got {batch.shape}"
            )
        if self.training:
            mean = batch.mean(0)
            centered = batch - mean
            var = (centered * centered).mean(0)
            self._update_averages(mean, var, len(batch))
        else:
            centered, var = batch - self.running_mean, self.running_var
        return centered * ((var + self.eps) ** -0.5 * self.weight) + self.bias

    def _update_averages(self, mean: Tensor, var: Tensor, n: int) -> None:
        """Move the running averages towards those of a batch of n rows."""
        if n < 2:
            raise ValueError(
                f"a batch of {n} has no variance to normalize by: "
                "BatchNorm1d needs at least 2 rows in training; for fewer, eval() it first"
            )
        averages = [self.running_mean, self.running_var]
        moved = [
            (1 - self.momentum) * running + self.momentum * batch.detach()
            for running, batch in zip(averages, (mean, var * (n / (n - 1))), strict=True)
        ]
        set_values(
            averages, [value.astype(a.dtype) for a, value in zip(averages, moved, strict=True)]
        )

    def extra_repr(self) -> str:
        """Return the number of features, and what is not the default."""
        options = {"eps": (self.eps, 1e-5), "momentum": (self.momentum, 0.1)}
        changed = [f"{name}={value}" for name, (value, usual) in options.items() if value != usual]
        return ", ".join([str(self.weight.size), *changed])


class Embedding(Module):
    """A vector for each token: the rows of `weight`, chosen by index.

    Parameters
    ----------
    n_tokens, dim
        The number of tokens, and of elements of a vector.
    rng
        A generator or a seed. The vectors start standard normal.
    dtype
        Of the parameter.

    Raises
    ------
    ValueError
        No tokens or no elements.

    >>> layer = Embedding(27, 10, rng=0)
    >>> layer([[0, 26, 3], [1, 1, 1]]).shape
    (2, 3, 10)
    """

    def __init__(
        self, n_tokens: int, dim: int, rng: Rng = None, dtype: DTypeLike = np.float32
    ) -> None:
        n_tokens, dim = check_integer("n_tokens", n_tokens, 1), check_integer("dim", dim, 1)
        vectors = check_generator(rng).standard_normal((n_tokens, dim))
        self.weight = Tensor(vectors, True, dtype=dtype)

    def forward(self, tokens: Any) -> Tensor:
        """Map integers in [0, n_tokens), of any shape (...), to vectors (..., dim).

        Raises
        ------
        TypeError, IndexError
            Indices that are not integers, or out of range.
        """
        t = validation.as_integers_or_floats(tokens)
        n = self.weight.shape[0]
        run_check(validation.check_range, t, n, one="index", many="indices", of="tokens")
        return self.weight[t]

    def extra_repr(self) -> str:
        """Return its shape."""
        n_tokens, dim = self.weight.shape
        return f"{n_tokens}, {dim}"


class Dropout(Module):
    """Set each element to 0 with probability p in training, and divide the others by 1 - p.

    In evaluation, it leaves its input as it is.

    Parameters
    ----------
    p
        From 0 to 1.
    rng
        A generator or a seed. In a compiled step too, each call draws again.

    Raises
    ------
    ValueError
        A p outside of [0, 1].

    References
    ----------
    Srivastava et al., Dropout, 2014.

    >>> layer = Dropout(0.5, rng=0)
    >>> layer(Tensor([1.0, 1.0, 1.0, 1.0]))
    Tensor([2., 0., 0., 0.])
    >>> layer.eval()(Tensor([1.0, 1.0]))
    Tensor([1., 1.])
    """

    def __init__(self, p: float = 0.5, rng: Rng = None) -> None:
        self.p = check_real("p", p, 0, 1)
        self.rng = check_generator(rng)

    def forward(self, x: Any) -> Tensor:
        """Map x, floating point of any shape, to the same shape and dtype."""
        return functional.dropout(x, self.p, rng=self.rng, training=self.training)

    def extra_repr(self) -> str:
        """Return the probability."""
        return f"{self.p}"


class Tanh(Module):
    """The hyperbolic tangent of each element."""

    def forward(self, x: Any) -> Tensor:
        """Map x of any shape."""
        return as_tensor(x).tanh()


class ReLU(Module):
    """max(x, 0) of each element."""

    def forward(self, x: Any) -> Tensor:
        """Map x of any shape."""
        return as_tensor(x).relu()


class Sigmoid(Module):
    """1 / (1 + exp(-x)) of each element."""

    def forward(self, x: Any) -> Tensor:
        """Map x of any shape."""
        return as_tensor(x).sigmoid()


class Sequential(Module):
    """Modules applied one after another.

    Raises
    ------
    TypeError
        A layer that is not a Module.

    >>> model = Sequential(Linear(4, 8, rng=0), Tanh(), Linear(8, 3, rng=1))
    >>> [name for name, _ in model.named_parameters()]
    ['0.weight', '0.bias', '2.weight', '2.bias']
    """

    def __init__(self, *layers: Module) -> None:
        for layer in layers:
            if not isinstance(layer, Module):
                raise TypeError(f"a Sequential is made of Modules, got {type(layer).__name__}")
        self.layers = layers

    def _parts(self) -> Iterator[tuple[str, Part]]:
        """The layers, with their numbers as names."""
        return ((str(i), layer) for i, layer in enumerate(self.layers))

    def __len__(self) -> int:
        return len(self.layers)

    def __getitem__(self, i: int) -> Module:
        try:
            return self.layers[i]
        except (TypeError, IndexError) as error:  # by which a for loop ends
            what = f"a Sequential of {len(self)} layers has no layer {shown(i)}"
            raise type(error)(what) from None

    def forward(self, x: Any) -> Tensor:
        """Map x by each layer in turn."""
        y = as_tensor(x)
        for layer in self.layers:
            y = layer(y)
        return y


class MLP(Sequential):
    """A multilayer perceptron: Linear layers with an activation between them.

    Parameters
    ----------
    sizes
        The number of inputs, of each hidden layer's units, and of outputs.
    activation
        "tanh", "relu" or "sigmoid"; none after the last layer, whose outputs are logits.
    rng
        A generator or a seed for the initial weights.
    dtype
        Of the parameters.

    Raises
    ------
    ValueError
        Fewer than two sizes, a size below 1, or another activation.

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
        sizes = [check_integer("a size", n, 1) for n in check_sequence("sizes", sizes)]
        if len(sizes) < 2:
            raise ValueError(
                f"an MLP needs the sizes of its input and output at least, got {sizes}"
            )
        check_choice("activation", activation, self.ACTIVATIONS)
        rng = check_generator(rng)
        layers: list[Module] = []
        for n_in, n_out in pairwise(sizes):
            layers += [Linear(n_in, n_out, rng=rng, dtype=dtype), self.ACTIVATIONS[activation]()]
        super().__init__(*layers[:-1])
