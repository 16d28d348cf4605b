"""Modes: whether operations are recorded, and under which scope.

One context variable holds one immutable `Mode`, so that threads and asynchronous tasks never see
each other's, and an operation reads everything it needs to know of its surroundings in one look.
A mode remembers the mode around it: to leave one is to go back to it. The context managers
therefore keep no state of their own and can be entered twice, nested, or from several threads.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from functools import wraps
from inspect import isasyncgenfunction, iscoroutinefunction, isgeneratorfunction
from typing import Any, TypeVar

Function = TypeVar("Function", bound=Callable[..., Any])
Result = TypeVar("Result")


class Scope:
    """A named part of a computation: one call of a softmax, one layer.

    Every entry of ``with scope("softmax"):`` makes a new Scope, so two calls are two scopes of the
    same name. `parent` is the scope around it, or None.
    """

    __slots__ = ("__weakref__", "name", "parent")

    def __init__(self, name: str, parent: Scope | None) -> None:
        self.name = name
        self.parent = parent

    @property
    def path(self) -> str:
        """The names from the outermost scope to this one, joined by ``/``."""
        names = []
        scope: Scope | None = self
        while scope is not None:
            names.append(scope.name)
            scope = scope.parent
        return "/".join(reversed(names))

    def __repr__(self) -> str:
        return f"Scope({self.path!r})"


class Mode:
    """What an operation needs to know of its surroundings."""

    __slots__ = ("grad", "outer", "recorder", "scope", "watch")

    def __init__(
        self,
        grad: bool,
        scope: Scope | None,
        outer: Mode | None,
        watch: Any = None,
        recorder: Any = None,
    ) -> None:
        self.grad = grad
        self.scope = scope
        self.outer = outer
        self.watch = watch  # looks at each value that is made: see detect_nan
        self.recorder = recorder  # is told what a replay must repeat: see compiler/record.py


MODE: ContextVar[Mode] = ContextVar("tinygrad_ce.mode", default=Mode(True, None, None))


class Setting:
    """A context manager and decorator that puts a mode on top of the present one."""

    __slots__ = ()

    def __enter__(self) -> None:
        MODE.set(self.within(MODE.get()))

    def __exit__(self, *exception: object) -> None:
        outer = MODE.get().outer
        assert outer is not None
        MODE.set(outer)

    def within(self, outer: Mode) -> Mode:
        """The mode inside of this one, where the mode around it is `outer`."""
        raise NotImplementedError

    def run(self, function: Callable[..., Result], args: Any, kwargs: Any) -> Result:
        """``function(*args, **kwargs)`` inside."""
        # As a with block would, which takes a quarter more of a layer's time for its own calls.
        outer = MODE.get()
        MODE.set(self.within(outer))
        try:
            return function(*args, **kwargs)
        finally:
            MODE.set(outer)

    def __call__(self, function: Function) -> Function:
        if _suspends(function):
            raise TypeError(
                f"{type(self).__name__} cannot decorate {function.__name__}, a generator or "
                "coroutine, which is left and entered again while it runs: use a with block inside"
            )

        @wraps(function)
        def inside(*args: Any, **kwargs: Any) -> Any:
            return self.run(function, args, kwargs)

        return inside  # type: ignore[return-value]


def _suspends(function: Callable[..., Any]) -> bool:
    return (
        isgeneratorfunction(function)
        or iscoroutinefunction(function)
        or isasyncgenfunction(function)
    )


class no_grad(Setting):
    """Compute without recording: results inside need no gradient and keep no graph.

    >>> import tinygrad_ce as tg
    >>> x = tg.Tensor([1.0, 2.0], requires_grad=True)
    >>> with tg.no_grad():
    ...     y = x * 2
    >>> y.requires_grad
    False

    Also a decorator: ``@tg.no_grad()``.
    """

    __slots__ = ()

    def within(self, outer: Mode) -> Mode:
        """The mode inside, which records nothing."""
        return Mode(False, outer.scope, outer, outer.watch, outer.recorder)


class enable_grad(Setting):
    """Record again inside a `no_grad`, as the transforms (`grad`, `hessian`, ...) do."""

    __slots__ = ()

    def within(self, outer: Mode) -> Mode:
        """The mode inside, which records."""
        return Mode(True, outer.scope, outer, outer.watch, outer.recorder)


class scope(Setting):
    """Name a part of the computation, so that a reader of the graph can fold or group it.

    >>> import tinygrad_ce as tg
    >>> x = tg.Tensor([1.0, 2.0], requires_grad=True)
    >>> with tg.scope("model"), tg.scope("square"):
    ...     y = x * x
    >>> y.scope
    Scope('model/square')

    Also a decorator: ``@tg.scope("softmax")``.
    """

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        if not isinstance(name, str):
            raise TypeError(f"a scope's name is a str, got {type(name).__name__}: {name!r}")
        self.name = name

    def within(self, outer: Mode) -> Mode:
        """The mode inside, in a Scope of its own."""
        inner = Scope(self.name, outer.scope)
        return Mode(outer.grad, inner, outer, outer.watch, outer.recorder)
