"""``tinygrad-ce train``."""

from __future__ import annotations

import argparse

from ...atomic_files import ensure_writable, write_files
from ..experiment import prepare, train_network
from ..options import add_experiment, file_path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_experiment(parser, epochs=True)
    parser.add_argument("--save", type=file_path, metavar="FILE.npz", help="save the weights")


def run(arguments: argparse.Namespace) -> int:
    """Train a network and print its test accuracy."""
    files = [arguments.save] if arguments.save else []
    with ensure_writable(files):
        experiment = prepare(arguments.data, arguments.hidden, arguments.epochs, arguments.seed)
        print(experiment.summary, flush=True)
        history = train_network(experiment, progress=True)
        print(experiment.accuracy_line(history.test_accuracy[-1]))
        write_files({path: experiment.weights_file() for path in files})
    for path in files:
        print(f"weights  {path}")
    return 0
