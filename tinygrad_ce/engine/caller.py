"""Find the line of code that called this package."""

from __future__ import annotations

import os
import sys

_PACKAGE = os.path.dirname(os.path.dirname(__file__)) + os.sep


def line_of_user() -> str:
    """Return the line of code that called this package, as ``file:number: code``.

    That is the innermost frame whose file lies outside of the package. The code is left out where
    its source is not at hand.
    """
    import linecache  # not needed until someone looks

    frame = sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_PACKAGE):
        frame = frame.f_back
    name, number = frame.f_code.co_filename, frame.f_lineno
    code = linecache.getline(name, number).strip()
    return f"{name}:{number}" + (f": {code}" if code else "")
