"""The command ``tinygrad-ce``: reads what was typed, and says in one line what is wrong with it.

>>> from tinygrad_ce.cli import main
>>> main(["compare", "--logits", "2,1,0.1", "--target", "7"])  # and on stderr, why
2
"""

from __future__ import annotations

import argparse
import difflib
import inspect
import io
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from .. import __version__, distributed
from ..engine.names import printable
from .commands import (
    compare,
    compile,  # noqa: A004
    demo,
    evaluate,
    export,
    graph,
    play,
    predict,
    report,
    train,
)
from .options import UsageError

PROG = "tinygrad-ce"

COMMANDS = {
    "train": train,
    "predict": predict,
    "evaluate": evaluate,
    "export": export,
    "report": report,
    "demo": demo,
    "compile": compile,
    "graph": graph,
    "play": play,
    "compare": compare,
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command with the arguments behind its name, by default those of the process.

    Returns the exit status: 0; 1 if a comparison disagrees or the work fails; 2 for wrong use; 130
    when interrupted; 141 when nobody reads the output any more.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):  # print ? where a terminal or a pipe knows no ∂
        sys.stdout.reconfigure(errors="replace")
    try:
        arguments = _parse(_with_logits(sys.argv[1:] if argv is None else argv))
        status: int = arguments.run(arguments)
        print(end="", flush=True)
        return status
    except SystemExit as done:  # --help and --version
        return int(done.code or 0)
    except KeyboardInterrupt:
        return _fail("interrupted", 130)
    except BrokenPipeError:
        # Python's last flush goes nowhere, instead of complaining.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except (UsageError, OSError, ImportError, MemoryError) as error:
        return _fail(f"error: {error}", 2)
    except (FloatingPointError, RuntimeError) as error:
        return _fail(f"error: {error}", 1)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message} (see {self.prog} --help)")


def _parse(argv: Sequence[str]) -> argparse.Namespace:
    """The arguments; of an option that does not exist, the nearest one is named."""
    arguments, unknown = _parser().parse_known_args(argv)
    if unknown:
        command: argparse.ArgumentParser = arguments.parser
        known = [o for action in command._actions for o in action.option_strings if o[:2] == "--"]
        near = difflib.get_close_matches(unknown[0].split("=")[0], known, 1)
        hint = f"; did you mean {near[0]}?" if near else ""
        command.error(f"unrecognized arguments: {' '.join(unknown)}{hint}")
    return arguments


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog=PROG,
        description="An autograd engine on NumPy that takes the gradient of cross-entropy apart.",
        epilog=f"{PROG} COMMAND --help says more of each command.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"{PROG} {__version__}")
    subparsers = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for name, module in COMMANDS.items():
        text = module.run.__doc__ or ""
        summary = text.split("\n", 1)[0].rstrip(".")
        command = subparsers.add_parser(
            name,
            help=summary,
            description=inspect.cleandoc(text),
            allow_abbrev=False,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        command.set_defaults(run=module.run, parser=command)
        module.add_arguments(command)
    return parser


def _with_logits(argv: Sequence[str]) -> list[str]:
    """The arguments with ``--logits -1,2`` made one: argparse takes -1,2 for an option."""
    joined: list[str] = []
    for argument in argv:
        if joined and joined[-1] == "--logits":
            joined[-1] += f"={argument}"
        else:
            joined.append(argument)
    return joined


def _fail(message: str, status: int) -> int:
    line = " ".join(message.split())
    distributed.report(f"{PROG}: {printable(line, len(line))}")
    return status
