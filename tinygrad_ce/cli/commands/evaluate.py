"""``tinygrad-ce evaluate``."""

from __future__ import annotations

import argparse
import json

from ..evaluation import evaluate_rows
from ..options import UsageError, any_path
from ..run_folder import Run, read_table

EXAMPLES = """\
examples:
  tinygrad-ce evaluate run test.csv
  tinygrad-ce evaluate run test.csv --json
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = EXAMPLES
    parser.add_argument("run_folder", type=any_path, metavar="RUN", help="what train has made")
    what = "rows with the columns of the training, the target among them; - for stdin"
    parser.add_argument("data", metavar="DATA.csv", help=what)
    parser.add_argument("--json", action="store_true", help="print a JSON object")


def run(arguments: argparse.Namespace) -> int:
    """Evaluate a trained network on labeled rows.

    Prints accuracy, cross-entropy, the confusion matrix, and the calibration: how often the network
    is right of the rows of which it is so sure.
    """
    folder = Run(arguments.run_folder)
    checkpoint, settings = folder.load_model(), folder.read_settings()
    try:
        if arguments.data == settings["data"]:
            table = read_table(arguments.data, settings)
        else:
            table = checkpoint.encoder.table(arguments.data)
    except (ValueError, TypeError) as error:
        raise UsageError(error) from error
    evaluation = evaluate_rows(checkpoint, table)
    print(json.dumps(evaluation.as_json()) if arguments.json else evaluation.as_text())
    return 0
