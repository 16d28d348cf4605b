"""What optimizers and schedules share: state that changes from step to step."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from itertools import repeat
from typing import Any, ClassVar

import numpy as np

from ..arguments import (
    as_numbers,
    check_flag,
    check_integer,
    check_kind,
    check_real,
    check_sequence,
    shown,
)
from ..engine.commit import commit
from ..engine.context import active_recorder
from ..engine.tensor import Tensor


class Stateful:
    """An object with settings, and with state that may change from step to step.

    Attributes
    ----------
    settings
        The names of what it was made with.
    scalar_state, per_parameter_state
        The names of the attributes that are numbers which may change from step to step, and of
        those that are lists of arrays or numbers, one for each parameter. A recorder reads both
        again at each call, and writes them.
    """

    settings: ClassVar[tuple[str, ...]] = ()
    scalar_state: ClassVar[tuple[str, ...]] = ()
    per_parameter_state: ClassVar[tuple[str, ...]] = ()

    _checks: ClassVar[dict[str, Callable[[Any], Any]]] = {}  # of what is assigned, by name

    def __setattr__(self, name: str, value: Any) -> None:
        # NumPy's numbers count as much as arrays, and would make float64 of float32 parameters.
        check = self._checks.get(name, python_numbers)
        if isinstance(value, Tensor) and name in self._checks:
            if active_recorder() is not None:
                return object.__setattr__(self, name, value)
            value = np.asarray(value)
        object.__setattr__(self, name, check(value))

    def _names(self) -> list[str]:
        return [*dict.fromkeys((*self.settings, *self.scalar_state, *self.per_parameter_state))]

    def state_dict(self) -> dict[str, Any]:
        """Return its settings and its state by name, with copies of the arrays."""
        return {name: _copied(getattr(self, name)) for name in self._names()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Assign what `state_dict` returned. If anything does not fit, nothing is assigned.

        The arrays take the dtypes of the parameters.

        Raises
        ------
        TypeError, KeyError
            Something that is no dict, and names that are missing or unknown.
        ValueError
            Another number of parameters, or arrays of other shapes.
        """
        commit(self._restore(state))

    def _restore(self, state: Mapping[str, Any]) -> Iterator[None]:
        """What assigns a state that fits, once it is run through."""
        check_kind("state", state, dict, "a dict as state_dict() returns it")
        names = self._names()
        if {*names} != state.keys():
            raise KeyError(
                f"the state does not fit {type(self).__name__}: "
                f"missing {sorted({*names} - state.keys())}, "
                f"unknown {sorted(map(shown, state.keys() - {*names}))}"
            )
        restored = copy.copy(self)  # whose attributes are taken over when all of them fit
        for name in names:
            if name in self.per_parameter_state:
                setattr(restored, name, self._as_entries(name, state[name]))
            else:
                setattr(restored, name, state[name])  # which checks it
        attributes = vars(restored)
        return map(object.__setattr__, repeat(self), attributes, attributes.values())

    def _as_entries(self, name: str, given: Any) -> list[Any]:
        """What is restored for each parameter, in its shape and dtype, or nothing for all."""
        entries, shapes, now = check_sequence(name, given), self._shapes(), getattr(self, name)
        if len(entries) not in (0, len(shapes)):
            raise ValueError(
                f"the state has {len(entries)} entries of {name} for {len(shapes)} parameters"
            )
        if now and isinstance(now[0], int):
            return [check_integer(name, entry, 0) for entry in entries]
        arrays = []
        for i, (entry, (shape, dtype)) in enumerate(zip(entries, shapes, strict=False)):
            arrays.append(as_numbers(entry, f"{name}[{i}]", dtype)[()])
            if arrays[i].shape != shape:
                raise ValueError(
                    f"{name}[{i}] of the state has shape {arrays[i].shape}, the parameter {shape}"
                )
        return arrays

    def _shapes(self) -> list[tuple[tuple[int, ...], Any]]:
        """The shape and dtype of each parameter."""
        return []


def _copied(value: Any) -> Any:
    if isinstance(value, list):
        return [np.array(x) if isinstance(x, np.ndarray | np.generic) else x for x in value]
    return value


def at_least(least: float, *names: str) -> dict[str, Callable[[Any], Any]]:
    """Return checks of numbers that are at least this."""
    return {name: partial(check_real, name, least=least) for name in names}


def flags(*names: str) -> dict[str, Callable[[Any], Any]]:
    """Return checks of True and False."""
    return {name: partial(check_flag, name) for name in names}


def python_numbers(value: Any) -> Any:
    """Return a NumPy number, or each in a tuple, as one of Python's; anything else as it is."""
    if type(value) is tuple:
        return tuple(map(python_numbers, value))
    single = isinstance(value, np.generic) or (isinstance(value, np.ndarray) and not value.ndim)
    return value.item() if single else value
