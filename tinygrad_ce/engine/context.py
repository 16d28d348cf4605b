"""Modes: whether operations are recorded, in which scope, and who follows them.

One context variable holds one immutable `Mode`, so that threads and asynchronous tasks never see
each other's, and an operation reads everything it needs to know of its surroundings in one look.
A mode remembers the mode around it: to leave one is to return to it. The context managers
therefore keep no state of their own and can be entered twice, nested, or from several threads.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Callable
from contextvars import ContextVar
from functools import partial, wraps
from inspect import isasyncgenfunction, iscoroutinefunction, isgeneratorfunction
from typing import NamedTuple, Self, TypeVar

from ..arguments import check_callable, shown
from .array_types import Arguments, Function, Value
from .graph import Scope
from .hooks import Observer, Options, Recorder

Decorated = TypeVar("Decorated", bound=Function)
Result = TypeVar("Result")


class Mode(NamedTuple):
    """What an operation needs to know of its surroundings: one frozen record.

    Attributes
    ----------
    scope
        The innermost scope, or None.
    parent
        The mode around this one, or None.
    grad
        Whether what passes a gradient is recorded.
    transformed
        Whether a transform, such as `grad`, is calling its function.
    observers, recorder
        Who follows the computation: see hooks.py.
    """

    scope: Scope | None = None
    parent: Mode | None = None
    grad: bool = True
    observers: tuple[Observer, ...] = ()
    recorder: Recorder | None = None
    transformed: bool = False

    def derive(self, scope: Scope | None = None, **changes: Value) -> Mode:
        """Return a mode inside of this one: with the changes, and with this one as its parent.

        All other fields are carried over, whichever there are.
        """
        return _inside(self, scope or self.scope)._replace(**changes)


def _inside(parent: Mode, scope: Scope | None) -> Mode:
    # scope and parent come first; _replace alone would be felt at the scope of each layer.
    inside: Mode = _tuple(type(parent), (scope, parent) + parent[2:])  # noqa: RUF005
    return inside


_tuple: Callable[..., Value] = tuple.__new__

MODE: ContextVar[Mode] = ContextVar("tinygrad_ce.mode", default=Mode())


def active_recorder() -> Recorder | None:
    """Return the recorder that follows the present computation, if there is one."""
    return MODE.get().recorder


class _Exit:
    """The method `__exit__` of a ModeContext, which no interruption can keep from its work.

    A handler of a signal, such as that of Ctrl-C, can run and raise before the first instruction of
    a method that is written in Python, and the mode would stay on. A with statement looks up this
    attribute before it enters; it is given a callable in C, which sets the mode that there was.
    """

    def __get__(self, context: ModeContext | None, kind: type) -> Function:
        return self.leave if context is None else ignoring_arguments(partial(MODE.set, MODE.get()))

    def leave(self, context: ModeContext, *exception: object) -> None:
        """Leave, where ``type(context).__exit__`` is called, as `contextlib.ExitStack` does."""
        parent = MODE.get().parent
        assert parent is not None
        MODE.set(parent)


def ignoring_arguments(function: Callable[[], object]) -> Function:
    """Return a callable in C that takes any arguments, calls ``function()``, and returns ''."""
    # A format may leave arguments unused; a defaultdict calls its factory for a key that it lacks;
    # and of a text, a precision of 0 leaves nothing.
    return partial("{0[call].var.name:.0}".format, defaultdict(function))


class ModeContext(ABC):
    """A context manager and decorator that puts a mode on top of the present one."""

    __slots__ = ()

    @abstractmethod
    def derive(self, parent: Mode) -> Mode:
        """Return the mode inside, derived from the mode around it."""

    def __enter__(self) -> None:
        parent = MODE.get()
        try:
            MODE.set(self.derive(parent))
        except BaseException:  # an interruption can come right after the mode was set
            MODE.set(parent)
            raise

    __exit__ = _Exit()

    def run(self, function: Callable[..., Result], args: Arguments, kwargs: Options) -> Result:
        """Return ``function(*args, **kwargs)``, called inside."""
        # As a with block would, which takes a quarter more of a layer's time for its own calls.
        parent = MODE.get()
        try:
            MODE.set(self.derive(parent))
            return function(*args, **kwargs)
        finally:
            MODE.set(parent)

    def __call__(self, function: Decorated) -> Decorated:
        check_callable(f"what {type(self).__name__} decorates", function)
        if suspends(function):
            raise TypeError(
                f"{type(self).__name__} cannot decorate {function.__name__}, a generator or "
                "coroutine, which is left and entered again while it runs: use a with block inside"
            )

        @wraps(function)
        def inside(*args: object, **kwargs: object) -> object:
            return self.run(function, args, kwargs)

        return inside  # type: ignore[return-value]


def suspends(function: Function) -> bool:
    """Return whether a function makes a generator or coroutine, which runs after it returns."""
    return (
        isgeneratorfunction(function)
        or iscoroutinefunction(function)
        or isasyncgenfunction(function)
    )


class Switch(ModeContext):
    """A ModeContext without options, which decorates with parentheses and without."""

    __slots__ = ()

    def __new__(cls, function: Function | None = None) -> Self:
        switch = super().__new__(cls)
        if function is None:
            return switch
        if not callable(function):
            raise TypeError(
                f"{cls.__name__}() takes no argument but a function to decorate, got "
                f"{shown(function)}"
            )
        return switch(function)  # type: ignore[return-value]


class no_grad(Switch):
    """Compute without recording: results inside need no gradient and keep no graph.

    >>> import tinygrad_ce as tg
    >>> x = tg.Tensor([1.0, 2.0], requires_grad=True)
    >>> with tg.no_grad():
    ...     y = x * 2
    >>> y.requires_grad
    False

    Also a decorator: ``@tg.no_grad``.
    """

    __slots__ = ()

    def derive(self, parent: Mode) -> Mode:
        """Return the mode inside, which records nothing."""
        return parent.derive(grad=False)


class enable_grad(Switch):
    """Record again inside a `no_grad`, as the transforms (`grad`, `hessian`, ...) do."""

    __slots__ = ()

    def derive(self, parent: Mode) -> Mode:
        """Return the mode inside, which records."""
        return parent.derive(grad=True)


class transforming(Switch):
    """Let compiled functions run as they are written: a transform needs their graph."""

    __slots__ = ()

    def derive(self, parent: Mode) -> Mode:
        """Return the mode inside, that of a transform."""
        return parent.derive(transformed=True)


class scope(ModeContext):
    """Name a part of the computation, so that a reader of the graph can fold or group it.

    The name is any str; anything else is a TypeError.

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
            raise TypeError(f"a scope's name is a str, got {shown(name)}, a {type(name).__name__}")
        self.name = name

    def derive(self, parent: Mode) -> Mode:
        """Return the mode inside, in a Scope of its own."""
        return _inside(parent, Scope(self.name, parent.scope))


class observing(ModeContext):
    """Let an observer see what is computed inside, besides those that already do.

    >>> import tinygrad_ce as tg
    >>> class Names(Observer):
    ...     def forward(self, node, primitive, arguments):
    ...         print(primitive.name)
    >>> with observing(Names()):
    ...     y = tg.Tensor([1.0, 2.0]).exp().sum()
    exp
    sum
    """

    __slots__ = ("observer",)

    def __init__(self, observer: Observer) -> None:
        self.observer = observer

    def derive(self, parent: Mode) -> Mode:
        """Return the mode inside, with one more observer."""
        return parent.derive(observers=(*parent.observers, self.observer))


class recording_with(ModeContext):
    """Let a recorder take part in what is computed inside, in place of one around it."""

    __slots__ = ("recorder",)

    def __init__(self, recorder: Recorder) -> None:
        self.recorder = recorder

    def derive(self, parent: Mode) -> Mode:
        """Return the mode inside, with this recorder."""
        if parent.recorder is not None:
            parent.recorder.leaving(self.recorder)
        return parent.derive(recorder=self.recorder)
