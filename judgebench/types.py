"""The nouns of JudgeBench and the protocols between its rooms.

Every record that reaches the disk is one of these structs, frozen and strictly decoded. `Item` → `Answer` → `Verdict` →
`Game` → `Rating` is the whole flow; nothing flows back. See docs/architecture.md.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal, Protocol, runtime_checkable

import msgspec

Kind = Literal["grade", "preference", "probability"]


class Record(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of all nouns: frozen, keyword-only, unknown fields refused."""


class Message(Record, frozen=True, kw_only=True):
    """One message of a chat."""

    role: Literal["system", "user", "assistant"]
    """Who speaks."""
    content: str
    """What is said."""


class Sampling(Record, frozen=True, kw_only=True):
    """How tokens are drawn."""

    temperature: float | None = 0.0
    """0 is greedy; None leaves the choice to the server (some models refuse the parameter)."""
    top_p: float | None = None
    """Nucleus mass in (0, 1]; None is off."""
    max_tokens: int = 1024
    """Most new tokens in one reply."""
    stop: tuple[str, ...] = ()
    """Texts at which generation ends; they are not part of the reply."""
    seed: int | None = None
    """Seed of this request; None where sampling is greedy or the backend decides."""
    logprobs: int = 0
    """Most probable tokens wanted at each token of the reply, with their log-probabilities; 0 asks for none."""
    json_schema: dict[str, Any] | None = None
    """JSON schema that the reply must follow, held by the decoder; None is free text."""
    one_of: tuple[str, ...] = ()
    """Texts of which the reply must be one, held by the decoder; empty is free text."""


class Usage(Record, frozen=True, kw_only=True):
    """What a reply cost."""

    prompt_tokens: int = 0
    """Tokens read."""
    completion_tokens: int = 0
    """Tokens written, reasoning included."""
    requests: int = 0
    """Calls made, retries included."""
    cached: int = 0
    """Replies that came out of the response cache: nothing was spent on them."""

    def __add__(self, other: Usage) -> Usage:
        """The two added field by field."""
        return Usage(
            prompt_tokens=self.prompt_tokens + other.prompt_tokens,
            completion_tokens=self.completion_tokens + other.completion_tokens,
            requests=self.requests + other.requests,
            cached=self.cached + other.cached,
        )


class Item(Record, frozen=True, kw_only=True):
    """One question of a suite."""

    id: str
    """Unique within the suite."""
    turns: tuple[str, ...]
    """What the user says, turn by turn, as shown to the model (a single question is a tuple of one)."""
    reference: tuple[str, ...] = ()
    """The right or a model answer, one per turn; empty where there is none."""
    choices: tuple[str, ...] = ()
    """Texts of the choices of a multiple-choice item, in order; empty elsewhere."""
    category: str = ""
    """Subject or kind, for break-downs; empty where the suite has none."""
    question: tuple[str, ...] = ()
    """The bare question per turn, for judges, where ``turns`` carries a prompt around it; empty means ``turns``."""
    shots: tuple[Message, ...] = ()
    """Messages that stand before the first turn: the few-shot examples given as turns."""
    sampling: Sampling | None = None
    """Sampling of this item's category where it differs from the suite's."""
    meta: dict[str, Any] = {}
    """Everything else that a scorer or a report may want (tests, entry point, difficulty ...)."""


class Request(Record, frozen=True, kw_only=True):
    """One call to a model, before any backend has seen it."""

    id: str
    """Unique among the requests of one ``generate`` call; the reply is matched by it."""
    messages: tuple[Message, ...]
    """The chat so far; the last message is the user's."""
    sampling: Sampling = Sampling()
    """How to draw."""
    suite: str = ""
    """Suite of the item asked about."""
    item: str = ""
    """Id of the item asked about."""
    turn: int = 1
    """1-based turn of the item that this call answers."""
    sample: int = 0
    """0-based sample index."""


class TokenLogprob(Record, frozen=True, kw_only=True):
    """One token of a reply and what could have stood in its place."""

    token: str
    """Its text."""
    logprob: float
    """Its natural log-probability under the model itself, before temperature."""
    top: tuple[tuple[str, float], ...] = ()
    """(text, log-probability) of the most probable tokens there, the best first."""


class Reply(Record, frozen=True, kw_only=True):
    """What came back for one request; a failure is a reply with ``error`` set, never an exception."""

    text: str = ""
    """The model's words, reasoning excluded."""
    finish: Literal["stop", "length", "filter", "error"] = "stop"
    """Why it ended: by itself or a stop text, at the token limit, by a content filter, or not at all."""
    reasoning: str = ""
    """Reasoning that the server returns apart from the text."""
    usage: Usage = Usage()
    """What it cost."""
    logprobs: tuple[TokenLogprob, ...] = ()
    """Each token of the reply as written, reasoning included; empty where not asked for or not given."""
    error: str = ""
    """``kind: detail`` where there is no reply (kinds: timeout, http, refused, torn, context, empty, replay, model)."""


class ChoiceRequest(Record, frozen=True, kw_only=True):
    """One question whose choices a model is to compare by log-probability."""

    id: str
    """Unique among the requests of one ``loglikelihood`` call."""
    messages: tuple[Message, ...]
    """The chat so far; the last message is the user's."""
    choices: tuple[str, ...]
    """Texts that could be the reply: letters, or the choices themselves."""
    lead: str = " "
    """Stands between prompt and choice, where the prompt does not end in white space or a reply begins anew."""
    suite: str = ""
    """Suite of the item asked about."""
    item: str = ""
    """Id of the item asked about."""


class ChoiceScore(Record, frozen=True, kw_only=True):
    """How probable one choice is after the prompt."""

    logprob: float
    """Sum of the natural log-probabilities of its tokens."""
    tokens: int
    """Tokens summed over."""
    bytes: int
    """UTF-8 bytes of its text."""


class ChoiceReply(Record, frozen=True, kw_only=True):
    """What came back for one choice request; a failure is a reply with ``error`` set."""

    choices: tuple[ChoiceScore, ...] = ()
    """One for each choice, in order; empty where there is an error."""
    usage: Usage = Usage()
    """What it cost."""
    error: str = ""
    """``kind: detail``, see `Reply.error`."""


class Model(Record, frozen=True, kw_only=True):
    """Who answers or judges, as written ``[name=]backend/id``."""

    name: str
    """Short name used in every record."""
    backend: str
    """Name of a backend."""
    id: str
    """What the backend loads: a folder, a hub name, an endpoint's model name, a file."""
    options: dict[str, Any] = {}
    """What ``--option NAME.key=value`` gave, checked by the backend."""


class Answer(Record, frozen=True, kw_only=True):
    """A model's reply to an item; fewer turns than the item has is unfinished; the last line of a key counts."""

    suite: str
    """Name of the suite."""
    item: str
    """Id of the item."""
    model: str
    """Name of the model."""
    sample: int = 0
    """0-based sample index."""
    turns: tuple[str, ...] = ()
    """The model's words, one per turn of the item."""
    finish: tuple[str, ...] = ()
    """Why each turn ended, see `Reply.finish`."""
    reasoning: tuple[str, ...] = ()
    """Reasoning per turn where a server returns it apart; empty where none did."""
    usage: Usage = Usage()
    """Sum over the turns."""
    error: str = ""
    """Why there is no (whole) answer; empty when all is well."""
    choices: tuple[ChoiceScore, ...] = ()
    """Log-probabilities of the item's choices, where asked for; a turn whose ``finish`` is ``choice`` is their best."""
    choices_error: str = ""
    """Why there are none where they were asked for."""

    @property
    def key(self) -> tuple[str, str, str, int]:
        """Resume key: (suite, item, model, sample)."""
        return self.suite, self.item, self.model, self.sample

    @property
    def truncated(self) -> bool:
        """True where a turn ended at the token limit."""
        return "length" in self.finish


class Verdict(Record, frozen=True, kw_only=True):
    """One judgement, once: an exact score, a rubric grade, a preference, or a person's label."""

    suite: str
    """Name of the suite."""
    item: str
    """Id of the item."""
    turn: int = 1
    """1-based turn judged; 0 is the whole conversation."""
    rubric: str = ""
    """``name@hash`` of the rubric; empty for exact scorers."""
    judge: str
    """Name of the judge: a model's name, ``baseline/NAME``, ``exact@SCORER`` or ``human@NAME``."""
    dimension: str = "overall"
    """What was judged."""
    shown: tuple[tuple[str, int], ...]
    """(model, answer sample) in the order shown; one entry for pointwise."""
    sample: int = 0
    """0-based sample of the judge."""
    kind: Kind = "grade"
    """What the scores are."""
    scores: tuple[float, ...] = ()
    """One per entry of ``shown``, as printed, on ``scale``; empty is unscored."""
    scale: tuple[float, float] = (0.0, 1.0)
    """Lowest and highest value a score can take."""
    reply: str = ""
    """The judge's own words, or what an exact scorer extracted."""
    error: str = ""
    """Why it is unscored; or, beside a score of 0 of an exact scorer, ``unextracted`` and why."""
    usage: Usage = Usage()
    """What it cost."""
    seen: str = ""
    """Short hash of the answers judged: a verdict stands only while they are what they were; empty is not known."""

    @property
    def key(self) -> tuple[Any, ...]:
        """Identity: (suite, item, turn, rubric, judge, dimension, shown, sample)."""
        return self.suite, self.item, self.turn, self.rubric, self.judge, self.dimension, self.shown, self.sample


class Game(Record, frozen=True, kw_only=True):
    """What all orders and samples of one pair say together, after a swap policy."""

    suite: str
    """Name of the suite."""
    item: str
    """Id of the item."""
    turn: int
    """1-based turn, 0 the whole conversation."""
    rubric: str
    """``name@hash``."""
    judge: str
    """Name of the judge."""
    dimension: str
    """What was judged."""
    left: str
    """Model whose score this is."""
    right: str
    """The other model."""
    score: float
    """Left's share of the point, in [0, 1]: 1 win, 0.5 tie, 0 loss, between where orders or samples disagree."""
    consistent: bool = True
    """False where the orders name different winners (any change of win, tie or loss)."""
    category: str = ""
    """The item's category."""


class Rating(Record, frozen=True, kw_only=True):
    """A number with its uncertainty."""

    model: str
    """Whom it rates."""
    dimension: str
    """Along what."""
    method: str
    """How it was computed: accuracy, grade, win-rate, bradley-terry, online-elo."""
    value: float | None
    """The number; None where it is undefined, with the reason in ``note``."""
    low: float | None = None
    """Lower end of the 95 % interval (one shuffle sd below for online-elo); None where undefined."""
    high: float | None = None
    """Upper end."""
    n: int = 0
    """Scores that entered."""
    clusters: int = 0
    """Questions that entered: the sampling unit."""
    suite: str = ""
    """Suite it is over; empty for all."""
    judge: str = ""
    """Judge or scorer it rests on."""
    rubric: str = ""
    """``name@hash``; empty for exact scores."""
    note: str = ""
    """What a reader must know: separation, single question, mean of dimensions ..."""


class Reading(Record, frozen=True, kw_only=True):
    """What a scorer or judge read for one dimension."""

    scores: tuple[float, ...] = ()
    """One per answer shown; empty is unscored."""
    error: str = ""
    """Why it is unscored, or why an exact 0 is unextracted."""
    reply: str = ""
    """The words it was read from, or the text extracted."""
    kind: Kind = "grade"
    """What the scores are."""
    scale: tuple[float, float] = (0.0, 1.0)
    """Lowest and highest value."""


class Matchup(Record, frozen=True, kw_only=True):
    """One thing to judge: an item, one turn of it, and the answers in the order shown."""

    suite: str
    """Name of the suite."""
    item: Item
    """The question."""
    turn: int
    """1-based turn judged; 0 the whole conversation."""
    shown: tuple[Answer, ...]
    """Answers in the order shown: one for pointwise, two for pairwise."""
    dimensions: tuple[str, ...]
    """Dimensions that one deliberation gives."""
    sample: int = 0
    """0-based sample of the judge."""
    sampling: Sampling = Sampling()
    """How the judge draws."""


@runtime_checkable
class Backend(Protocol):
    """Text in, text out. Built as ``Class(model)``; a wrong option or address raises `UserError` here, before any call.

    Class attribute ``Options``: a msgspec struct of the options it takes. Class attribute ``provides``: what of
    ``Sampling`` it does beyond drawing text, of ``logprobs``, ``json_schema`` and ``one_of``; none where it is missing.
    """

    def generate(self, requests: Iterable[Request]) -> Iterator[tuple[Request, Reply]]:
        """Each request with its reply, in order of completion: one reply per request, none lost, errors as data.

        Raises:
            BackendError: nothing can be answered at all (wrong key, unknown model, nobody listens).
        """
        ...

    def describe(self) -> dict[str, Any]:
        """What changes an answer or explains it: versions, template, device; ``notes`` are said aloud to the user."""
        ...

    def close(self) -> None:
        """Frees what is held; safe to call twice."""
        ...


@runtime_checkable
class ComparesChoices(Protocol):
    """A backend that knows log-probabilities; beside `Backend`, for those that can."""

    def loglikelihood(self, requests: Iterable[ChoiceRequest]) -> Iterator[tuple[ChoiceRequest, ChoiceReply]]:
        """Each request with its reply, in order of completion: one reply per request, none lost, errors as data.

        Raises:
            BackendError: nothing can be answered at all.
        """
        ...


class Scorer(Protocol):
    """Scores an answer to a closed item exactly. Built as ``Class(**options)``; pure, but for running code."""

    name: str
    workers: int

    def score(self, item: Item, answer: Answer) -> Mapping[str, Reading]:
        """Dimension → reading, a score in 0…1 each; nothing extracted is a 0 with ``error`` set. Thread-safe."""
        ...


class Judge(Protocol):
    """Deliberates over one matchup without calling any model itself.

    ``deliberate`` yields lists of requests, is sent the list of their replies in the same order, and returns
    dimension → reading. A `Request` is answered by a `Reply`, a `ChoiceRequest` by a `ChoiceReply`.
    The stage that drives it owns the backend, the budget, the resume and the faults.
    """

    name: str
    rubric: str
    mode: str

    def deliberate(
        self, matchup: Matchup
    ) -> Generator[Sequence[Request | ChoiceRequest], list[Any], Mapping[str, Reading]]:
        """The conversation with the judge model, as a generator."""
        ...


class RatingMethod(Protocol):
    """Games in, ratings out; a pure function."""

    def __call__(self, games: Sequence[Game]) -> list[Rating]:
        """Ratings of every model per (suite, judge, rubric, dimension) in the games."""
        ...
