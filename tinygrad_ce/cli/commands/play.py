"""``tinygrad-ce play``."""

from __future__ import annotations

import argparse

from ..options import whole_number


def add_arguments(parser: argparse.ArgumentParser) -> None:
    port = "the port to listen on; another one if it is taken (default: 8642)"
    parser.add_argument("--port", type=whole_number(0, 65535), metavar="N", help=port)
    parser.add_argument(
        "--no-open", dest="open", action="store_false", help="do not open the browser"
    )


def run(arguments: argparse.Namespace) -> int:
    """Open the live page: move logits, train a network, and see every gradient move along.

    The page is served on this machine alone, at the address that is printed; Ctrl-C ends it.
    """
    from ...play.server import PORT, serve_page

    port = PORT if arguments.port is None else arguments.port
    serve_page(port=port, open_browser=arguments.open)
    return 0
