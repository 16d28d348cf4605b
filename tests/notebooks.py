"""What the tests of the notebooks share: to read one, and to run its code, here or in a kernel."""

import json
import os
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"
NOTEBOOKS = sorted(EXAMPLES.glob("*.ipynb"))


def read(name):
    """The notebook whose file begins so, as JSON."""
    (path,) = EXAMPLES.glob(f"{name}*.ipynb")
    return json.loads(path.read_text(encoding="utf-8"))


def source_of(notebook, id):
    """The source of a cell."""
    (cell,) = (cell for cell in notebook["cells"] if cell["id"] == id)
    return "".join(cell["source"])


def code_of(notebook):
    """The sources of the cells of code, by their ids."""
    return {
        cell["id"]: "".join(cell["source"])
        for cell in notebook["cells"]
        if cell["cell_type"] == "code"
    }


def run(notebook, ids, monkeypatch):
    """Execute some cells here, one after another; return their variables."""
    monkeypatch.chdir(EXAMPLES)
    namespace = {"__name__": "__main__"}
    for id in ids:
        exec(compile(source_of(notebook, id), f"cell {id}", "exec"), namespace)
    return namespace


def execute(notebook):
    """Execute a copy of a notebook in a kernel of its own, as JupyterLab would; return that."""
    for module in ("nbclient", "ipykernel"):
        if os.environ.get("CI"):
            __import__(module)
        pytest.importorskip(module)
    import nbformat
    from nbclient import NotebookClient

    executed = nbformat.reads(json.dumps(notebook), as_version=4)
    NotebookClient(executed, timeout=300, resources={"metadata": {"path": EXAMPLES}}).execute()
    return executed


def printed_by(executed):
    """What each cell of code has printed or shown as text, by its id."""
    return {
        cell.id: "".join(
            output.get("text") or output.get("data", {}).get("text/plain", "")
            for output in cell.outputs
        )
        for cell in executed.cells
        if cell.cell_type == "code"
    }
