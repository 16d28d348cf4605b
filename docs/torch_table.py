"""Write the tables of coming_from.md that have PyTorch's names, and that of ndarray's.

    python docs/torch_table.py

They come from tinygrad_ce/other_names.py, which the errors are made of too.
tests/docs/test_coming_from_torch.py fails where the page and the table disagree, where a row does
not compute the same on both sides, or where PyTorch has a name that the table does not know.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from tinygrad_ce import other_names as table

PAGE = Path(__file__).with_name("coming_from.md")
TABLE = re.compile(r"(<!-- table: (.+?) -->\n).*?(<!-- end of table -->)", re.DOTALL)


def rows(pairs: Mapping[str, str]) -> str:
    """PyTorch's code and ours, a row each."""
    return "| PyTorch | here |\n| --- | --- |\n" + "".join(
        f"| {code(theirs)} | {code(ours)} |\n" for theirs, ours in pairs.items()
    )


def code(text: str) -> str:
    """Code in a cell of a table."""
    return f"`{text}`".replace("|", r"\|")


def remedies(said: Mapping[str, str], end: str = "") -> str:
    """What to do instead, and the names for which it is said."""
    names: dict[str, list[str]] = {}
    for name, remedy in said.items():
        names.setdefault(remedy, []).append(f"`{name}{end}`")
    return "| PyTorch | what to do |\n| --- | --- |\n" + "".join(
        f"| {', '.join(named)} | {remedy} |\n".replace("$", r"\$")
        for remedy, named in names.items()
    )


def groups(names: Mapping[str, str]) -> str:
    """What is out of scope, and its names."""
    return "| out of scope | names |\n| --- | --- |\n" + "".join(
        f"| {about} | {', '.join(f'`{name}`' for name in of.split())} |\n"
        for about, of in names.items()
    )


TABLES = {
    "Tensor": rows(table.TENSOR),
    "Tensor, to do": remedies(table.TENSOR_REMEDIES),
    "Tensor, out of scope": groups(table.TENSOR_OUT_OF_SCOPE),
    "NumPy's arrays": remedies(table.ARRAY_REMEDIES).replace("PyTorch", "ndarray"),
    "torch": rows(table.TORCH),
    "torch, to do": remedies(table.TORCH_REMEDIES),
    "layers": rows(table.FUNCTIONAL | table.LAYERS | table.INITIALIZATIONS | table.TRAINING),
    "layers, to do": remedies(
        table.LAYER_REMEDIES
        | {f"Module.{name}": said for name, said in table.MODULE_REMEDIES.items()}
        | {f"Optimizer.{name}": said for name, said in table.OPTIMIZER_REMEDIES.items()}
        | {f"LRScheduler.{name}": said for name, said in table.SCHEDULE_REMEDIES.items()}
    ),
    "keywords": remedies(table.KEYWORDS, "="),
}


def written(page: str) -> str:
    """The page with its tables renewed."""
    return TABLE.sub(lambda found: found[1] + TABLES[found[2]] + found[3], page)


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
