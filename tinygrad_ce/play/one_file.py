"""The page as one HTML file that needs no server: for a notebook, and for what was recorded."""

from __future__ import annotations

import base64
import re
from functools import cache

from .asset_files import read_assets

POLICY = (
    "default-src 'none'; script-src 'unsafe-inline' data:; style-src 'unsafe-inline'; "
    "img-src data: blob:; base-uri 'none'; form-action 'none'"
)
_IMPORT = re.compile(r'(?<=from )"\./(\w+\.js)"')
_PRELOAD = re.compile(r'<link rel="modulepreload" href="\w+\.js">\n')
_STYLE = re.compile(r'<link rel="stylesheet" href="(\w+\.css)">')


@cache
def page_in_one_file(transport: str) -> str:
    """Return the page with its style sheets and modules in it.

    `transport` is how it is connected: "notebook", by messages to the window around it, or
    "recording", to what is in the page itself.
    """
    assets = {name: content.decode() for name, content in read_assets().items()}

    def address(name: str) -> str:
        """A module as an address of its own; equal ones are one module."""
        source = with_imports(assets[name])
        encoded = base64.b64encode(source.encode()).decode()
        return f"data:text/javascript;base64,{encoded}"

    def with_imports(source: str) -> str:
        return _IMPORT.sub(lambda match: f'"{address(match[1])}"', source)

    page = _PRELOAD.sub("", assets["index.html"])
    page = _STYLE.sub(lambda match: f"<style>\n{assets[match[1]]}</style>", page)
    script = f'<script type="module">\n{with_imports(assets["play.js"])}</script>'
    page = page.replace('<script type="module" src="play.js"></script>', script)
    policy = f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
    page = page.replace('<meta charset="utf-8">', f'<meta charset="utf-8">\n{policy}')
    return page.replace("<html ", f'<html data-transport="{transport}" ', 1)
