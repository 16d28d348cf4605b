"""A page that replays what was recorded: one file, which needs neither Python nor a server."""

from __future__ import annotations

from typing import Any

from ..draw.interactive.page import in_script
from .one_file import page_in_one_file


def replay_page(recorded: dict[str, Any]) -> str:
    """Return the page, as text in HTML, whose connection answers from what is in it.

    Parameters
    ----------
    recorded
        `start`, the messages that come first; `frames`; and `code`.
    """
    data = f'<script id="recorded" type="application/json">{in_script(recorded)}</script>\n'
    return page_in_one_file("recording").replace("</head>", f"{data}</head>", 1)
