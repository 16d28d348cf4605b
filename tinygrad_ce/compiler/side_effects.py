"""Side effects that leave no trace in what a step computes: refused while it is recorded."""

from __future__ import annotations

import builtins
import io
import threading
from collections.abc import Callable
from functools import wraps
from sys import modules
from typing import Any

from ..engine.context import active_recorder

# What is called, by its owner and name, and what to say of a step that calls it. Of modules, those
# that are loaded.
EFFECTS: list[tuple[Any, str, str]] = [
    (builtins, "print", "prints"),
    (builtins, "input", "reads input"),
    (builtins, "open", "opens a file"),
    (io, "open", "opens a file"),
    (threading.Thread, "start", "starts a thread"),
]
FURTHER_EFFECTS = [
    ("logging", "Logger", "handle", "logs"),
    ("concurrent.futures", "ThreadPoolExecutor", "submit", "computes in other threads"),
]


class Replacements:
    """Attributes of classes and modules that are others for a while."""

    def __init__(self) -> None:
        self._originals: list[tuple[Any, str, Any]] = []

    def put(self, owner: Any, name: str, new: Any) -> None:
        """Let an attribute be another one."""
        self._originals.append((owner, name, vars(owner).get(name, self)))
        setattr(owner, name, new)

    def undo(self) -> None:
        """Put all back as it was; once more, if that was interrupted."""
        for owner, name, original in reversed(self._originals):
            if original is not self:
                setattr(owner, name, original)
            elif name in vars(owner):
                delattr(owner, name)


def refuse_side_effects(refuse: Callable[[str], Any], replaced: Replacements) -> None:
    """Call `refuse` with a message where the step that is recorded has a side effect.

    Other threads, and what is no part of the step, go on as ever.
    """
    recorder: Any = active_recorder()
    effects = list(EFFECTS)
    for module, kind, name, what in FURTHER_EFFECTS:
        if kind in getattr(modules.get(module), "__dict__", ()):
            effects.append((getattr(modules[module], kind), name, what))
    for owner, name, what in effects:
        replaced.put(owner, name, _refusing(getattr(owner, name), recorder, refuse, what))


def _refusing(original: Any, recorder: Any, refuse: Callable[[str], Any], what: str) -> Any:
    @wraps(original)
    def call(*args: Any, **kwargs: Any) -> Any:
        if active_recorder() is recorder:
            refuse(
                f"the step {what} while it is recorded, and a replay would not: return what is "
                "needed for that, and do it after the call"
            )
        return original(*args, **kwargs)

    return call
