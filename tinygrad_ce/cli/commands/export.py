"""``tinygrad-ce export``: a trained network for other runtimes."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

from ... import nn
from ...atomic_files import ensure_writable, write_file
from ..options import UsageError, any_path, file_path
from ..run_folder import Run

EXAMPLES = """\
formats:
  onnx         the network with the treatment of its data, for ONNX Runtime and others
  numpy        a module of Python that needs NumPy alone; it is a command, too
  c            a file of C99 that needs the C library alone; it is a command, too
  torch        the state dict of the network, as torch.load reads it
  safetensors  the arrays of the network, as safetensors reads them

examples:
  tinygrad-ce export run --to onnx
  tinygrad-ce export run --to numpy -o flowers.py && python flowers.py new.csv
  tinygrad-ce export run --to c -o flowers.c && cc -O2 flowers.c -lm && ./a.out < new.csv
"""

NAMES = {
    "onnx": "model.onnx",
    "numpy": "model.py",
    "c": "model.c",
    "torch": "model.pt",
    "safetensors": "weights.safetensors",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = EXAMPLES
    parser.add_argument("run_folder", type=any_path, metavar="RUN", help="what train has made")
    parser.add_argument("--to", required=True, choices=list(NAMES), help="the format of the file")
    where = f"the file (default: in RUN, {', '.join(NAMES.values())})"
    parser.add_argument("-o", "--out", type=file_path, metavar="FILE", help=where)


def run(arguments: argparse.Namespace) -> int:
    """Export a trained network, for runtimes without this package.

    The treatment of the data belongs to it but for torch and safetensors, which hold weights alone.
    """
    folder = Run(arguments.run_folder)
    checkpoint = folder.load_model()
    path: Path = arguments.out or folder.folder / NAMES[arguments.to]
    if path.resolve() in [own.resolve() for own in folder.paths]:
        raise UsageError(f"{path} is a file of the run itself: give another one, by -o")
    with ensure_writable([path]):
        try:
            content = _writers()[arguments.to](checkpoint)
        except (ValueError, TypeError, RuntimeError) as error:
            raise UsageError(error) from error
        write_file(path, content)
    print(path)
    return 0


def _writers() -> dict[str, Callable[[nn.Checkpoint], bytes]]:
    """What makes the file of each format; the compiler is loaded for these alone."""
    from ...export.modules import c_file, numpy_module
    from ...export.onnx_prediction import dumps_prediction
    from ...export.weights import safetensors_file, torch_file

    return {
        "onnx": dumps_prediction,
        "numpy": lambda checkpoint: numpy_module(checkpoint).encode(),
        "c": lambda checkpoint: c_file(checkpoint).encode(),
        "torch": torch_file,
        "safetensors": safetensors_file,
    }
