"""What the tests of the README and of docs/ share: to read a page, and to run its blocks."""

import contextlib
import io
import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"

FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
# A block of Python, and what is shown of its output below it.
EXAMPLE = re.compile(
    r"^```python\n(.*?)^```\n(?:\n^```text\n(.*?)^```\n)?", re.MULTILINE | re.DOTALL
)


def read(path):
    return path.read_text(encoding="utf-8")


def blocks(page, language):
    """The code of a page in one language, block by block."""
    return [
        re.sub(rf"^{indent}", "", code, flags=re.MULTILINE)
        for indent, name, code in FENCE.findall(page)
        if name == language
    ]


def examples(page):
    """Blocks of Python, each with the output that the page shows, which may be empty."""
    return EXAMPLE.findall(page)


def prose(page):
    return re.sub(r"^```.*?^```$", "", page, flags=re.MULTILINE | re.DOTALL)


def run(codes, name="page"):
    """Execute blocks one after another; return the namespace and what each has printed."""
    namespace = {"__name__": "__main__"}
    outputs = []
    for i, code in enumerate(codes):
        with contextlib.redirect_stdout(io.StringIO()) as out:
            exec(compile(code, f"{name}, block {i}", "exec"), namespace)
        outputs.append(out.getvalue())
    return namespace, outputs


def headings(page):
    """The slugs of the headings below the title."""
    found = re.findall(r"^##+ (.+)$", prose(page), re.MULTILINE)
    return [re.sub(r"[^\w\- ]", "", h.lower()).replace(" ", "-") for h in found]
