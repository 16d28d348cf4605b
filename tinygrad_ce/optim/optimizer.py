"""The base class of optimizers, and what groups of parameters are: optimizers of their own."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain, repeat
from typing import Any, ClassVar, Never, NoReturn

import numpy as np

from ..arguments import check_iterable, check_kind, shown
from ..engine.commit import clear_gradients, commit
from ..engine.context import active_recorder
from ..engine.tensor import Tensor
from ..other_names import ConstructorSignature, NotOfOptimizers, check_keywords, keyword_error
from .state import Stateful, at_least

_VALUE = repeat("_value")

# The lists of state, by name; one entry for each parameter.
States = dict[str, list[Any]]


class Optimizer(Stateful, NotOfOptimizers):
    """The base class: holds parameters and updates them from their gradients.

    Attributes
    ----------
    params
        The list of parameters. One whose `.grad` is None is left as it is.
    lr
        The learning rate; can be assigned between steps.
    settings, scalar_state, per_parameter_state
        The names of what it was made with; of the attributes that are numbers which may change
        from step to step; and of those that are lists of arrays or numbers, one for each parameter.

    Raises
    ------
    ValueError
        No parameters, one given twice or not a leaf with requires_grad, a negative number.
    TypeError
        A parameter that is not a Tensor.

    Notes
    -----
    While a step is recorded, `update_parameters` runs on Tensors: a recorder calls it on a copy of
    the optimizer in which parameters, gradients and the attributes that `scalar_state` and
    `per_parameter_state` name are Tensors, and reads what it has assigned to them. Once one of the
    other attributes has changed, the step is recorded again.

    Given a list of dicts in place of parameters, a class makes `ParameterGroups`.
    """

    __slots__ = ("_uncleared_steps",)

    __signature__ = ConstructorSignature()
    settings: ClassVar[tuple[str, ...]] = ("lr", "weight_decay")
    scalar_state: ClassVar[tuple[str, ...]] = ("lr",)
    _checks = at_least(0, "lr", "weight_decay")

    def __new__(cls, params: Any = (), *args: Any, **options: Any) -> Any:
        """Return one optimizer; or, of a list of dicts, one for each, as `ParameterGroups`."""
        check_keywords(cls, options)
        groups = isinstance(params, list | tuple) and any(isinstance(x, dict) for x in params)
        if not groups or issubclass(cls, ParameterGroups):
            return object.__new__(cls)
        given = inspect.signature(cls).bind_partial(params, *args, **options).arguments
        return ParameterGroups([cls(**{**given, **_as_group(cls, group)}) for group in params])

    def __init__(self, params: Iterable[Tensor], lr: float, weight_decay: float = 0.0) -> None:
        self.params = _as_parameters(type(self).__name__, params)
        self.lr = lr
        self.weight_decay = weight_decay

    @property
    def param_groups(self) -> tuple[Optimizer, ...]:
        """The optimizers whose parameters are updated together: one for each group."""
        return (self,)

    def zero_grad(self, **other: Never) -> None:
        """Clear the gradients: set them to None."""
        if other:
            raise keyword_error("zero_grad", other)
        recorder = active_recorder()
        if recorder is not None and recorder.zero_grad(self.params) is not NotImplemented:
            return
        clear_gradients(self.params)
        _set_uncleared_steps(self, 0)

    def step(self) -> None:
        """Update each parameter that has a gradient."""
        recorder = active_recorder()
        if recorder is None or recorder.optimizer_step(self) is NotImplemented:
            self.update_parameters()
            _set_uncleared_steps(self, getattr(self, "_uncleared_steps", 0) + 1)

    def update_parameters(self) -> None:
        """Update each parameter, whether or not a recorder is active.

        All parameters and their state are assigned at once, when all new values are there: an
        interruption leaves all or none updated.
        """
        commit(*self._compute_updates())

    def _compute_updates(self) -> list[Iterator[None]]:
        """What assigns the new parameters and their state, once it is run through."""
        states: States = {}
        for name in self.per_parameter_state:
            if entries := getattr(self, name):
                states[name] = [*entries]
        new: dict[Tensor, Any] = {}
        for i, parameter in enumerate(self.params):
            g = parameter._grad
            if g is not None:
                old = parameter._value
                value = self.update(states, i, old, g)
                if value.dtype is not old.dtype and value.dtype != old.dtype:
                    value = value.astype(old.dtype)  # the state was restored from another dtype
                new[parameter] = value
        assignments: list[Iterator[None]] = [map(setattr, new, _VALUE, new.values())]
        if states:
            assignments.append(map(object.__setattr__, repeat(self), states, states.values()))
        return assignments

    def update(self, states: States, i: int, value: Any, g: Any) -> Any:
        """Return the new value of the i-th parameter, and put its new state into `states`.

        Parameters
        ----------
        states
            A copy of each list that `per_parameter_state` names and that is not empty.
        value, g
            The parameter and its gradient: arrays, or Tensors while a step is recorded.
        """
        raise NotImplementedError(f"{type(self).__name__} does not define update()")

    def _add_decay(self, value: Any, g: Any) -> Any:
        """The gradient plus λ·p: weight decay, unless it is decoupled."""
        return g + self.weight_decay * value if self.weight_decay else g

    def _zeros(self) -> list[Any]:
        """A list with zeros in the shape of each parameter."""
        return [np.zeros_like(parameter._value)[()] for parameter in self.params]

    def _shapes(self) -> list[tuple[tuple[int, ...], Any]]:
        return [(parameter.shape, parameter.dtype) for parameter in self.params]

    def __repr__(self) -> str:
        values = {name: getattr(self, name) for name in self.settings}
        settings = ", ".join(f"{k}={v!r}" for k, v in values.items() if v or k == "lr")
        return f"{type(self).__name__}({settings}; {self._describe_parameters()})"

    def _describe_parameters(self) -> str:
        n = len(self.params)
        size = sum(parameter.size for parameter in self.params)
        text = f"{_counted(n, 'parameter')} of {_counted(size, 'number')}, "
        having = sum(parameter._grad is not None for parameter in self.params)
        if not having:
            return text + "gradients cleared"
        steps = getattr(self, "_uncleared_steps", 0)
        text += "gradients" if having == n else f"gradients of {having}"
        return text + (f" of {steps} steps without zero_grad()" if steps > 1 else " not cleared")

    def __getitem__(self, name: str) -> NoReturn:
        raise TypeError(
            f"a group of parameters is an optimizer of its own, and no dict: write group.{name} "
            f"in place of group[{name!r}]"
        )

    def __setitem__(self, name: str, value: Any) -> NoReturn:
        self.__getitem__(name)


_set_uncleared_steps = Optimizer.__dict__["_uncleared_steps"].__set__  # tells no recorder


class ParameterGroups(Optimizer):
    """Several optimizers as one, each with parameters and settings of its own.

    `optim.SGD([{"params": a}, {"params": b, "lr": 0.01}], lr=0.1)` makes one; the optimizers can
    also be of different kinds.

    Parameters
    ----------
    groups
        Optimizers that share no parameter.

    Attributes
    ----------
    params
        The parameters of all groups.
    param_groups
        The optimizers; each has its own `lr`, and so on.

    Raises
    ------
    ValueError, TypeError
        No groups, a parameter in two of them, something that is no optimizer.

    >>> import tinygrad_ce as tg
    >>> body, head = (tg.Tensor(1.0, requires_grad=True) for _ in range(2))
    >>> optimizer = tg.optim.SGD([{"params": [body]}, {"params": [head], "lr": 0.5}], lr=0.125)
    >>> (body + head).backward()
    >>> optimizer.step()
    >>> body.data, head.data
    (array(0.875), array(0.5))
    >>> [group.lr for group in optimizer.param_groups]
    [0.125, 0.5]
    """

    settings = ()
    scalar_state = ()
    _groups: tuple[Optimizer, ...] = ()

    def __init__(self, groups: Iterable[Optimizer], *args: Any, **options: Any) -> None:
        if "params" in vars(self):
            return  # Python initializes what __new__ returns, which has been initialized
        members = [check_kind("a group", g, Optimizer) for g in check_iterable("groups", groups)]
        self.params = _as_parameters("ParameterGroups", chain(*(g.params for g in members)))
        self._groups = tuple(chain(*(group.param_groups for group in members)))

    @property
    def param_groups(self) -> tuple[Optimizer, ...]:
        """The optimizers whose parameters are updated together: one for each group."""
        return self._groups

    def step(self) -> None:
        """Update each parameter that has a gradient; all groups at once."""
        if active_recorder() is None:
            commit(*chain(*(group._compute_updates() for group in self._groups)))
            _set_uncleared_steps(self, getattr(self, "_uncleared_steps", 0) + 1)
        else:
            for group in self._groups:
                group.step()

    def state_dict(self) -> dict[str, Any]:
        """Return the state of each group."""
        return {"param_groups": [group.state_dict() for group in self._groups]}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Assign what `state_dict` returned. If anything does not fit, nothing is assigned.

        Raises
        ------
        TypeError, KeyError, ValueError
            As for one optimizer; and ValueError for another number of groups.
        """
        check_kind("state", state, dict, "a dict as state_dict() returns it")
        if state.keys() != {"param_groups"}:
            raise KeyError(f"the state of groups has param_groups, got {shown([*state])}")
        states = state["param_groups"]
        if len(states) != len(self._groups):
            raise ValueError(
                f"the state has {len(states)} groups, and there are {len(self._groups)}"
            )
        loaded = [g._restore(s) for g, s in zip(self._groups, states, strict=True)]
        commit(*loaded)

    def __repr__(self) -> str:
        groups = ", ".join(map(repr, self._groups))
        return f"ParameterGroups({groups}; {self._describe_parameters()})"

    def __getattr__(self, name: str) -> NoReturn:
        if name[0] == "_":
            raise AttributeError(name)
        raise AttributeError(
            f"ParameterGroups have no {name}, as each has its own: "
            f"for group in optimizer.param_groups: group.{name}"
        )

    def __setattr__(self, name: str, value: Any) -> None:
        if name[0] != "_" and name != "params":
            getattr(self, name)  # which says where it is
        super().__setattr__(name, value)


def _as_group(cls: type[Optimizer], group: Any) -> dict[str, Any]:
    """The arguments of the optimizer of a group."""
    given: dict[str, Any] = check_kind(
        "a group", group, dict, 'a dict such as {"params": […], "lr": 0.1}'
    )
    known = [*inspect.signature(cls).parameters]
    if "params" not in given or not given.keys() <= {*known}:
        raise ValueError(
            f"a group of {cls.__name__} has params, and can have {', '.join(known[1:])}; "
            f"got {shown([*given])}"
        )
    return given


def _as_parameters(name: str, params: Any) -> list[Tensor]:
    """A list of parameters: leaves with requires_grad, all different."""
    if isinstance(params, Tensor):
        raise TypeError(f"{name} takes a list of parameters, got one Tensor: write [parameter]")
    if callable(getattr(type(params), "parameters", None)):
        raise TypeError(
            f"{name} takes a list of parameters, got a {type(params).__name__}: "
            f"write {name}(model.parameters(), …)"
        )
    if callable(params):
        raise TypeError(f"{name} got a function: call it, as in {name}(model.parameters(), …)")
    parameters: list[Tensor] = []
    for parameter in check_iterable("parameters", params):
        if not isinstance(parameter, Tensor):
            raise TypeError(
                f"a parameter is a Tensor, got {shown(parameter)}; model.parameters() lists those "
                "of a model"
            )
        if not parameter.requires_grad or parameter.primitive is not None:
            raise ValueError(
                f"{parameter.label()} is no parameter: that is a leaf with requires_grad=True"
            )
        parameters.append(parameter)
    if not parameters:
        raise ValueError("an optimizer needs at least one parameter, got none")
    if len({id(parameter) for parameter in parameters}) < len(parameters):
        raise ValueError("a parameter is given twice, and would be updated twice a step")
    return parameters


def _counted(n: int, what: str) -> str:
    return f"{n:,} {what}{'s' * (n != 1)}"
