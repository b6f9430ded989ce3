"""The viewer: runs and how far they are, items with those that verdicts disagree on first, answers side by side."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from markupsafe import Markup
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from judgebench.errors import UserError
from judgebench.types import Answer, Verdict
from judgebench.web.asked import prompt_of
from judgebench.web.pages import MOST_CHARACTERS, page, plain, script, shown, style, whole_number
from judgebench.web.view_data import SHOW, Row, Shelf, narrowed
from judgebench.web.word_diff import word_diff

ON_PAGE = 50
"""Items on one page, and verdicts on an item's."""
FILTERS = ("f_words", "f_suite", "f_judge", "f_show")
"""What the list was narrowed by, as an item's address carries it."""


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

    def verdict_of(request: Request, row: Row) -> Verdict:
        number = whole_number(request.query_params.get("verdict", ""), len(row.verdicts))
        if number >= len(row.verdicts):
            raise HTTPException(404, "there is no such verdict")
        return row.verdicts[number]

    def home(request: Request) -> Response:
        return page(request, "runs.html", runs=[shelf.progress(name) for name in shelf.paths()])

    def run(request: Request) -> Response:
        name, asked = name_of(request), request.query_params
        rows = shelf.rows(name)
        fields = {key: asked.get(key, "") for key in ("words", "suite", "judge")}
        show = asked.get("show", "all")
        found = narrowed(rows, **fields, show=show)
        filters = {f"f_{key}": value for key, value in {**fields, "show": show}.items() if value not in ("", "all")}
        number = max(whole_number(asked.get("page", ""), 1), 1)
        start = (number - 1) * ON_PAGE
        return page(
            request, "items.html", name=name, progress=shelf.progress(name), rows=found[start : start + ON_PAGE],
            found=len(found), total=len(rows), number=number, pages=max(1, -(-len(found) // ON_PAGE)), fields=fields,
            filters=filters, show=show, shows=SHOW, suites=sorted({row.suite for row in rows}),
            judges=sorted({judge for row in rows for judge in row.judges}),
        )  # fmt: skip

    def around(name: str, row: Row, request: Request) -> dict[str, Any]:
        """Where an item stands in the list from which it was opened."""
        fields = {key: request.query_params.get(key, "") for key in FILTERS}
        wanted = {key.removeprefix("f_"): value for key, value in fields.items() if value}
        found = narrowed(shelf.rows(name), **wanted)
        place = next((number for number, each in enumerate(found, 1) if each is row), 0)
        given = {key: value for key, value in fields.items() if value}

        def link(number: int) -> str:
            if not place or not 1 <= number <= len(found):
                return ""
            there = found[number - 1]
            return urlencode({"name": name, "suite": there.suite, "item": there.item.id, **given})

        return {
            "fields": given, "place": place, "found": len(found), "before": link(place - 1), "after": link(place + 1),
            "back": urlencode({"name": name, **wanted, "page": (max(place, 1) - 1) // ON_PAGE + 1}),
        }  # fmt: skip

    def item(request: Request) -> Response:
        name, asked = name_of(request), request.query_params
        row = row_of(request, name)
        answers = sorted(row.answers, key=lambda answer: (answer.sample, answer.model))
        chosen = [_chosen(answers, asked.get(side, ""), place) for place, side in enumerate(("left", "right"))]
        there = [answer for answer in chosen if answer is not None]
        sides, note = _sides(there)
        # Verdicts on the answers shown come first, each with its number in the row.
        both = {(answer.model, answer.sample) for answer in there}
        verdicts = sorted(enumerate(row.verdicts), key=lambda each: not both.issuperset(each[1].shown))
        start = whole_number(asked.get("from", ""), 0)
        return page(
            request, "item.html", **around(name, row, request), name=name, row=row,
            answers=[_label(answer) for answer in answers],
            chosen=[_label(answer) if answer else "" for answer in chosen], there=there, sides=sides, note=note,
            verdicts=verdicts[start : start + ON_PAGE], start=start, on_page=ON_PAGE, longest=MOST_CHARACTERS,
        )  # fmt: skip

    def prompt(request: Request) -> Response:
        name = name_of(request)
        row = row_of(request, name)
        verdict = verdict_of(request, row)
        messages, note = prompt_of(shelf.paths()[name], row, verdict)
        return page(request, "prompt.html", name=name, row=row, verdict=verdict, messages=messages, note=note,
                    number=request.query_params["verdict"], longest=MOST_CHARACTERS)  # fmt: skip

    def text(request: Request) -> PlainTextResponse:
        row = row_of(request, name_of(request))
        if "verdict" in request.query_params:
            return plain(verdict_of(request, row).reply)
        wanted = request.query_params.get("answer", "")
        if not wanted:
            return plain("\n\n".join(row.item.turns))
        for answer in row.answers:
            if _label(answer) == wanted:
                return plain("\n\n".join(answer.turns))
        raise HTTPException(404, f"there is no answer of {wanted!r}")

    return Starlette(
        routes=[
            Route("/", home),
            Route("/page.css", style),
            Route("/page.js", script),
            Route("/run", run),
            Route("/item", item),
            Route("/prompt", prompt),
            Route("/text", text),
        ],
        exception_handlers={HTTPException: _missing, UserError: _damaged},
    )


def _label(answer: Answer) -> str:
    return answer.model if not answer.sample else f"{answer.model} #{answer.sample}"


def _chosen(answers: list[Answer], label: str, place: int) -> Answer | None:
    named = [answer for answer in answers if _label(answer) == label]
    return named[0] if named else answers[place] if place < len(answers) else None


def _sides(answers: list[Answer]) -> tuple[list[list[Markup]], str]:
    """For each turn, the marked up texts of the answers shown; and in which turns words are not marked, and why."""
    turns, notes = [], []
    for turn in range(max((len(answer.turns) for answer in answers), default=0)):
        texts = [answer.turns[turn] if turn < len(answer.turns) else "" for answer in answers]
        pieces, note = [[(text, False)] for text in texts], ""
        if len(texts) == 2 and max(map(len, texts)) > MOST_CHARACTERS:
            note = f"no words are marked in texts of more than {MOST_CHARACTERS:,} characters"
        elif len(texts) == 2:
            *pieces, note = word_diff(*texts)
        notes.append(note)
        turns.append([Markup("").join(_piece(text, differs) for text, differs in side) for side in pieces])
    if len(set(notes)) == 1:
        return turns, notes[0]
    return turns, "; ".join(f"in turn {place} {note}" for place, note in enumerate(notes, 1) if note)


def _piece(text: str, differs: bool) -> Markup:
    return Markup("<mark>{}</mark>").format(shown(text)) if differs else shown(text)


def _missing(request: Request, error: Exception) -> Response:
    detail = error.detail if isinstance(error, HTTPException) else str(error)
    status = error.status_code if isinstance(error, HTTPException) else 500
    return page(request, "message.html", status=status, title="Not here", text=detail)


def _damaged(request: Request, error: Exception) -> Response:
    return page(request, "message.html", status=422, title="Cannot be read", text=str(error))
