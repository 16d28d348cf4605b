"""What is printed of a piece of work, and what goes into the JSON file."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from dataclasses import asdict
from importlib import metadata
from typing import Any

import process
from competitors import COMPETITORS
from rounds import Measured
from work import Work

LIBRARIES = (
    "tinygrad-ce",
    "numpy",
    "torch",
    "jax",
    "autograd",
    "mygrad",
    "micrograd",
    "scikit-learn",
)


def heading(name: str, work: Work) -> str:
    """What comes before the rows."""
    return f"\n{name}: {work.title}"


def rows(
    work: Work, rounds: int, measured: Mapping[str, Measured], memory: Mapping[str, float | None]
) -> str:
    """A line for each competitor: time, ratio to the first, and what else is of interest."""
    first = COMPETITORS[next(iter(measured))].title
    lines = [f"  {f'median of {rounds} rounds':24}{'a call':>12}{'ratio':>10}  (to {first})"]
    for name, found in measured.items():
        title, ratio = COMPETITORS[name].title, _three_digits(found.ratio)
        line = f"  {title:24}{duration(found.seconds):>12}{ratio:>10}"
        lines.append(f"{line}  {_remark(work, found, memory.get(name))}".rstrip())
    return "\n".join(lines)


def duration(seconds: float) -> str:
    """Three digits and a unit."""
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if seconds >= size:
            return f"{_three_digits(seconds / size)} {unit}"
    return f"{_three_digits(1e9 * seconds)} ns"


def _three_digits(number: float) -> str:
    return f"{number:,.{2 if number < 10 else 1 if number < 100 else 0}f}"


def _remark(work: Work, found: Measured, memory: float | None) -> str:
    if work.nodes:
        each = found.seconds / work.nodes
        return f"{duration(each)} a node, {1 / each:,.0f} nodes a second"
    if work.kind == "fit" and found.result is not None:
        return f"{found.result:.1%} of the rows held out are right"
    if memory is not None:
        return f"{memory:.1f} arrays of the logits' size beside them"
    return ""


def as_json(
    name: str,
    work: Work,
    rounds: int,
    measured: Mapping[str, Measured],
    memory: Mapping[str, float | None],
) -> dict[str, Any]:
    """The same for a program."""
    found: dict[str, Any] = {}
    for who, numbers in measured.items():
        found[who] = asdict(numbers)
        accuracy = found[who].pop("result")
        if work.kind == "fit":
            found[who]["accuracy"] = accuracy
        if work.nodes:
            found[who]["seconds_a_node"] = numbers.seconds / work.nodes
        if who in memory:
            found[who]["arrays_of_logits"] = memory[who]
    return {"name": name, "title": work.title, "rounds": rounds, "competitors": found}


def environment(threads: int) -> dict[str, Any]:
    """Where this was measured, and with which versions."""
    return {
        "threads": threads,
        "environment": process.environment(threads),
        "processors": os.cpu_count(),
        "machine": platform.machine(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "versions": {name: version for name in LIBRARIES if (version := _version(name))},
    }


def _version(library: str) -> str | None:
    try:
        return metadata.version(library)
    except metadata.PackageNotFoundError:
        return None
