"""Find the line of code that called this package."""

from __future__ import annotations

import os
import sys
from types import FrameType

_PACKAGE = os.path.dirname(os.path.dirname(__file__)) + os.sep


def _levels_to_user() -> int:
    """The number of frames from the caller of the caller to the first outside of the package."""
    frame, levels = sys._getframe(2), 1
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_PACKAGE):
        frame, levels = frame.f_back, levels + 1
    return levels


def warn_user(message: str, category: type[Warning] = UserWarning) -> None:
    """Warn of the line of code that called this package."""
    import warnings

    warnings.warn(message, category, stacklevel=_levels_to_user() + 1)


def frame_of_user() -> FrameType:
    """Return the innermost frame whose file lies outside of the package."""
    return sys._getframe(_levels_to_user())


def line_of_user() -> str:
    """Return the line of code that called this package, as ``file:number: code``.

    That is the innermost frame whose file lies outside of the package. The code is left out where
    its source is not at hand.
    """
    import linecache  # not needed until someone looks

    frame = sys._getframe(_levels_to_user())
    name, number = frame.f_code.co_filename, frame.f_lineno
    code = linecache.getline(name, number).strip()
    return f"{name}:{number}" + (f": {code}" if code else "")
