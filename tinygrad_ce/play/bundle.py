"""JavaScript modules as one script, for a page that is one file."""

from __future__ import annotations

import re
from collections.abc import Mapping

_IMPORT = re.compile(r'^import (?:\* as (\w+)|\{([^}]*)\}) from "\./([\w.]+)";\n', re.MULTILINE)
_EXPORT = re.compile(r"^export ((?:async )?(?:function|const|let|class) (\w+))", re.MULTILINE)


def bundle(entry: str, modules: Mapping[str, str]) -> str:
    """Return one script that does what a module and all that it imports do.

    Each module becomes a function that is called once and returns what the module exports, those
    that are imported first.

    Parameters
    ----------
    entry
        The name of the module.
    modules
        The texts of all by name; they import one another as ``import { a, b } from "./name.js"`` or
        ``import * as name from "./name.js"``, at the top level.

    Raises
    ------
    ValueError
        A module that is not there, or that imports itself by way of others.

    >>> modules = {"a.js": "export const a = 1;\\n"}
    >>> modules["b.js"] = 'import { a } from "./a.js";\\nconsole.log(a);\\n'
    >>> print(bundle("b.js", modules))
    const a_js = (() => {
    const a = 1;
    return { a };
    })();
    const b_js = (() => {
    const { a } = a_js;
    console.log(a);
    return {  };
    })();
    <BLANKLINE>
    """
    written: list[str] = []
    done: set[str] = set()

    def add(name: str, importers: tuple[str, ...]) -> None:
        if name not in modules or name in importers:
            raise ValueError(f"{' → '.join((*importers, name))}: no module, or a circle of imports")
        if name in done:
            return
        for _, _, imported in _IMPORT.findall(modules[name]):
            add(imported, (*importers, name))
        done.add(name)
        written.append(_as_function(name, modules[name]))

    add(entry, ())
    return "".join(written)


def _as_function(name: str, text: str) -> str:
    def as_constant(match: re.Match[str]) -> str:
        whole, parts, module = match.groups()
        return f"const {whole or f'{{{parts}}}'} = {_variable(module)};\n"

    exported = ", ".join(found for _, found in _EXPORT.findall(text))
    body = _EXPORT.sub(r"\1", _IMPORT.sub(as_constant, text))
    return f"const {_variable(name)} = (() => {{\n{body}return {{ {exported} }};\n}})();\n"


def _variable(module: str) -> str:
    return re.sub(r"\W", "_", module)
