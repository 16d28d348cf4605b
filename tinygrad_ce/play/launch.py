"""`play`: open the page, on one's own computation or model."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from typing import Any

from ..arguments import check_flag, check_integer, shown
from .session import Session


def play(*what: Any, port: int | None = None, open_browser: bool = True) -> Any:
    """Open the live page, on one's own computation: ``play(f, *tensors)``, ``play(model, X, y)``.

    In a notebook, the page is a widget, and this returns it; elsewhere it is served on this machine
    alone until Ctrl-C, and its address is printed.

    Parameters
    ----------
    what
        Nothing; or a function and the tensors that it is called with, which returns one number; or
        a Module, an array (n, d) of rows and their labels (n,).
    port
        Where to listen; another port is found if it is taken. By default 8642.
    open_browser
        Whether to open the page.

    Returns
    -------
    The widget, in a notebook; else nothing.

    Raises
    ------
    TypeError, ValueError
        Something else than these; more than 64 numbers to move; a function that returns no number.
    ImportError
        The extra `play` is not installed, or in a notebook the extra `notebook`.

    Examples
    --------
    >>> import tinygrad_ce as tg
    >>> def loss(z):
    ...     return z.exp().sum().log() - z[0]
    >>> tg.play(loss, tg.Tensor([2.0, 1.0, 0.1]))  # doctest: +SKIP
    http://127.0.0.1:8642/…/
    """
    check_flag("open_browser", open_browser)
    port = None if port is None else check_integer("port", port, 0, 65535)
    make_session = session_maker(what)
    make_session()  # what is wrong is said here, before there is a page
    if in_notebook():
        from .widget import widget_of

        return widget_of(make_session)
    from .server import PORT, serve_page

    serve_page(make_session, PORT if port is None else port, open_browser)
    return None


def session_maker(what: tuple[Any, ...]) -> Callable[[], Session]:
    """Return what makes the session of each tab."""
    expected = "play() takes a function and its tensors, or a model with X and y, or nothing; got"
    if not what:
        return Session
    from ..nn import Module

    first, *rest = what
    if isinstance(first, Module):
        if len(rest) != 2:
            raise TypeError(f"{expected} a model and {len(rest)} more")
        return partial(Session, training=(first, *rest))
    if not callable(first) or not rest:
        raise TypeError(f"{expected} {shown(first)} and {len(rest)} more")
    return partial(Session, computation=(first, *rest))


def in_notebook() -> bool:
    """Whether this runs in the kernel of a notebook, which can show a widget."""
    if ipython := sys.modules.get("IPython"):
        return hasattr(ipython.get_ipython(), "kernel")
    marimo = sys.modules.get("marimo")
    return bool(marimo and marimo.running_in_notebook())
