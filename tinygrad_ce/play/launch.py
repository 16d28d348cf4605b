"""`play`: open the page, on one's own computation or model."""

from __future__ import annotations

from typing import Any

from .session import Session


def play(*what: Any) -> Any:
    """Open the live page."""
    from .server import serve_page

    serve_page(Session)
