"""RUN, the folder of a training: what a person can read, and what it takes to go on.

run.json           what was asked for and, once it is done, what came out
history.csv        loss and accuracy of each epoch
model.safetensors  the trained network, with the treatment of data: `nn.load` reads it
checkpoint.safetensors  from which `train --resume` goes on
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from .. import data, nn
from ..atomic_files import write_files
from ..train import History
from .options import UsageError

SETTINGS, HISTORY = "run.json", "history.csv"
MODEL, CHECKPOINT = "model.safetensors", "checkpoint.safetensors"
_PART = re.compile(r"\.\d+-\d+-[0-9a-f]+\.part")  # what a killed process leaves of a file


class Run:
    """The folder of a training."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def paths(self) -> list[Path]:
        """Its files, as they are written."""
        return [self.folder / name for name in (SETTINGS, HISTORY, MODEL, CHECKPOINT)]

    def read_settings(self) -> dict[str, Any]:
        """What was asked for, or a UsageError where there is no run."""
        path = self.folder / SETTINGS
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            settings: dict[str, Any] = content["settings"]
        except FileNotFoundError:
            raise UsageError(
                f"{self.folder} is no run: it has no {SETTINGS}; tinygrad-ce train makes one"
            ) from None
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise UsageError(f"{path} is damaged: {error}") from None
        return settings

    def write_settings(self, settings: Mapping[str, Any], result: Any = None) -> None:
        """Write what was asked for, and what came out."""
        content = {"settings": settings} | ({"result": result} if result is not None else {})
        text = json.dumps(content, indent=2, ensure_ascii=False)
        write_files({self.folder / SETTINGS: (text + "\n").encode()})

    def write_history(self, history: History) -> None:
        """Write the measures of the epochs so far."""
        write_files({self.folder / HISTORY: log_text(history, ".csv").encode()})

    def load_model(self) -> nn.Checkpoint:
        """The trained network, or a UsageError."""
        path = self.folder / MODEL
        self.read_settings()
        if not path.exists():
            raise UsageError(
                f"{self.folder} has no {MODEL}: its training has not ended; go on with "
                f"tinygrad-ce train --resume {self.folder}"
            )
        return load(path)

    def load_checkpoint(self) -> nn.Checkpoint | None:
        """Where the training was saved last, or None if it never was."""
        path = self.folder / CHECKPOINT
        return load(path) if path.exists() else None

    def remove_parts(self) -> None:
        """Remove what processes that were killed have left of files."""
        for path in self.folder.iterdir():
            if _PART.fullmatch(path.name):
                path.unlink(missing_ok=True)


def load(path: Path) -> nn.Checkpoint:
    """Load a checkpoint; what is wrong with the file is a UsageError."""
    try:
        return nn.load(path)
    except (ValueError, TypeError) as error:
        raise UsageError(error) from error


def read_table(source: str, settings: Mapping[str, Any]) -> data.Table:
    """The rows to train on: of a CSV file, or of a data set with a name."""
    options = {name: settings[name] for name in ("missing", "categories", "ignore")}
    try:
        if source in data.DATASETS:
            X, y, names = data.DATASETS[source]()
            columns = dict(zip(data.feature_names(source), X.T, strict=True))
            return data.as_table(columns, np.array(names)[y], **options)
        return data.read_csv(source, target=settings["target"], **options)
    except (ValueError, TypeError) as error:
        raise UsageError(error) from error


def fingerprint(source: str) -> str | None:
    """What tells whether a file has changed."""
    if source in data.DATASETS or source == "-":
        return None
    return hashlib.sha256(Path(source).read_bytes()).hexdigest()


def split(table: data.Table, settings: Mapping[str, Any]) -> tuple[Any, Any]:
    """The numbers of the rows to train on and of those that are held out, the same each time."""
    rows = np.arange(len(table.y))
    if not settings["validation"]:
        return rows, rows[:0]
    try:
        training, held_out, _, _ = data.train_test_split(
            rows, table.y, settings["validation"], settings["seed"]
        )
    except ValueError as error:
        raise UsageError(f"--validation {settings['validation']:g}: {error}") from error
    return np.sort(training), np.sort(held_out)


def log_text(history: History, ending: str) -> str:
    """The measures of each epoch, as CSV or as a JSON object on each line."""
    columns = history.columns()
    names = ["epoch", *columns]
    rows = list(zip(range(1, len(history) + 1), *columns.values(), strict=True))
    if ending == ".jsonl":
        return "".join(json.dumps(dict(zip(names, row, strict=True))) + "\n" for row in rows)
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerows([names, *rows])
    return out.getvalue()
