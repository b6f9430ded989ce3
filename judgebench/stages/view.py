"""Shows runs in the browser: progress, items with disagreements first, answers side by side, prompts and replies."""

from __future__ import annotations

import argparse
from pathlib import Path

from judgebench.errors import MissingPackage


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds this stage's flags."""
    parser.add_argument(
        "results", nargs="?", default="results", metavar="RESULTS", help="folder of runs, or one run (default results)"
    )
    parser.add_argument("--port", type=int, default=0, metavar="N", help="port on 127.0.0.1 (default: any free one)")


def main(args: argparse.Namespace) -> int:
    """Serves the pages until interrupted; the address, with its token, is printed.

    Returns:
        0; exit codes of errors are theirs.
    """
    try:
        from judgebench.web.serving import serve
        from judgebench.web.view_app import view_app
        from judgebench.web.view_data import Shelf
    except ModuleNotFoundError as error:
        raise MissingPackage((error.name or "starlette").partition(".")[0], "ui") from error
    serve(view_app(Shelf(Path(args.results))), args.port)
    return 0
