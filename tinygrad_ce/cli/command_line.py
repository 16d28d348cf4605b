"""The command ``tinygrad-ce``: reads what was typed, and says in one line what is wrong with it.

>>> from tinygrad_ce.cli import main
>>> main(["compare", "--logits", "2,1,0.1", "--target", "7"])  # and on stderr, why
2
"""

from __future__ import annotations

import argparse
import io
import math
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn

from . import commands
from . import compare_output as side_by_side
from . import logits_input as inputs
from .experiment import SETTINGS
from .logits_input import UsageError

PROG = "tinygrad-ce"
MAX_HIDDEN = 10_000
MAX_CLASSES = 1_000
MAX_BATCH = 100_000


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command.

    Parameters
    ----------
    argv
        The arguments behind the command's name; by default those of the process.

    Returns
    -------
    int
        The exit status: 0; 1 if a comparison disagrees or the work fails; 2 for wrong use; 130
        when interrupted; 141 when nobody reads the output any more.
    """
    _print_anywhere()
    try:
        arguments = _parser().parse_args(_with_logits(sys.argv[1:] if argv is None else argv))
        run: Callable[[argparse.Namespace], int] = arguments.run
        status = run(arguments)
        print(end="", flush=True)
        return status
    except SystemExit as done:  # --help and --version
        return int(done.code or 0)
    except KeyboardInterrupt:
        return _failed("interrupted", 130)
    except BrokenPipeError:
        _stop_printing()
        return 141
    except (UsageError, OSError, ImportError, MemoryError) as error:
        return _failed(f"error: {error}", 2)
    except (FloatingPointError, RuntimeError) as error:
        return _failed(f"error: {error}", 1)


def _failed(message: str, status: int) -> int:
    print(f"{PROG}: {' '.join(message.split())}", file=sys.stderr)
    return status


def _print_anywhere() -> None:
    """Let a terminal or a pipe that knows no ∂ print a question mark instead of failing."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")


def _stop_printing() -> None:
    """Nobody reads on: let Python's last flush go nowhere, instead of complaining."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


# ── What can be typed ─────────────────────────────────────────────────────────────────────────────


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message} (see {self.prog} --help)")


def _parser() -> argparse.ArgumentParser:
    import tinygrad_ce

    parser = _Parser(
        prog=PROG,
        description="An autograd engine on NumPy that takes the gradient of cross-entropy apart.",
        epilog=f"{PROG} COMMAND --help says more of each command.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"{PROG} {tinygrad_ce.__version__}")
    subparsers = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    def command(name: str, run: Callable[[argparse.Namespace], int]) -> argparse.ArgumentParser:
        described = run.__doc__ or ""
        sub = subparsers.add_parser(
            name,
            help=described.split("\n", 1)[0].rstrip("."),
            description=described,
            allow_abbrev=False,
        )
        sub.set_defaults(run=run)
        return sub

    demo = command("demo", commands.demo)
    _add_experiment(demo)
    _add_epochs(demo)
    demo.add_argument(
        "--out",
        type=_path,
        default=Path("tinygrad_ce_demo"),
        metavar="DIR",
        help="the folder for page, graph and weights (default: %(default)s)",
    )

    train = command("train", commands.train)
    _add_experiment(train)
    _add_epochs(train)
    train.add_argument("--save", type=_file, metavar="FILE.npz", help="save the weights")

    compile_ = command("compile", commands.compile_step)
    _add_experiment(compile_)
    compile_.add_argument(
        "--batch",
        type=_whole(1, MAX_BATCH),
        metavar="N",
        help=f"the number of rows that the function takes (default: {_defaults('batch_size')})",
    )
    compile_.add_argument(
        "-o", "--out", type=_file, metavar="FILE.py", help="write a file (default: print it)"
    )

    graph = command("graph", commands.graph)
    _add_experiment(graph)
    graph.set_defaults(data=None)  # which tells --data iris from no --data
    _add_logits(graph)
    graph.add_argument(
        "--depth",
        type=_whole(1),
        metavar="N",
        help="fold scopes from this level on (default: none)",
    )
    graph.add_argument(
        "--out",
        type=_file,
        metavar="FILE",
        help="ends in .svg, .png or .pdf; in .dot, which needs no Graphviz; or in .html, the page "
        "that steps through backprop (default: loss.svg, with --open loss.html)",
    )
    graph.add_argument("--open", action="store_true", help="show it in the browser")

    compare = command("compare", commands.compare)
    _add_logits(compare)
    compare.add_argument(
        "--csv",
        type=_path,
        metavar="FILE",
        help="rows of logits with the label in the last column; a header is skipped",
    )
    _add_seed(compare, "of random logits, where none are given")
    compare.add_argument(
        "--classes",
        type=_whole(1, MAX_CLASSES),
        metavar="C",
        help=f"the number of random logits (default: {inputs.CLASSES})",
    )
    compare.add_argument(
        "--scale",
        type=_positive,
        metavar="S",
        help=f"the standard deviation of random logits (default: {inputs.SCALE:g})",
    )
    form = compare.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print one JSON object; see below")
    form.add_argument(
        "--prove",
        action="store_true",
        help="print instead why they agree for all logits: what backprop does, step by step, in "
        f"symbols, for up to {commands.MAX_PROVED} logits; needs SymPy",
    )
    form.add_argument("--latex", action="store_true", help="the same in LaTeX")
    compare.epilog = side_by_side.SCHEMA

    bench = command("bench", commands.bench)
    bench.add_argument(
        "--only",
        nargs="+",
        metavar="WORK",
        help="what to measure, by name or by the beginning of names (default: all)",
    )
    bench.add_argument(
        "--with",
        nargs="+",
        dest="competitors",
        metavar="NAME",
        help="who takes part (default: all who are installed)",
    )
    bench.add_argument(
        "--rounds",
        type=_whole(1),
        default=41,
        metavar="N",
        help="how often, or less often where it takes long (default: %(default)s)",
    )
    bench.add_argument(
        "--threads", type=_whole(1), default=1, metavar="N", help="for each (default: %(default)s)"
    )
    bench.add_argument("--json", type=_file, metavar="FILE", help="write the numbers to a file too")
    bench.epilog = "A name that does not exist shows those that do."
    return parser


def _add_experiment(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--data", choices=list(SETTINGS), default="iris", help="the data set (default: iris)"
    )
    parser.add_argument(
        "--hidden",
        type=_whole(1, MAX_HIDDEN),
        metavar="N",
        help=f"the number of hidden units (default: {_defaults('hidden')})",
    )
    _add_seed(parser, "of the split into training and test set, the weights and the order of rows")


def _add_epochs(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--epochs",
        type=_whole(1),
        metavar="N",
        help=f"passes over the training set (default: {_defaults('epochs')})",
    )


def _add_seed(parser: argparse.ArgumentParser, what: str) -> None:
    parser.add_argument(
        "--seed", type=_whole(0), default=0, metavar="S", help=f"{what} (default: 0)"
    )


def _add_logits(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--logits", type=_logits, metavar="Z,Z,...", help="logits, for instance 2,1,0.1"
    )
    parser.add_argument(
        "--target", type=_whole(0), metavar="T", help="with --logits: the label, counted from 0"
    )


def _defaults(name: str) -> str:
    return ", ".join(f"{getattr(setting, name)} for {data}" for data, setting in SETTINGS.items())


# ── What the arguments mean ───────────────────────────────────────────────────────────────────────


def _whole(least: int, most: int | None = None) -> Callable[[str], int]:
    expected = f"a whole number from {least}" + (" on" if most is None else f" to {most}")

    def whole(text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            number = least - 1
        if number < least or (most is not None and number > most):
            raise argparse.ArgumentTypeError(f"expected {expected}, got {text!r}")
        return number

    return whole


def _positive(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 < number < math.inf:
        raise argparse.ArgumentTypeError(f"expected a number above 0, got {text!r}")
    return number


def _logits(text: str) -> list[float]:
    try:
        return inputs.logits_from(text.split(","))
    except ValueError as error:
        raise argparse.ArgumentTypeError(
            f"expected numbers with commas between them, such as 2,1,0.1, got {text!r}"
        ) from error


def _path(text: str) -> Path:
    if not text.strip() or "\0" in text:
        raise argparse.ArgumentTypeError(f"expected a path, got {text!r}")
    return Path(text)


def _file(text: str) -> Path:
    path = _path(text)
    if text[-1] in (os.sep, os.altsep) or path.name in ("", ".."):
        raise argparse.ArgumentTypeError(f"expected a file, got the folder {text!r}")
    return path


def _with_logits(argv: Sequence[str]) -> list[str]:
    """The arguments with ``--logits -1,2`` made one: argparse takes -1,2 for an option.

    >>> _with_logits(["compare", "--logits", "-1,2", "--target", "0"])
    ['compare', '--logits=-1,2', '--target', '0']
    """
    joined: list[str] = []
    for argument in argv:
        if joined and joined[-1] == "--logits":
            joined[-1] += f"={argument}"
        else:
            joined.append(argument)
    return joined
