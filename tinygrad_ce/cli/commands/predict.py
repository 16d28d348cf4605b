"""``tinygrad-ce predict``."""

from __future__ import annotations

import argparse
import csv
import io
from pathlib import Path

from ...atomic_files import ensure_writable, write_files
from ..options import UsageError, any_path, file_path
from ..run_folder import Run

EXAMPLES = """\
examples:
  tinygrad-ce predict run new.csv
  tinygrad-ce predict run new.csv --proba -o predictions.csv
  cat new.csv | tinygrad-ce predict run -
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = EXAMPLES
    parser.add_argument("run_folder", type=any_path, metavar="RUN", help="what train has made")
    what = "rows with the columns of the training, in any order; - for stdin"
    parser.add_argument("data", metavar="NEW.csv", help=what)
    parser.add_argument(
        "-o", "--out", type=file_path, metavar="FILE.csv", help="write a file (default: print)"
    )
    proba = "also print the probability of each class, in columns p_<class>"
    parser.add_argument("--proba", action="store_true", help=proba)


def run(arguments: argparse.Namespace) -> int:
    """Predict the classes of new rows: a CSV with the column prediction."""
    checkpoint = Run(arguments.run_folder).load_model()
    files: list[Path] = [arguments.out] if arguments.out else []
    with ensure_writable(files):
        try:
            probabilities = checkpoint.predict_proba(arguments.data)
        except (ValueError, TypeError) as error:
            raise UsageError(error) from error
        names = checkpoint.class_names or ()
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(["prediction", *(f"p_{n}" for n in names if arguments.proba)])
        for row in probabilities.tolist():
            prediction = names[row.index(max(row))]
            writer.writerow([prediction, *(f"{p:.6g}" for p in row if arguments.proba)])
        if files:
            write_files({files[0]: out.getvalue().encode()})
            print(files[0])
        else:
            print(out.getvalue(), end="")
    return 0
