"""Measuring: do all compute the same, how many calls make a round, and the medians of rounds."""

from __future__ import annotations

import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from competitors import COMPETITORS
from process import CompetitorError, Worker

ROUND = 0.03  # seconds that the calls of one competitor in one round should take
ENOUGH = 90.0  # seconds for the rounds of a piece of work, once there are LEAST
LEAST = 3


@dataclass(frozen=True)
class Measured:
    """One competitor at one piece of work.

    Attributes
    ----------
    seconds
        A call, the median of the rounds.
    ratio
        The median of the rounds' ratios to the first competitor.
    quartiles
        Between which half of these ratios lie.
    calls
        In a round.
    result
        The median of what the last calls of rounds returned, where that is a number.
    """

    seconds: float
    ratio: float
    quartiles: tuple[float, float]
    calls: int
    result: float | None = None


def agree(work: str, numbers: Mapping[str, Sequence[float]], rtol: float) -> None:
    """See to it that all competitors have computed what the first has.

    Parameters
    ----------
    work
        Its name, for the message.
    numbers
        What each competitor has computed.
    rtol
        How far a number may be from that of the first, as a share of it.

    Raises
    ------
    CompetitorError
        One has not; the message names it and the numbers of both.
    """
    (first, expected), *others = numbers.items()
    for name, found in others:
        if len(found) != len(expected) or not np.allclose(found, expected, rtol, atol=0):
            raise CompetitorError(
                f"{COMPETITORS[name].title} at {work} computes {_listed(found)} where "
                f"{COMPETITORS[first].title} computes {_listed(expected)}: "
                "what differs is not compared"
            )


def calls_a_round(worker: Worker) -> int:
    """How many calls take about as long as a round should; at least one."""
    calls = 1
    for _ in range(3):
        seconds = worker.ask("time", calls=calls)["seconds"]
        if seconds >= ROUND:
            break
        calls = max(1, min(100 * calls, round(calls * ROUND / max(seconds, 1e-9))))
    return calls


def interleaved(workers: Mapping[str, Worker], rounds: int) -> tuple[dict[str, Measured], int]:
    """Time all workers in turn, another one first in each round; and in how many rounds."""
    calls = {name: calls_a_round(worker) for name, worker in workers.items()}
    seconds: dict[str, list[float]] = {name: [] for name in workers}
    results: dict[str, list[float]] = {name: [] for name in workers}
    begin, n = time.perf_counter(), 0
    while n < rounds and (n < LEAST or time.perf_counter() - begin < ENOUGH):
        for name in rotated(list(workers), n):
            answer = workers[name].ask("time", calls=calls[name])
            seconds[name].append(answer["seconds"] / calls[name])
            if answer["result"] is not None:
                results[name].append(answer["result"])
        n += 1
    return medians(seconds, calls, results), n


def rotated(names: list[Any], by: int) -> list[Any]:
    """The names in a circle, from another one on: a, b, c by 4 is b, c, a."""
    by %= len(names)
    return names[by:] + names[:by]


def medians(
    seconds: Mapping[str, Sequence[float]],
    calls: Mapping[str, int],
    results: Mapping[str, Sequence[float]],
) -> dict[str, Measured]:
    """The medians over rounds: of the seconds, and of their ratios to the first, round by round."""
    reference = next(iter(seconds.values()))
    measured = {}
    for name, mine in seconds.items():
        ratios = [a / b for a, b in zip(mine, reference, strict=True)]
        low, _, high = statistics.quantiles(ratios * 2 if len(ratios) == 1 else ratios)
        result = statistics.median(results[name]) if results[name] else None
        measured[name] = Measured(
            statistics.median(mine), statistics.median(ratios), (low, high), calls[name], result
        )
    return measured


def _listed(numbers: Sequence[float]) -> str:
    return "[" + ", ".join(f"{number:.10g}" for number in numbers) + "]"
