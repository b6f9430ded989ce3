"""The page on which people label a run: one task after the other, blind, by mouse or keyboard."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import parse_qs, quote

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from judgebench.errors import UserError
from judgebench.stages.label_agreement import agreement
from judgebench.stages.label_guides import NOT_APPLICABLE
from judgebench.stages.label_verdicts import SKIP_REASONS
from judgebench.stages.labels import Labels
from judgebench.web.pages import MOST_CHARACTERS, page, plain, script, style, whole_number


def annotate_app(people: Mapping[str, Labels]) -> Starlette:
    """The app in which the given annotators label.

    Args:
        people: name, without ``human@`` → labels.
    """

    def of(request: Request) -> Labels:
        name = request.path_params["name"]
        if name not in people:
            raise HTTPException(404, f"nobody called {name!r} labels here")
        people[name].refresh()
        return people[name]

    def number_of(request: Request, labels: Labels) -> int:
        number = whole_number(request.path_params["number"], 0) - 1
        if not 0 <= number < len(labels.plan.tasks):
            raise HTTPException(404, f"there is no task {request.path_params['number'][:20]}")
        return number

    def home(request: Request) -> Response:
        for labels in people.values():
            labels.refresh()
        rows = [(name, labels.counts(), labels.plan) for name, labels in people.items()]
        found = agreement(list(people.values())) if len(people) > 1 else []
        return page(request, "annotators.html", rows=rows, agreement=found)

    def start(request: Request) -> Response:
        labels = of(request)
        number = labels.next_open()
        return _go(request, labels, number)

    def task(request: Request) -> Response:
        labels = of(request)
        number = number_of(request, labels)
        item, plan, one = labels.item(number), labels.plan, labels.plan.tasks[number]
        questions = (item.question or item.turns)[: one.turn or None]
        talks = [answer.turns[: one.turn or None] for answer in labels.answers(number)]
        fields = labels.fields(number)
        return page(
            request, "task.html", name=request.path_params["name"], number=number, guide=plan.guide, fields=fields,
            questions=questions, talks=talks, counts=labels.counts(), state=labels.state(number),
            given=labels.given(number), skipped=labels.skip_reason(number), reasons=SKIP_REASONS,
            total=len(plan.tasks), last=labels.last(), told=plan.guide.told(item),
            reference=item.reference if "{reference}" in plan.guide.prompt else (), longest=MOST_CHARACTERS,
            keys=_keys([choice.code for choice in plan.guide.choices]),
            at_once=len(fields) == 1 and bool(plan.guide.choices),
        )  # fmt: skip

    def text(request: Request) -> Response:
        labels = of(request)
        number = number_of(request, labels)
        turn, side = (whole_number(request.query_params.get(key, ""), 0) for key in ("turn", "side"))
        talks = [labels.item(number).question or labels.item(number).turns]
        talks += [answer.turns for answer in labels.answers(number)]
        if side >= len(talks) or not 1 <= turn <= len(talks[side]):
            raise HTTPException(404, "there is no such text")
        return plain(talks[side][turn - 1])

    def done(request: Request) -> Response:
        labels = of(request)
        tasks = [
            (", ".join(labels.given(number).values()), labels.skip_reason(number))
            for number in range(len(labels.plan.tasks))
        ]
        return page(request, "labelled.html", name=request.path_params["name"], counts=labels.counts(), tasks=tasks,
                    how=labels.plan.how, last=labels.last())  # fmt: skip

    async def post(request: Request) -> Response:
        labels = of(request)
        number = number_of(request, labels)
        form = parse_qs((await request.body()).decode("utf-8", "replace"), keep_blank_values=True)
        sent = {key: values[-1] for key, values in form.items()}
        given = {key.removeprefix("label:"): value for key, value in sent.items() if key.startswith("label:")}
        try:
            if "skip" in sent:
                reason = sent.get("other", "").strip() or sent.get("reason", "")
                await run_in_threadpool(labels.skip, number, reason, was=sent.get("was"))
            else:
                await run_in_threadpool(labels.label, number, given, was=sent.get("was"))
        except UserError as error:
            return _not_saved(request, str(error))
        return _go(request, labels, labels.next_open(number + 1))

    async def undo(request: Request) -> Response:
        labels = of(request)
        sent = parse_qs((await request.body()).decode("utf-8", "replace"), keep_blank_values=True)
        try:
            number = await run_in_threadpool(labels.undo, was=sent["last"][-1] if "last" in sent else None)
        except UserError as error:
            return _not_saved(request, str(error))
        return _go(request, labels, labels.next_open() if number is None else number)

    return Starlette(
        routes=[
            Route("/", home),
            Route("/page.css", style),
            Route("/page.js", script),
            Route("/{name}/", start),
            Route("/{name}/done", done),
            Route("/{name}/undo", undo, methods=["POST"]),
            Route("/{name}/{number}", task, methods=["GET"]),
            Route("/{name}/{number}", post, methods=["POST"]),
            Route("/{name}/{number}/text", text),
        ],
        exception_handlers={HTTPException: _missing, UserError: _damaged},
    )


def _go(request: Request, labels: Labels, number: int | None) -> Response:
    """On to a task, or to the end where there is none; a script is told where, a plain form is sent there."""
    name = quote(request.path_params["name"])
    where = f"{request.scope['root_path']}/{name}/{'done' if number is None else number + 1}"
    if "application/json" in request.headers.get("accept", ""):
        return JSONResponse({"next": where})
    return RedirectResponse(where, status_code=303)


def _not_saved(request: Request, why: str) -> Response:
    if "application/json" in request.headers.get("accept", ""):
        return JSONResponse({"error": why}, status_code=409)
    return page(request, "message.html", status=409, title="Not saved", text=why)


def _keys(codes: list[str]) -> dict[str, str]:
    """Code → the key that gives it: itself where it is one sign, 0 for a 10 where no label is 0, / for N/A."""
    keys = {code: code.lower() for code in codes if len(code) == 1}
    if "10" in codes and "0" not in codes:
        keys["10"] = "0"
    if NOT_APPLICABLE in codes:
        keys[NOT_APPLICABLE] = "/"
    return keys


def _damaged(request: Request, error: Exception) -> Response:
    return page(request, "message.html", status=422, title="Cannot be read", text=str(error))


def _missing(request: Request, error: Exception) -> Response:
    detail = error.detail if isinstance(error, HTTPException) else str(error)
    status = error.status_code if isinstance(error, HTTPException) else 500
    return page(request, "message.html", status=status, title="Not here", text=detail)
