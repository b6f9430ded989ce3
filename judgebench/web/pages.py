"""Templates and static files of the local pages. Everything is escaped; hidden characters are marked up."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response

from judgebench.report.markup import words
from judgebench.report.styles import STYLES
from judgebench.report.visible import visible

FOLDER = Path(__file__).parent
MOST_CHARACTERS = 100_000
"""Characters of one text on a page; what is left out is said."""


def shown(text: str) -> Markup:
    """A text that a model or a user wrote, escaped, its hidden characters visible, cut where it would fill a page."""
    cut = text[:MOST_CHARACTERS]
    more = len(text) - len(cut)
    left_out = Markup('<em class="muted"> … {} characters more</em>').format(f"{more:,}") if more else Markup("")
    return Markup(words(cut)) + left_out


@functools.cache
def environment() -> Environment:
    """The templates, with escaping on and undefined names refused."""
    made = Environment(
        loader=FileSystemLoader(FOLDER / "templates"), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    made.filters["shown"] = shown
    made.filters["written"] = visible  # where no markup may stand: titles, labels, options
    return made


def page(request: Request, template: str, /, status: int = 200, **values: Any) -> HTMLResponse:
    """A page made from a template; ``root`` is the path under which everything lies, token included."""
    text = environment().get_template(template).render(root=request.scope["root_path"], **values)
    return HTMLResponse(text.encode("utf-8", "replace"), status_code=status)


def plain(text: str) -> PlainTextResponse:
    """All of a text that a page shows only the beginning of, its hidden characters written out."""
    return PlainTextResponse(visible(text).encode("utf-8", "replace"))


def whole_number(text: str, otherwise: int) -> int:
    """A number out of an address; what is none, or is longer than nine digits, is ``otherwise``."""
    return int(text) if text.isdecimal() and len(text) < 10 else otherwise


def style(_: Request) -> Response:
    """The style sheet: the report's, and what the local pages add."""
    return Response(STYLES + (FOLDER / "static" / "page.css").read_text("utf-8"), media_type="text/css")


def script(_: Request) -> Response:
    """The script of the local pages."""
    return Response((FOLDER / "static" / "page.js").read_text("utf-8"), media_type="text/javascript")
