"""A page that replays what was recorded: one file, which needs neither Python nor a server.

It is the page itself, whose connection answers from the frames in it.
"""

from __future__ import annotations

import re
from importlib.resources import files
from typing import Any

from ..draw import svg
from ..draw.interactive.page import in_script
from .bundle import bundle

POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; "
    "img-src data: blob:; base-uri 'none'; form-action 'none'"
)


def replay_page(recorded: dict[str, Any]) -> str:
    """Return the page, as text in HTML.

    Parameters
    ----------
    recorded
        `start`, the messages that come first, `frames`, and `code`.
    """
    folders = files(__package__) / "assets", files(svg.__package__) / "interactive" / "assets"
    texts = {path.name: path.read_text(encoding="utf-8") for path in folders[0].iterdir()}
    texts["palette.css"] = (folders[1] / "palette.css").read_text(encoding="utf-8")
    texts["graph.css"] = svg.color_variables() + svg.rules()
    scripts = {name: text for name, text in texts.items() if name.endswith(".js")}
    scripts["connection.js"] = scripts.pop("replay.js")

    def as_style(match: re.Match[str]) -> str:
        return f"<style>\n{texts[match[1]]}</style>"

    data = f'<script id="recorded" type="application/json">{in_script(recorded)}</script>'
    script = bundle("play.js", scripts).replace("</", "<\\/")
    page = re.sub(r'<link rel="stylesheet" href="([\w.]+)">', as_style, texts["index.html"])
    page = re.sub(r'\n<script type="module".*?</script>', "", page)
    policy = f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
    page = page.replace("<head>", f"<head>\n{policy}", 1)
    body = f'{data}\n<script>\n"use strict";\n{script}</script>\n</body>'
    return body.join(page.rsplit("</body>", 1))
