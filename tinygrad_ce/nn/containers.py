"""Modules made of Modules."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Any, ClassVar

import numpy as np
from numpy.typing import DTypeLike

from ..arguments import (
    check_choice,
    check_generator,
    check_integer,
    check_iterable,
    check_kind,
    check_sequence,
    shown,
)
from ..engine.tensor import Tensor, as_tensor
from .activations import ReLU, Sigmoid, Tanh
from .layers import Linear
from .module import Module, Part, Rng


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
                raise TypeError(
                    f"a Sequential is made of Modules, got {type(layer).__name__}: give them as "
                    "arguments, Sequential(first, second), with * in front of a list"
                )
        self.layers = layers

    def _parts(self) -> Iterator[tuple[str, Part]]:
        """The layers, with their numbers as names."""
        return ((str(i), layer) for i, layer in enumerate(self.layers))

    def __len__(self) -> int:
        return len(self.layers)

    def __getitem__(self, i: int) -> Module:
        return _layer_of(self, i)

    def forward(self, x: Any) -> Tensor:
        """Map x by each layer in turn."""
        y = as_tensor(x)
        for layer in self.layers:
            y = layer(y)
        return y


def _layer_of(module: Sequential | ModuleList, i: int) -> Module:
    try:
        return module.layers[i]
    except (TypeError, IndexError) as error:  # by which a for loop ends
        what = f"a {type(module).__name__} of {len(module)} layers has no layer {shown(i)}"
        raise type(error)(what) from None


class ModuleList(Module):
    """Modules in a list, whose parameters belong to the Module that holds it.

    A plain list does the same; this one has a `forward` of nothing, and can be appended to.

    Raises
    ------
    TypeError
        Something that is no Module.

    >>> layers = ModuleList([Linear(4, 4, rng=i) for i in range(3)])
    >>> len(layers), len(layers.parameters())
    (3, 6)
    """

    def __init__(self, modules: Iterable[Module] = ()) -> None:
        self.layers: tuple[Module, ...] = ()
        for module in check_iterable("modules", modules):
            self.append(module)

    def append(self, module: Module) -> None:
        """Put a Module at the end."""
        self.layers = (*self.layers, check_kind("a part of a ModuleList", module, Module))

    def _parts(self) -> Iterator[tuple[str, Part]]:
        return ((str(i), layer) for i, layer in enumerate(self.layers))

    def __len__(self) -> int:
        return len(self.layers)

    def __iter__(self) -> Iterator[Module]:
        return iter(self.layers)

    def __getitem__(self, i: int) -> Module:
        return _layer_of(self, i)


class MLP(Sequential):
    """A multilayer perceptron: Linear layers with an activation between them.

    Parameters
    ----------
    sizes
        The number of inputs, of each hidden layer's units, and of outputs; or the number of inputs,
        followed by a list of the others, as in micrograd: MLP(4, [16, 3]) is MLP([4, 16, 3]).
    activation
        "tanh", "relu" or "sigmoid"; none after the last layer, whose outputs are logits.
    rng
        A generator or a seed for the initial weights.
    dtype
        Of the parameters.

    Raises
    ------
    ValueError, TypeError
        Fewer than two sizes, a size below 1, sizes that are not in a list, or another activation.

    >>> MLP([4, 16, 3], rng=0)
    MLP(0=Linear(4, 16), 1=Tanh(), 2=Linear(16, 3); 131 parameters)
    """

    ACTIVATIONS: ClassVar[dict[str, type[Module]]] = {
        "tanh": Tanh,
        "relu": ReLU,
        "sigmoid": Sigmoid,
    }

    def __init__(
        self,
        sizes: int | Sequence[int],
        *more: Sequence[int] | str,
        activation: str = "tanh",
        rng: Rng = None,
        dtype: DTypeLike = np.float32,
    ) -> None:
        rest: list[Any] = [*more]
        if rest and isinstance(rest[0], list | tuple) and not isinstance(sizes, list | tuple):
            sizes = [sizes, *rest.pop(0)]  # type: ignore[list-item]
        if rest and isinstance(rest[0], str):
            activation = rest.pop(0)
        if rest:
            given = ", ".join(map(shown, (sizes, *more)))
            raise TypeError(
                f"MLP({given}): write the sizes as one list, MLP([4, 16, 3]), "
                'and the rest by name, as in activation="relu"'
            )
        counts = [check_integer("a size", n, 1) for n in check_sequence("sizes", sizes)]
        if len(counts) < 2:
            raise ValueError(
                f"an MLP needs the sizes of its input and output at least, got {counts}"
            )
        check_choice("activation", activation, self.ACTIVATIONS)
        rng = check_generator(rng)
        layers: list[Module] = []
        for n_in, n_out in pairwise(counts):
            layers += [Linear(n_in, n_out, rng=rng, dtype=dtype), self.ACTIVATIONS[activation]()]
        super().__init__(*layers[:-1])
