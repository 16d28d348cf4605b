"""Messages: the one gate for what a page may send, and numbers as JSON can hold them.

A part of the page lists what may be asked of it, with a check for each further field:

>>> ASKED = {"set": {"lr": real(0, 10), "units": optional(integer(1, 64))}, "reset": {}}
>>> validate({"part": "network", "do": "set", "lr": 0.5}, {"network": ASKED})
{'part': 'network', 'do': 'set', 'lr': 0.5}
>>> validate({"part": "network", "do": "set", "lr": "fast"}, {"network": ASKED})
Traceback (most recent call last):
TypeError: lr is 'fast': expected a number between 0 and 10
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping
from typing import Any, NoReturn

import numpy as np
from numpy.typing import ArrayLike

from ..arguments import check_choice, check_flag, check_integer, check_kind, check_real, shown

Message = dict[str, Any]
Check = Callable[[str, Any], Any]  # (what it is called, the value) -> the value
Schema = Mapping[str, Mapping[str, Check]]  # what may be asked, and the fields of each

MAX_BYTES = 1_000_000  # of a message that comes in

# What a wrong message raises.
REFUSALS = (TypeError, ValueError, OverflowError, IndexError)


# ── Checks of a field ─────────────────────────────────────────────────────────────────────────────


def optional(check: Check) -> Check:
    """The same check, of a field that may be left out."""

    def check_optional(what: str, value: Any) -> Any:
        return check(what, value)

    check_optional.optional = True  # type: ignore[attr-defined]
    return check_optional


def integer(least: int, most: int) -> Check:
    return lambda what, value: check_integer(what, value, least, most)


def real(least: float, most: float) -> Check:
    return lambda what, value: float(check_real(what, value, least, most))


def choice(choices: Collection[str]) -> Check:
    return lambda what, value: check_choice(what, value, choices)


def flag() -> Check:
    return check_flag


def text(longest: int) -> Check:
    def check(what: str, value: Any) -> str:
        check_kind(what, value, str, "text")
        if len(value) > longest:
            raise ValueError(f"{what} has {len(value):,} characters: expected {longest:,} at most")
        return str(value)

    return check


def items(check: Check, least: int, most: int) -> Check:
    """A list of `least` to `most` values, each of which passes `check`."""

    def check_items(what: str, value: Any) -> list[Any]:
        check_kind(what, value, list, "a list")
        if not least <= len(value) <= most:
            expected = f"{least:,} to {most:,}" if least < most else f"{least:,}"
            raise ValueError(f"{what} has {len(value):,} elements: expected {expected}")
        return [check(f"{what}[{i}]", element) for i, element in enumerate(value)]

    return check_items


# ── Messages ──────────────────────────────────────────────────────────────────────────────────────


def parse(sent: str | bytes) -> Any:
    """Read JSON, without NaN and Infinity; raise a ValueError for anything else."""
    if len(sent) > MAX_BYTES:
        raise ValueError(f"a message has {MAX_BYTES:,} bytes at most, got {len(sent):,}")

    def refuse(constant: str) -> NoReturn:
        raise ValueError(f"{constant} is no number in JSON")

    try:
        return json.loads(sent, parse_constant=refuse)
    except RecursionError:
        raise ValueError("the message is nested too deeply") from None


def validate(message: Any, schemas: Mapping[str, Schema]) -> Message:
    """Return the message with its fields checked; raise a TypeError or a ValueError."""
    if not isinstance(message, dict):
        raise TypeError(f"a message is an object, got {shown(message)}")
    part: str = check_choice("part", message.get("part", ""), schemas)
    do: str = check_choice("do", message.get("do", ""), schemas[part])
    fields = schemas[part][do]
    for name in message:
        if name not in fields and name not in ("part", "do"):
            expected = ", ".join(fields) or "none"
            raise ValueError(f"{shown(name)} is no field of {do}; its fields: {expected}")
    checked = {"part": part, "do": do}
    for name, check in fields.items():
        if name in message:
            checked[name] = check(name, message[name])
        elif not hasattr(check, "optional"):
            raise ValueError(f"{do} needs the field {name}")
    return checked


def write(message: Message) -> str:
    """Write a reply as JSON."""
    return json.dumps(message, allow_nan=False, separators=(",", ":"))


def as_json(array: ArrayLike) -> Any:
    """Return an array as lists of numbers; what is not finite, which JSON cannot hold, as text.

    >>> as_json([[1.5, np.nan], [-np.inf, 2.0]])
    [[1.5, 'nan'], ['-inf', 2.0]]
    """
    array = np.asarray(array)
    if array.dtype.kind != "f" or np.isfinite(array).all():
        return array.tolist()
    return np.where(np.isfinite(array), array.astype(object), array.astype(str)).tolist()
