"""``tinygrad-ce train``."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ... import data, distributed
from ...atomic_files import ensure_writable, write_file
from ...data.columns import POLICIES
from ..options import UsageError, any_path, file_path, number, positive_number, whole_number
from ..run_folder import MODEL, Run, fingerprint
from ..training_run import ACTIVATIONS, OPTIMIZERS, SCHEDULES, help_training, train_run

EXAMPLES = """\
examples:
  tinygrad-ce train flowers.csv --target species --out run
  tinygrad-ce train patients.csv.gz --target outcome --missing mean --ignore id --out run
        --hidden 64,32 --dropout 0.2 --class-weight balanced --early-stopping
  tinygrad-ce train --resume run
  tinygrad-ce train iris --out run --json
  mpiexec -n 4 python -m mpi4py -m tinygrad_ce train big.csv --target y --batch 1024 --out run
"""

# Of the network and its training: option, default, and what argparse is told.
HYPERPARAMETERS: dict[str, tuple[Any, dict[str, Any]]] = {
    "hidden": ([64], {"metavar": "N,N,...", "help": "hidden units, a number for each layer"}),
    "activation": ("relu", {"choices": list(ACTIVATIONS), "help": "between the layers"}),
    "optimizer": ("adam", {"choices": list(OPTIMIZERS), "help": "what updates the weights"}),
    "lr": (0.003, {"metavar": "RATE", "type": positive_number, "help": "the learning rate"}),
    "schedule": ("constant", {"choices": SCHEDULES, "help": "of the learning rate"}),
    "batch": (32, {"metavar": "N", "type": whole_number(1), "help": "rows of a batch"}),
    "epochs": (100, {"metavar": "N", "type": whole_number(1), "help": "passes over the rows"}),
    "dropout": (0.0, {"metavar": "P", "type": number(0, 0.95), "help": "of hidden units"}),
    "label-smoothing": (0.0, {"metavar": "E", "type": number(0, 1), "help": "of the targets"}),
    "weight-decay": (0.0, {"metavar": "L", "type": number(0), "help": "of the weights"}),
    "max-norm": (None, {"metavar": "NORM", "type": positive_number, "help": "of a gradient"}),
    "class-weight": (
        None,
        {"choices": ["balanced"], "help": "balanced: rare classes count as much as others"},
    ),
    "validation": (
        0.2,
        {"metavar": "SHARE", "type": number(0, 0.9), "help": "of the rows, not trained on"},
    ),
    "early-stopping": (
        None,
        {
            "metavar": "EPOCHS",
            "type": whole_number(1),
            "nargs": "?",
            "const": 10,
            "help": "stop after so many epochs (10 if no number is given) without a better "
            "validation loss, and go back to the best",
        },
    ),
    "seed": (0, {"metavar": "S", "type": whole_number(0), "help": "of all that is random"}),
    "shards": (
        None,
        {
            "metavar": "N",
            "type": whole_number(1),
            "help": "parts of a batch, which as many processes can compute; a power of two "
            "(default: 8 under mpiexec, or else batches are not cut)",
        },
    ),
    "backend": (
        "auto",
        {"choices": ["auto", "eager", "numpy", "c"], "help": "auto compiles where it pays"},
    ),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = EXAMPLES
    names = " or ".join(data.DATASETS)
    what = f"a CSV file with a header, perhaps gzipped; - for stdin; or {names} (default: iris)"
    parser.add_argument("data", nargs="?", metavar="DATA.csv", help=what)
    parser.add_argument("--target", metavar="COLUMN", help="the column with the classes")
    parser.add_argument("--out", type=any_path, metavar="RUN", help="the folder that is made")
    resume = "go on with a training that was interrupted, to the same end"
    parser.add_argument("--resume", type=any_path, metavar="RUN", help=resume)
    table = parser.add_argument_group("data")
    missing = "what an empty cell or NA means (default: refuse)"
    table.add_argument("--missing", choices=POLICIES, help=missing)
    categories = "columns of numbers that are names, such as postal codes"
    table.add_argument("--categories", type=_names, metavar="COLUMN,...", help=categories)
    table.add_argument("--ignore", type=_names, metavar="COLUMN,...", help="columns to leave out")
    training = parser.add_argument_group("network and training")
    for name, (default, options) in HYPERPARAMETERS.items():
        options = dict(options)
        if name == "hidden":
            options["type"] = _sizes
        if default is not None:
            shown = ",".join(map(str, default)) if isinstance(default, list) else default
            options["help"] += f" (default: {shown})"
        training.add_argument(f"--{name}", **options)
    output = parser.add_argument_group("output")
    save = "write the network to one file, too, which nn.load reads; needs no --out"
    output.add_argument("--save", type=file_path, metavar="FILE", help=save)
    log = "write the measures of each epoch as CSV or as lines of JSON"
    output.add_argument("--log", type=file_path, metavar="FILE.csv|.jsonl", help=log)
    board = "write the measures as TensorBoard reads them"
    output.add_argument("--tensorboard", type=any_path, metavar="DIR", help=board)
    output.add_argument("--json", action="store_true", help="print the result as a JSON object")


def run(arguments: argparse.Namespace) -> int:
    """Train a classifier on a CSV file, and write a folder from which it predicts.

    The folder has the network with the treatment of its data, the history of the training, and a
    checkpoint. Progress is on stderr; Ctrl-C ends the training after the epoch.

    Under mpiexec, several processes compute the gradients of each batch; the result depends on the
    number of shards only, and not on that of processes.
    """
    try:
        comm = distributed.connect()
    except RuntimeError as error:
        raise UsageError(error) from error
    if comm.rank:
        help_training(comm)
        return 0
    if arguments.resume is not None:
        folder: Path = arguments.resume
        _refuse_others(arguments)
        settings = Run(folder).read_settings()
        Run(folder).remove_parts()
        return _train(Run(folder), settings, True, comm, arguments.json)
    if arguments.data is None and arguments.target is None:
        arguments.data = "iris"
    if arguments.data is None or (arguments.out is None and arguments.save is None):
        missing = "DATA.csv" if arguments.data is None else "--out RUN"
        raise UsageError(f"train needs {missing}, as in: {EXAMPLES.splitlines()[1].strip()}")
    if arguments.target is None and arguments.data not in data.DATASETS:
        raise UsageError("train needs --target COLUMN, the column with the classes")
    if arguments.target is not None and arguments.data in data.DATASETS:
        raise UsageError(f"--target is of a CSV file: {arguments.data} has its classes")
    if arguments.log is not None and arguments.log.suffix not in (".csv", ".jsonl"):
        raise UsageError(f"--log ends in .csv or .jsonl, got {arguments.log}")
    settings = _settings(arguments)
    if settings["shards"] is None and not isinstance(comm, distributed.OneProcess):
        settings["shards"] = distributed.SHARDS
    with TemporaryDirectory() as temporary:
        run = Run(arguments.out or Path(temporary))
        return _train(run, settings, False, comm, arguments.json, arguments.save)


def _train(
    run: Run,
    settings: dict[str, Any],
    resumed: bool,
    comm: Any,
    as_json: bool,
    save: Path | None = None,
) -> int:
    others = [Path(settings["log"])] if settings["log"] else []
    with ensure_writable([*run.paths, *others, *([save] if save else [])]):
        result = train_run(run, settings, resumed, comm)
        if save and result["stopped"] != "interrupted":
            write_file(save, (run.folder / MODEL).read_bytes())
    if as_json:
        print(json.dumps({"run": str(run.folder), **result}))
        return 0
    measures = [f"loss {result['loss']:.4f}", f"accuracy {result['accuracy']:.3f}"]
    if "validation_accuracy" in result:
        measures.append(f"validation loss {result['validation_loss']:.4f}")
        measures.append(f"validation accuracy {result['validation_accuracy']:.3f}")
    print(f"epoch {result['best_epoch']} of {result['epochs']}: {', '.join(measures)}")
    if result["stopped"]:
        print(f"stopped: {result['stopped']}")
    if save:
        print(f"network: {save}" if result["stopped"] != "interrupted" else "nothing was saved")
    elif result["stopped"] == "interrupted":
        print(f"go on with: tinygrad-ce train --resume {run.folder}")
    else:
        print(f"predict with: tinygrad-ce predict {run.folder} NEW.csv")
    return 0


def _settings(arguments: argparse.Namespace) -> dict[str, Any]:
    """All that decides what comes out, as it is written to run.json."""
    settings: dict[str, Any] = {
        "data": arguments.data,
        "fingerprint": fingerprint(arguments.data),
        "target": arguments.target,
        "missing": arguments.missing or "refuse",
        "categories": arguments.categories or [],
        "ignore": arguments.ignore or [],
    }
    for option, (default, _) in HYPERPARAMETERS.items():
        name = option.replace("-", "_")
        given = getattr(arguments, name)
        settings[name] = default if given is None else given
    settings["log"] = None if arguments.log is None else str(arguments.log)
    folder = arguments.tensorboard
    settings["tensorboard"] = None if folder is None else str(folder)
    return settings


def _refuse_others(arguments: argparse.Namespace) -> None:
    """Refuse options beside --resume: the run has its own."""
    ours = {"resume", "json", "run", "parser"}
    for name, value in vars(arguments).items():
        if name not in ours and value is not None:
            option = "DATA.csv" if name == "data" else f"--{name.replace('_', '-')}"
            raise UsageError(f"--resume goes on as the training began: leave out {option}")


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _sizes(text: str) -> list[int]:
    parse: Callable[[str], int] = whole_number(1, 10_000)
    return [] if text in ("", "0") else [parse(part) for part in text.split(",")]
