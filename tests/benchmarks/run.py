"""The benchmark: the same work, with this package and with others, side by side.

    python tests/benchmarks/run.py
    python tests/benchmarks/run.py --only step compiled --with by-hand eager compiled torch

Each competitor works in a process of its own, on the same processors, and only one at a time. All
must have computed the same before any is timed. What is compared are ratios within one round, of
which the median is taken over many.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NoReturn

import table
from competitors import COMPETITORS
from process import CompetitorError, Worker
from rounds import agree, interleaved
from work import WORK, Work, chosen

from tinygrad_ce.atomic_files import ensure_writable, write_file
from tinygrad_ce.cli.options import UsageError, file_path, whole_number

SMALL = "cross-entropy-32x27"  # whose arrays weigh nothing beside a library and its code


def main(argv: Sequence[str] | None = None) -> int:
    """Measure what is asked for, print it, and write it to a file if one is given.

    Returns the exit status: 0; 1 if a competitor fails or computes something else; 2 for wrong
    use; 130 when interrupted.
    """
    try:
        _run(_parser().parse_args(argv))
    except (UsageError, OSError) as error:
        return _fail(error, 2)
    except CompetitorError as error:
        return _fail(error, 1)
    except KeyboardInterrupt:
        return _fail("interrupted", 130)
    return 0


def _fail(error: object, status: int) -> int:
    print(f"benchmarks: error: {' '.join(str(error).split())}", file=sys.stderr)
    return status


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message} (see --help)")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        description="Measure tinygrad_ce beside PyTorch, JAX and others: the same work for all, on "
        "the same processors, in turn. Nothing is timed before all have computed the same.",
        epilog="A name that does not exist shows those that do.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "--only",
        nargs="+",
        metavar="WORK",
        help="what to measure, by name or by the beginning of names (default: all)",
    )
    parser.add_argument(
        "--with",
        nargs="+",
        dest="competitors",
        metavar="NAME",
        help="who takes part (default: all who are installed)",
    )
    parser.add_argument(
        "--rounds",
        type=whole_number(1),
        default=41,
        metavar="N",
        help="how often, or less often where it takes long (default: %(default)s)",
    )
    parser.add_argument(
        "--threads",
        type=whole_number(1),
        default=1,
        metavar="N",
        help="for each (default: %(default)s)",
    )
    parser.add_argument(
        "--json", type=file_path, metavar="FILE", help="write the numbers to a file too"
    )
    return parser


def _run(arguments: argparse.Namespace) -> None:
    works, competitors = _works(arguments.only), _competitors(arguments.competitors)
    takes_part = {
        name: [who for who in competitors if work.kind in COMPETITORS[who].kinds]
        for name, work in works.items()
    }
    if not any(takes_part.values()):
        raise UsageError(f"none of {', '.join(competitors)} can do any of {', '.join(works)}")
    path: Path | None = arguments.json
    with ensure_writable([] if path is None else [path]):
        found = [
            _measured(name, works[name], who, arguments.rounds, arguments.threads)
            for name, who in takes_part.items()
            if who
        ]
        if path is not None:
            everything = {**table.environment(arguments.threads), "work": found}
            text = json.dumps(everything, indent=1, ensure_ascii=False)
            write_file(path, f"{text}\n".encode())


def _works(names: Sequence[str] | None) -> dict[str, Work]:
    try:
        return chosen(names)
    except KeyError as error:
        raise UsageError(
            f"there is no work called {error.args[0]}: expected {', '.join(WORK)}, "
            "or the beginning of some"
        ) from None


def _competitors(names: Sequence[str] | None) -> list[str]:
    """Those asked for, or all, as far as they are installed; the others are named on stderr."""
    for name in names or ():
        if name not in COMPETITORS:
            raise UsageError(
                f"there is no competitor called {name}: expected {', '.join(COMPETITORS)}"
            )
    asked = [name for name in COMPETITORS if names is None or name in names]
    missing = [name for name in asked if not COMPETITORS[name].installed]
    if missing:
        remark = f"not installed, and so left out: {', '.join(missing)}"
        print(f'{remark} (pip install "tinygrad-ce[bench]")', file=sys.stderr)
    if missing == asked:
        raise UsageError("none of those who should take part is installed")
    return [name for name in asked if name not in missing]


def _measured(
    name: str, work: Work, competitors: Sequence[str], rounds: int, threads: int
) -> dict[str, Any]:
    """One piece of work: check, measure, print."""
    print(table.heading(name, work), flush=True)
    with ExitStack() as stack:
        workers = {who: stack.enter_context(Worker(who, name, threads)) for who in competitors}
        numbers = {who: worker.ask("check", calls=work.checked) for who, worker in workers.items()}
        agree(name, numbers, work.rtol)
        measured, n = interleaved(workers, rounds)
        memory = _memory(work, workers, threads) if work.memory else {}
    print(table.rows(work, n, measured, memory), flush=True)
    return table.as_json(name, work, n, measured, memory)


def _memory(work: Work, workers: Mapping[str, Worker], threads: int) -> dict[str, float | None]:
    """What each needs beside the logits, in arrays of their size.

    That is by how much the peak of a process exceeds that of another one whose logits are small,
    without the logits themselves. So it counts what is kept between calls, and no libraries.
    """
    logits = work.make().logits.nbytes
    memory: dict[str, float | None] = {}
    for who, worker in workers.items():
        with Worker(who, SMALL, threads) as other:
            other.ask("check", calls=WORK[SMALL].checked)
            small, large = other.ask("peak"), worker.ask("peak")
        memory[who] = None if small is None else (large - small) / logits - 1
    return memory


if __name__ == "__main__":
    sys.exit(main())
