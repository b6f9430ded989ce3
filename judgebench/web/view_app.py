"""The viewer: runs and how far they are, items with those that verdicts disagree on first, answers side by side."""

from __future__ import annotations

from markupsafe import Markup
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from judgebench.types import Answer
from judgebench.web.pages import MOST_CHARACTERS, page, script, shown, style
from judgebench.web.view_data import SHOW, Row, Shelf, narrowed, prompt_of, word_diff

ON_PAGE = 50
"""Items on one page."""


def view_app(shelf: Shelf) -> Starlette:
    """The app that shows the runs of a shelf; it changes nothing."""

    def name_of(request: Request) -> str:
        name = request.query_params.get("name", "")
        if name not in shelf.paths():
            raise HTTPException(404, f"no run is called {name!r}")
        return name

    def row_of(request: Request, name: str) -> Row:
        asked = request.query_params
        row = shelf.row(name, asked.get("suite", ""), asked.get("item", ""))
        if row is None:
            raise HTTPException(404, f"the run has no item {asked.get('item', '')!r} of that suite")
        return row

    def home(request: Request) -> Response:
        return page(request, "runs.html", runs=[shelf.progress(name) for name in shelf.paths()])

    def run(request: Request) -> Response:
        name, asked = name_of(request), request.query_params
        rows = shelf.rows(name)
        fields = {key: asked.get(key, "") for key in ("words", "suite", "judge")}
        show = asked.get("show", "all")
        found = narrowed(rows, **fields, show=show)
        number = int(asked["page"]) if asked.get("page", "").isdecimal() else 1
        start = (max(number, 1) - 1) * ON_PAGE
        return page(
            request, "items.html", name=name, progress=shelf.progress(name), rows=found[start : start + ON_PAGE],
            found=len(found), total=len(rows), start=start, number=max(number, 1), more=start + ON_PAGE < len(found),
            fields=fields, show=show, shows=SHOW, suites=sorted({row.suite for row in rows}),
            judges=sorted({verdict.judge for row in rows for verdict in row.verdicts}),
        )  # fmt: skip

    def item(request: Request) -> Response:
        name, asked = name_of(request), request.query_params
        row = row_of(request, name)
        answers = sorted(row.answers, key=lambda answer: (answer.sample, answer.model))
        chosen = [_chosen(answers, asked.get(side, ""), place) for place, side in enumerate(("left", "right"))]
        return page(
            request, "item.html", name=name, row=row, answers=[_label(answer) for answer in answers],
            chosen=[_label(answer) if answer else "" for answer in chosen],
            sides=_sides([answer for answer in chosen if answer is not None]),
            errors=[answer.error for answer in chosen if answer is not None],
            verdicts=list(enumerate(row.verdicts)),
        )  # fmt: skip

    def prompt(request: Request) -> Response:
        name = name_of(request)
        row, number = row_of(request, name), request.query_params.get("verdict", "")
        if not number.isdecimal() or int(number) >= len(row.verdicts):
            raise HTTPException(404, "there is no such verdict")
        verdict = row.verdicts[int(number)]
        messages, note = prompt_of(shelf.paths()[name], row, verdict)
        return page(request, "prompt.html", name=name, row=row, verdict=verdict, messages=messages, note=note)

    return Starlette(
        routes=[
            Route("/", home),
            Route("/page.css", style),
            Route("/page.js", script),
            Route("/run", run),
            Route("/item", item),
            Route("/prompt", prompt),
        ],
        exception_handlers={HTTPException: _missing},
    )


def _label(answer: Answer) -> str:
    return answer.model if not answer.sample else f"{answer.model} #{answer.sample}"


def _chosen(answers: list[Answer], label: str, place: int) -> Answer | None:
    named = [answer for answer in answers if _label(answer) == label]
    return named[0] if named else answers[place] if place < len(answers) else None


def _sides(answers: list[Answer]) -> list[list[Markup]]:
    """For each turn, the marked up texts of the answers shown."""
    turns = []
    for turn in range(max((len(answer.turns) for answer in answers), default=0)):
        texts = [answer.turns[turn] if turn < len(answer.turns) else "" for answer in answers]
        if len(texts) == 2 and max(map(len, texts)) <= MOST_CHARACTERS:
            pieces = word_diff(*texts)
        else:
            pieces = tuple([(text, False)] for text in texts)  # type: ignore[assignment]
        turns.append([Markup("").join(_piece(text, differs) for text, differs in side) for side in pieces])
    return turns


def _piece(text: str, differs: bool) -> Markup:
    return Markup("<mark>{}</mark>").format(shown(text)) if differs else shown(text)


def _missing(request: Request, error: Exception) -> Response:
    detail = error.detail if isinstance(error, HTTPException) else str(error)
    status = error.status_code if isinstance(error, HTTPException) else 500
    return page(request, "message.html", status=status, title="Not here", text=detail)
