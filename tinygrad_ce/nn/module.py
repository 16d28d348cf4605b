"""Module, the base class of layers and models.

A parameter is a Tensor with requires_grad; there is no other class for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, ClassVar, Never, Self, TypeAlias

import numpy as np

from ..arguments import as_numbers, check_callable, check_flag, check_kind, shown
from ..engine.array_types import Array
from ..engine.commit import clear_gradients
from ..engine.context import active_recorder, scope
from ..engine.names import printable
from ..engine.tensor import Tensor, set_values
from ..other_names import ConstructorSignature, NotOfModules, check_keywords, keyword_error

# In quotes, since looking it up would load numpy.random at import.
Rng: TypeAlias = "np.random.Generator | int | None"


class Module(NotOfModules):
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

    __signature__ = ConstructorSignature()
    _training: bool = True
    _scope: ClassVar[scope] = scope("Module")

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        """Make one, once its keywords are known."""
        check_keywords(cls, kwargs)
        if (args or kwargs) and cls.__init__ is object.__init__:
            raise TypeError(f"{cls.__name__}() takes no arguments")
        return super().__new__(cls)

    def __init_subclass__(cls) -> None:
        cls._scope = scope(cls.__name__)

    def __setattr__(self, name: str, value: Any) -> None:
        try:
            for path, part in _parts_of(name, value):
                if isinstance(part, Tensor) and part.name is None:
                    part.name = path
        except RecursionError:
            raise ValueError(f"{printable(name)} is a list or dict that holds itself") from None
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

    def children(self) -> Iterator[Module]:
        """Iterate over child Modules."""
        return (child for _, child in self.named_children())

    def modules(self) -> Iterator[Module]:
        """Iterate over this Module and all inside of it, each once."""
        seen: set[int] = set()
        todo: list[Module] = [self]
        while todo:
            module = todo.pop()
            if id(module) not in seen:
                seen.add(id(module))
                yield module
                todo += [*module.children()][::-1]

    def apply(self, function: Callable[[Module], object]) -> Self:
        """Call a function of each Module inside of it, and of itself at last; return itself.

        >>> from tinygrad_ce import nn
        >>> model = nn.MLP([4, 16, 3], rng=0)
        >>> def scale(layer):
        ...     if isinstance(layer, nn.Linear):
        ...         layer.weight.data = 0.1 * layer.weight.data
        >>> model.apply(scale) is model
        True
        """
        check_callable("function", function)
        for module in [*self.modules()][::-1]:
            function(module)
        return self

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
        check_kind("state", state, dict, "a dict as state_dict() returns it")
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

    def zero_grad(self, **other: Never) -> None:
        """Clear the gradients of its parameters: set them to None."""
        if other:
            raise keyword_error("zero_grad", other)
        parameters, recorder = self.parameters(), active_recorder()
        if recorder is None or recorder.zero_grad(parameters) is NotImplemented:
            clear_gradients(parameters)

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
        """Return what its repr says before the children: its Tensors, or what made it."""
        own = [(name, part) for name, part in self._parts() if isinstance(part, Tensor)]
        return ", ".join(f"{printable(name)} {list(part.shape)}" for name, part in own)

    def __repr__(self) -> str:
        n = sum(parameter.size for parameter in self.parameters())
        count = f"; {n:,} parameter{'s' * (n != 1)}" * bool(n)
        return f"{self._describe()[:-1]}{count})"

    def _describe(self) -> str:
        parts = [extra] if (extra := self.extra_repr()) else []
        parts += [f"{printable(x)}={child._describe()}" for x, child in self.named_children()]
        return f"{printable(type(self).__name__)}({', '.join(parts)})"


Part: TypeAlias = Tensor | Module


def _parts_of(name: str, value: Any, outer: tuple[Any, ...] = ()) -> Iterator[tuple[str, Part]]:
    """Tensors and Modules that an attribute is, or holds in lists, tuples and dicts."""
    if isinstance(value, Part):
        yield name, value
    elif isinstance(value, list | tuple | dict) and not any(value is x for x in outer):
        for key, part in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _parts_of(f"{name}.{key}", part, (*outer, value))
