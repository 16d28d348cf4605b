"""The live page: backprop that moves while one looks at it, computed by the engine.

* session.py is what the page talks to: messages in, messages out, no I/O; messages.py is the gate
  for what comes in;
* one_loss.py and network.py are the parts of the page; expression.py reads a typed loss;
* a network: network_settings.py says what can be set, problem.py and point_sets.py make what it
  learns from; training.py trains it and recording.py keeps the last steps, of which frames.py,
  statistics.py and example_graph.py make what is shown; network_code.py writes the code, and
  replay.py the page that needs no Python;
* server.py serves the files of assets/ and the session, on this machine alone.

The package can be called: ``tinygrad_ce.play()`` is ``tinygrad_ce.play.play()``.
"""

import sys
from inspect import signature
from types import ModuleType
from typing import Any

from .launch import play
from .session import Session

__all__ = ["play", "Session"]


class _CallablePackage(ModuleType):
    """This package: a module that opens the page when it is called."""

    def __call__(self, *what: Any, **options: Any) -> Any:
        return play(*what, **options)

    def __dir__(self) -> list[str]:
        return __all__


_CallablePackage.__call__.__doc__ = play.__doc__
__signature__ = signature(play)
sys.modules[__name__].__class__ = _CallablePackage
