"""Rubric files: one YAML that holds a whole judge prompt."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Protocol

import msgspec

from judgebench import plugins
from judgebench.errors import FileError, UserError, did_you_mean
from judgebench.files import line_of, read_yaml, shipped
from judgebench.prompts import hole_names, holes, unknown_hole

Mode = Literal["pointwise", "pairwise", "ordinal", "checklist"]

_ANSWERS: dict[str, set[str]] = {
    "pointwise": {"answer", "conversation"},
    "ordinal": {"answer", "conversation"},
    "checklist": {"answer", "conversation", "criterion"},
    "pairwise": {"answer_a", "answer_b", "conversation_a", "conversation_b"},
}
_SHARED = {"question", "reference", "category", "dimensions", "format", "fence"}


class Drawn(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a rubric's judge draws unless the command line says otherwise; what is None is the harness's default."""

    samples: Annotated[int, msgspec.Meta(ge=1)] | None = None
    """Verdicts on each matchup; default 1."""
    temperature: Annotated[float, msgspec.Meta(ge=0)] | None = None
    """Sampling temperature; default 0."""
    max_tokens: Annotated[int, msgspec.Meta(ge=1)] | None = None
    """Most new tokens of a reply; default 2048."""


class Label(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One verdict that a pairwise judge may print."""

    margin: Annotated[float, msgspec.Meta(ge=-1000, le=1000)]
    """By how much the answer shown first is ahead: 1 a win, 0 a tie, -1 a loss, 3 and -3 what is to weigh thrice."""
    means: str = ""
    """What the judge is told that it means."""


class Example(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One judgement shown to the judge before its own: the prompt filled with these, and the reply wanted."""

    question: str
    """What was asked."""
    answer: str = ""
    """The answer, where one is judged."""
    answer_a: str = ""
    """The first of two."""
    answer_b: str = ""
    """The second of two."""
    reference: str = ""
    """The reference, where the prompt shows one."""
    reply: str
    """What a judge should have replied, its verdict included, in the rubric's own form."""


class Rubric(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a judge is asked, in which form it answers, and on which scale."""

    name: str
    """Name used in records and on the command line."""
    version: str = "1"
    """For people; the hash of the content is what identifies a rubric."""
    about: str = ""
    """Where it comes from, for people."""
    mode: Mode
    """How many answers are shown: one (pointwise, ordinal, checklist) or two (pairwise)."""
    judge: str = ""
    """Who asks and reads, by name in the table of judges; empty is the plain one of the mode."""
    sampling: Drawn = Drawn()
    """How it draws unless the command line says otherwise."""
    dimensions: dict[str, str] = msgspec.field(default_factory=lambda: {"overall": "the overall quality of the answer"})
    """Dimension → what it asks."""
    dimensions_from: str = ""
    """Field of an item's meta that lists which of the dimensions are judged there; empty is all of them."""
    ask: Literal["each", "together", "chat"] = "together"
    """One call for each dimension or one for all; of a checklist, one for each question or a chat that grows."""
    scale: tuple[float, float] = (1.0, 10.0)
    """Lowest and highest grade of a pointwise rubric."""
    levels: dict[int, str] = {}
    """Grade → meaning; required for ordinal rubrics, where the best level is printed as A, the next as B ..."""
    verdicts: dict[str, Label] = {}
    """What a pairwise judge may print instead of A, B and C."""
    checklist: str | tuple[str, ...] = ()
    """The questions of a checklist, or the field of an item's meta that lists them."""
    from_item: dict[str, str] = {}
    """Hole → field of an item's meta (dots go into mappings) that fills it."""
    examples: tuple[Example, ...] = ()
    """Judgements shown before the one that is asked for."""
    steps: dict[str, str] = {}
    """Name → prompt of each further step, where its judge takes several."""
    options: dict[str, Any] = {}
    """What its judge must know besides, such as the folder of its sources; ``--option RUBRIC.KEY=VALUE`` wins."""
    reason_first: bool = True
    """Whether the judge explains before it gives its verdict."""
    ties: bool = True
    """Whether a pairwise judge may call a tie."""
    form: Literal["tokens", "json"] = "tokens"
    """Verdicts in double brackets, or one JSON object."""
    structured: bool = False
    """Whether the decoder holds the reply to the form, where the backend can."""
    not_applicable: bool = False
    """Whether the judge may print N/A: that verdict is kept apart and in no mean."""
    reask: bool = False
    """Whether a judge whose reply cannot be read is asked once more."""
    tokens: tuple[str, str] = ("m", "M")
    """The two tokens whose probabilities are compared by the judge ``label-probability``, for the first and second."""
    system: str = ""
    """System message; empty sends none."""
    prompt: str
    """The user message with its {holes}."""
    pattern: str = ""
    """Regular expression of the verdict where the prompt has an output form of its own instead of {format}."""

    @property
    def id(self) -> str:
        """``name@hash``, the hash over everything that reaches the judge or reads its reply.

        Keys at their default are left out, so that a key which a later version adds changes no hash. How it is drawn is
        not part of it: that is part of the verdicts' fingerprint, as the command line may change it.
        """
        fields = msgspec.structs.fields(self)
        content = {field.name: getattr(self, field.name) for field in fields if field.name not in _NOT_HASHED}
        told = {name: value for name, value in content.items() if value != _default(name)}
        encoded = msgspec.json.encode(msgspec.to_builtins(told, str_keys=True), order="sorted")
        return f"{self.name}@{hashlib.sha256(encoded).hexdigest()[:12]}"

    @property
    def holes(self) -> frozenset[str]:
        """Names of the holes in the prompt."""
        return hole_names(self.prompt)

    @property
    def needs_reference(self) -> bool:
        """True where an item without a reference cannot be judged by it."""
        return "reference" in self.holes and self.judge != "own-reference"

    @property
    def made_by(self) -> str:
        """Name of its judge in the table of judges."""
        return self.judge or ("checklist" if self.mode == "checklist" else "rubric")


_NOT_HASHED = ("about", "version", "sampling")


def _default(name: str) -> Any:
    (field,) = (field for field in msgspec.structs.fields(Rubric) if field.name == name)
    return field.default_factory() if field.default_factory is not msgspec.NODEFAULT else field.default


def load_rubric(name: str) -> Rubric:
    """The rubric of a shipped name or of a file's path, checked.

    Raises:
        FileError: the file holds a mistake; names file, line, key, what was found and what is allowed.
        UserError: nothing has that name.
    """
    path = Path(name)
    if path.suffix in (".yaml", ".yml") or "/" in name:
        if not path.is_file():
            raise UserError(f"no rubric file {name}")
        return check_rubric(path)
    path = shipped("rubrics") / f"{name}.yaml"
    if not path.is_file():
        raise UserError(f"no rubric is called {name!r}: {did_you_mean(name, list_rubrics())}; or give a file's path")
    return check_rubric(path)


def with_options(rubric: Rubric, options: Mapping[str, Any]) -> Rubric:
    """The rubric with what ``--option RUBRIC.KEY=VALUE`` says laid over its own options; its hash tells the two apart.

    Args:
        rubric: as its file has it.
        options: ``NAME.KEY`` → value; those of other names are passed over.
    """
    head = f"{rubric.name}."
    given = {key.removeprefix(head): value for key, value in options.items() if key.rpartition(".")[0] + "." == head}
    return msgspec.structs.replace(rubric, options={**rubric.options, **given}) if given else rubric


def list_rubrics() -> list[str]:
    """Names of the shipped rubrics."""
    return sorted(path.stem for path in shipped("rubrics").glob("*.yaml"))


def check_rubric(path: Path) -> Rubric:
    """The rubric in a file, once its holes, scale, levels and pattern are found to fit its mode.

    Raises:
        FileError: the first mistake.
    """
    rubric = read_yaml(path, Rubric)

    def fail(key: str, message: str, offset: int = 0) -> FileError:
        return FileError(path, message, line=line_of(path, (key,), offset), key=key)

    _check_names(rubric, fail)
    _check_prompt(rubric, fail)
    _check_scale(rubric, fail)
    _check_fit(rubric, fail)
    if rubric.pattern:
        _check_pattern(rubric, fail)
    return rubric


class Fail(Protocol):
    """Makes the error of a key."""

    def __call__(self, key: str, message: str, offset: int = 0) -> FileError:
        """The error, with its line."""
        ...


def _check_names(rubric: Rubric, fail: Fail) -> None:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", rubric.name):
        raise fail("name", f"{rubric.name!r} is not a name; letters, digits, '.', '_' and '-' are allowed")
    if not rubric.dimensions:
        raise fail("dimensions", "is empty; name at least one dimension")
    for name in rubric.dimensions:
        if not re.fullmatch(r"\w[\w -]*", name):
            raise fail("dimensions", f"{name!r} is not a name; letters, digits, spaces, '_' and '-' are allowed")
    judges = [name for name in plugins.names("judges") if not name.startswith("baseline/")]
    if rubric.judge and rubric.judge not in judges:
        raise fail("judge", f"no judge is called {rubric.judge!r}: {did_you_mean(rubric.judge, judges)}")
    for name in rubric.from_item:
        if not name.isidentifier() or name in _SHARED | set().union(*_ANSWERS.values()):
            raise fail("from_item", f"{name!r} cannot name a hole of one's own: it is no name, or taken")


def _check_prompt(rubric: Rubric, fail: Fail) -> None:
    if holes(rubric.system):
        raise fail("system", f"has the hole {{{holes(rubric.system)[0][0]}}}: holes are filled in 'prompt' only")
    allowed = _ANSWERS[rubric.mode] | _SHARED | set(rubric.from_item)
    found = holes(rubric.prompt)
    for name, offset in found:
        if name not in allowed:
            raise fail("prompt", unknown_hole(name, allowed), offset)
    names = {name for name, _ in found}
    for name in rubric.from_item:
        if name not in names:
            raise fail("from_item", f"the prompt has no hole {{{name}}}")
    shows = (
        [("answer", "conversation")]
        if rubric.mode != "pairwise"
        else [("answer_a", "conversation_a"), ("answer_b", "conversation_b")]
    )
    for pair in shows:
        if not names & set(pair):
            raise fail("prompt", f"shows no answer: it needs {{{pair[0]}}} or {{{pair[1]}}}")
    if "format" in names and rubric.pattern:
        raise fail("prompt", "needs either the hole {format} or a 'pattern' that reads its own form, and not both")
    if rubric.made_by in ("rubric", "own-reference") and "format" not in names and not rubric.pattern:
        raise fail("prompt", "needs either the hole {format} or a 'pattern' that reads its own form, and not both")
    if rubric.mode == "checklist" and "criterion" not in names:
        raise fail("prompt", "asks no question of the checklist: it needs {criterion}")


def _check_scale(rubric: Rubric, fail: Fail) -> None:
    if rubric.mode == "ordinal" and len(rubric.levels) < 2:
        raise fail("levels", "an ordinal rubric needs at least two levels")
    if rubric.mode == "ordinal" and len(rubric.levels) > 26:
        raise fail("levels", f"{len(rubric.levels)} levels; at most 26 can be lettered")
    if not rubric.scale[0] < rubric.scale[1]:
        raise fail("scale", f"{list(rubric.scale)} is not [lowest, highest]")
    if rubric.mode != "pairwise" and not rubric.ties:
        raise fail("ties", f"has no meaning for a rubric of mode {rubric.mode}")
    if rubric.mode == "ordinal" and rubric.scale != (1.0, 10.0):
        raise fail("scale", "has no meaning for an ordinal rubric: its levels are its scale")
    if rubric.mode in ("pairwise", "checklist") and rubric.levels:
        raise fail("levels", f"have no meaning for a {rubric.mode} rubric")
    for level in rubric.levels:
        if rubric.mode == "pointwise" and not rubric.scale[0] <= level <= rubric.scale[1]:
            raise fail("levels", f"{level} is outside the scale {rubric.scale[0]:g} to {rubric.scale[1]:g}")


def _check_fit(rubric: Rubric, fail: Fail) -> None:
    """Keys that only some modes or forms know."""
    if rubric.verdicts and rubric.mode != "pairwise":
        raise fail("verdicts", f"have no meaning for a rubric of mode {rubric.mode}")
    if rubric.verdicts and not rubric.ties:
        raise fail("ties", "has no meaning beside 'verdicts': leave the tie out of those")
    margins = [label.margin for label in rubric.verdicts.values()]
    if margins and not min(margins) < 0 < max(margins):
        raise fail("verdicts", "need a margin above 0 and one below: each answer must be able to win")
    if (rubric.mode == "checklist") != bool(rubric.checklist):
        raise fail("checklist", "and mode: checklist come together: the questions, or the items' field that lists them")
    if rubric.ask == "chat" and rubric.mode != "checklist":
        raise fail("ask", "chat has no meaning but for a checklist; allowed here: each, together")
    if rubric.dimensions_from and (rubric.mode != "pointwise" or rubric.ask != "together"):
        raise fail("dimensions_from", "is for pointwise rubrics that ask for their dimensions together")
    if rubric.form == "json" and (rubric.pattern or rubric.mode == "checklist"):
        raise fail("form", "json has no meaning beside a pattern or for a checklist")
    if rubric.not_applicable and rubric.form != "json":
        raise fail("not_applicable", "needs form: json")
    if rubric.structured and rubric.form != "json" and (rubric.reason_first or rubric.pattern):
        raise fail("structured", "needs form: json, or reason_first: false and no pattern, where the verdict is all")
    if rubric.structured and rubric.form != "json" and len(rubric.dimensions) > 1 and rubric.ask == "together":
        raise fail("structured", "needs form: json where several dimensions are asked together")
    if rubric.reask and rubric.made_by in ("checklist", "label-probability", "scale-probability"):
        raise fail("reask", f"has no meaning for the judge {rubric.made_by}")
    for key in ("steps", "options"):
        if getattr(rubric, key) and not rubric.judge:
            raise fail(key, "are for a judge that knows them, and no 'judge' is named")
    if rubric.examples and rubric.mode == "checklist":
        raise fail("examples", "have no meaning for a checklist")
    if rubric.tokens[0] == rubric.tokens[1] or not all(token.strip() for token in rubric.tokens):
        raise fail("tokens", f"{list(rubric.tokens)} are not two different tokens")


def _check_pattern(rubric: Rubric, fail: Fail) -> None:
    try:
        groups = set(re.compile(rubric.pattern).groupindex)
    except re.error as error:
        raise fail("pattern", f"is not a regular expression: {error}") from error
    forms = [{"score_a", "score_b"}, {"verdict"}] if rubric.mode == "pairwise" else [{"score"}]
    if rubric.mode in ("ordinal", "checklist"):
        forms = [{"verdict"}]
    if not any(form <= groups for form in forms):
        wanted = " or ".join(" and ".join(f"(?P<{name}>…)" for name in sorted(form)) for form in forms)
        raise fail("pattern", f"needs {wanted}")
    if len(rubric.dimensions) > 1 and rubric.ask == "together" and "dimension" not in groups:
        raise fail("pattern", "several dimensions asked together need a group (?P<dimension>…), or ask: each")
