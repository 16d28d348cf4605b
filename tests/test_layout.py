"""The layout of the package: where imports may point, and what each module says is public."""

import ast
import importlib
import inspect
import re
import sys
from functools import cache
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "tinygrad_ce"
NAME = PACKAGE.name

# What each part may import besides itself. What has no line here, as cli, may import everything.
BASE = {"engine", "arguments", "other_names"}
PUBLIC = {"functional", "nn", "optim", "data", "train", "closed_form"}
MAY_IMPORT = {
    "arguments": set(),
    "other_names": set(),
    "engine": {"arguments", "other_names"},
    "closed_form": {"arguments"},
    "data": {"arguments", "atomic_files"},
    "atomic_files": set(),
    "verify.decimal_reference": {"arguments"},
    "functional": BASE,
    "nn": BASE | PUBLIC | {"checkpoint"},
    "optim": BASE,
    "checkpoint": BASE | {"functional", "atomic_files"},
    "train": BASE | PUBLIC | {"checkpoint", "compiler"},
    "verify": BASE | PUBLIC,
    "draw": BASE | PUBLIC | {"verify", "atomic_files"},
    "symbolic": BASE | PUBLIC | {"verify"},
    "compiler": BASE | PUBLIC | {"verify", "atomic_files"},
    "export": BASE | PUBLIC | {"verify", "compiler", "atomic_files"},
    "onnx": {"export"},
    "distributed": BASE | PUBLIC | {"compiler"},
    "play": BASE | PUBLIC | {"verify", "draw", "atomic_files"},
}
# What the engine may import from outside of the package, and what is evidence because it knows
# no Tensor.
EVIDENCE = ("arguments", "closed_form", "verify.decimal_reference")
OUTSIDE = {part: {"numpy"} for part in ("engine", *EVIDENCE)}
READERS = ("draw", "symbolic", "compiler")
WITH_PUBLIC_NAMES = [
    *("functional", "nn", "optim", "data", "train", "closed_form", "verify"),
    *("onnx", "distributed"),
    *READERS,
    "play",
]
CALLABLE_PACKAGES = {"draw", "play"}  # packages that are functions as well
MAX_ENTRIES = 26
MAX_LINES_WITH_ANY = 46


def modules():
    """The dotted names of all modules, without that of the package in front, and their files."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


MODULES = modules()


@cache
def tree_of(module):
    return ast.parse(MODULES[module].read_text(encoding="utf-8"))


def statements_on_import(tree):
    """All nodes but those inside of functions, which run later or never."""
    todo = [tree]
    while todo:
        node = todo.pop()
        yield node
        todo += [
            child
            for child in ast.iter_child_nodes(node)
            if not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        ]


def named_modules(module, node):
    """What an import statement names: modules as full dotted names, of this package and others."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        start = node.module or ""
        if node.level:
            package = [NAME, *module.split(".")] if module else [NAME]
            if MODULES[module].name != "__init__.py":
                package.pop()
            base = package[: len(package) - node.level + 1]
            start = ".".join([*base, *([node.module] if node.module else [])])
        for alias in node.names:
            submodule = f"{start}.{alias.name}"
            yield submodule if inside(submodule) in MODULES else start


def inside(name):
    """The name without that of the package in front; None for a module of others."""
    if name == NAME:
        return ""
    return name[len(NAME) + 1 :] if name.startswith(f"{NAME}.") else None


def imports(module, lazy):
    """The modules that a module imports, types included; with those in functions if lazy."""
    tree = tree_of(module)
    nodes = ast.walk(tree) if lazy else statements_on_import(tree)
    return {name for node in nodes for name in named_modules(module, node)}


def imports_of_ours(module, lazy):
    return {inside(name) for name in imports(module, lazy)} - {None, module}


def parts_of(module, parts):
    """The parts that a module is in, the smallest first: `verify.chain_rule` is in `verify`."""
    found = [part for part in parts if module == part or module.startswith(f"{part}.")]
    return sorted(found, key=len, reverse=True)


def modules_in(parts):
    return [module for module in MODULES if parts_of(module, parts)]


def circles(graph):
    """The modules from which there is a way back to themselves."""
    reachable = {}
    for start in graph:
        seen, todo = set(), list(graph[start])
        while todo:
            name = todo.pop()
            if name not in seen:
                seen.add(name)
                todo += graph.get(name, ())
        reachable[start] = seen
    return sorted(name for name in graph if name in reachable[name])


# ── Imports ───────────────────────────────────────────────────────────────────────────────────────


def test_imports_form_no_circle_types_included():
    assert circles({module: imports_of_ours(module, lazy=False) for module in MODULES}) == []


def test_a_circle_would_be_found():
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": {"a"}}) == ["b", "c"]


@pytest.mark.parametrize("module", modules_in(MAY_IMPORT))
def test_imports_point_one_way_those_in_functions_included(module):
    part = parts_of(module, MAY_IMPORT)[0]
    allowed = {part, *MAY_IMPORT[part]}
    for imported in imports_of_ours(module, lazy=True):
        assert parts_of(imported, allowed), f"{module} imports {imported or NAME}"


@pytest.mark.parametrize("module", modules_in(OUTSIDE))
def test_what_is_below_all_imports_numpy_and_the_standard_library_alone(module):
    part = parts_of(module, OUTSIDE)[0]
    theirs = {n.split(".")[0] for n in imports(module, lazy=True) if inside(n) is None}
    assert theirs <= {*sys.stdlib_module_names, *OUTSIDE[part]}


@pytest.mark.parametrize("module", modules_in(READERS))
def test_readers_do_not_import_one_another(module):
    read = [parts_of(name, READERS) for name in imports_of_ours(module, lazy=True)]
    assert all(reader in ([], parts_of(module, READERS)) for reader in read)


@pytest.mark.parametrize("module", ["arguments", "closed_form", "data", "verify.decimal_reference"])
def test_evidence_knows_no_tensor(module):
    words = {node.id for node in ast.walk(tree_of(module)) if isinstance(node, ast.Name)}
    assert "Tensor" not in words
    assert not any(name.startswith("engine") for name in imports_of_ours(module, lazy=True))


# ── The engine ────────────────────────────────────────────────────────────────────────────────────


def code_without_strings(tree):
    """The names in the code: what is imported, called, defined; no string, no comment."""
    for node in ast.walk(tree):
        for field in ("id", "attr", "name", "arg", "module", "asname"):
            name = getattr(node, field, None)
            if isinstance(name, str):
                yield name


@pytest.mark.parametrize("module", modules_in(["engine"]))
def test_the_engine_names_no_reader(module):
    for name in code_without_strings(tree_of(module)):
        assert not re.search("compiler|draw|symbolic", name)


def test_any_is_rare_in_the_engine():
    lines = [
        line
        for path in PACKAGE.glob("engine/**/*.py")
        for line in path.read_text(encoding="utf-8").splitlines()
        if re.search(r"\bAny\b", line.partition("#")[0])
    ]
    assert len(lines) <= MAX_LINES_WITH_ANY


# ── Names ─────────────────────────────────────────────────────────────────────────────────────────


def test_the_top_level_is_seen_at_a_glance():
    entries = [path.name for path in PACKAGE.iterdir() if path.name != "__pycache__"]
    assert len(entries) <= MAX_ENTRIES, sorted(entries)


@pytest.mark.parametrize("name", ["", *WITH_PUBLIC_NAMES])
def test_public_names_are_listed_and_exist(name):
    module = importlib.import_module(f"{NAME}.{name}" if name else NAME)
    assert module.__all__
    assert len(set(module.__all__)) == len(module.__all__)
    for public in module.__all__:
        assert getattr(module, public) is not None


@pytest.mark.parametrize(
    "package", [name for name, path in MODULES.items() if path.name == "__init__.py"]
)
def test_no_module_has_the_name_of_a_function_that_its_package_exports(package):
    inner = f"{package}." if package else ""
    submodules = {m.removeprefix(inner) for m in MODULES if m.startswith(inner)}
    exported = importlib.import_module(f"{NAME}.{package}" if package else NAME)
    for name in submodules.intersection(getattr(exported, "__all__", ())) - CALLABLE_PACKAGES:
        assert inspect.ismodule(getattr(exported, name)), name
