"""Find the line of code that called this package."""

from __future__ import annotations

import linecache
import os
import sys
from pathlib import Path

_PACKAGE = str(Path(__file__).parents[1]) + os.sep


def line_of_user() -> str:
    """Return the line of code that called this package, as ``file:number: code``.

    That is the innermost frame whose file lies outside of the package. The code is left out where
    its source is not at hand.
    """
    frame = sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_PACKAGE):
        frame = frame.f_back
    name, number = frame.f_code.co_filename, frame.f_lineno
    code = linecache.getline(name, number).strip()
    return f"{name}:{number}" + (f": {code}" if code else "")
