"""The command line: ``tinygrad-ce``, the same as ``python -m tinygrad_ce``."""

from .command_line import main

__all__ = ["main"]
