"""``tinygrad-ce train``."""

from __future__ import annotations

import argparse

from ...atomic_files import ensure_writable, write_file
from ..experiment import Experiment, prepare, train_network
from ..options import add_experiment, file_path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_experiment(parser, epochs=True)
    parser.add_argument("--save", type=file_path, metavar="FILE.npz", help="save the weights")


def run(arguments: argparse.Namespace) -> int:
    """Train a network and print its test accuracy."""
    if arguments.save is None:
        _train(arguments)
        return 0
    with ensure_writable([arguments.save]):
        write_file(arguments.save, _train(arguments).weights_file())
    print(f"weights  {arguments.save}")
    return 0


def _train(arguments: argparse.Namespace) -> Experiment:
    experiment = prepare(arguments.data, arguments.hidden, arguments.epochs, arguments.seed)
    print(experiment.summary, flush=True)
    history = train_network(experiment, progress=True)
    print(experiment.accuracy_line(history.test_accuracy[-1]))
    return experiment
