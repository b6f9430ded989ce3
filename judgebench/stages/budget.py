"""Limits on what a run may spend: calls are held back once the next ones would pass them, and the command ends."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, TypeVar

from judgebench.backends.responses import Speed
from judgebench.errors import BudgetReached, UserError
from judgebench.runs import Run
from judgebench.stages.prices import FREE, Price, PriceTable, cost_of, keep_prices, models_of, read_prices, spent
from judgebench.stages.settings import Settings
from judgebench.types import Backend, ChoiceReply, ChoiceRequest, ComparesChoices, Model, Reply, Request, Usage

CHARACTERS_A_TOKEN = 4.0
"""Rough size of a token of English text, until a model's own replies tell its size, or where a server never says."""

MARGIN = 1.25
"""A call under way is counted as the largest one seen so far, times this."""

Asked = TypeVar("Asked", Request, ChoiceRequest)
Said = TypeVar("Said", Reply, ChoiceReply)


class Budget:
    """What a run has spent, and the most that it may.

    The limits are on the run as a whole, whatever was spent on it by earlier commands. A call is made only while what
    was spent, what the calls under way are expected to take and what this one is expected to take stay within them. A
    call is expected to take no more than the largest one of the same model so far and a quarter, or after an earlier
    command twice the mean; before there was any, as much as its ``max_tokens`` allow, and of a run that has spent
    nothing yet the first call is made alone if that would not fit. So a limit is passed by no more than what the calls
    under way take above that.

    Args:
        prices: what tokens cost; None where nobody said.
        max_cost: most money; None is no limit.
        max_tokens: most tokens, read and written; None is no limit.
        tokens: those spent before.
        cost: money spent before.
        before: name → what earlier commands used of a model or judge.
    """

    def __init__(
        self, prices: PriceTable | None = None, max_cost: float | None = None, max_tokens: int | None = None,
        *, tokens: int = 0, cost: float = 0.0, before: Mapping[str, Usage] | None = None,
    ) -> None:  # fmt: skip
        self.prices, self.max_cost, self.max_tokens = prices, max_cost, max_tokens
        self.tokens, self.cost = tokens, cost
        self.before = before or {}
        self.reserved_tokens, self.reserved_cost = 0.0, 0.0

    @property
    def limited(self) -> bool:
        """Whether there is any limit."""
        return self.max_cost is not None or self.max_tokens is not None

    def allows(self, tokens: float, cost: float) -> bool:
        """Whether a call of this size fits beside those under way."""
        return (self.max_tokens is None or self.tokens + self.reserved_tokens + tokens <= self.max_tokens) and (
            self.max_cost is None or self.cost + self.reserved_cost + cost <= self.max_cost
        )

    def reserve(self, tokens: float, cost: float) -> None:
        """Counts a call as under way; negative amounts take it back."""
        self.reserved_tokens += tokens
        self.reserved_cost += cost

    def spend(self, usage: Usage, price: Price | None) -> None:
        """Counts what a reply took."""
        self.tokens += usage.prompt_tokens + usage.completion_tokens
        self.cost += 0.0 if price is None else price.of(usage)

    def reached(self) -> BudgetReached:
        """The line that says which limit ended the command."""
        said = []
        if self.max_tokens is not None:
            said.append(f"--max-tokens-total {self.max_tokens} ({self.tokens} tokens used by this run)")
        if self.max_cost is not None and self.prices is not None:
            currency = self.prices.currency
            said.append(f"--max-cost {self.max_cost:g} ({self.cost:.4g} {currency} spent by this run)")
        return BudgetReached(
            f"the next call would pass {' or '.join(said)}; all that was answered is kept, and with a higher limit the "
            "same command goes on"
        )


def budget_of(run: Run, settings: Settings) -> Budget:
    """The limits of the settings with what the run has spent so far; prices are noted in the manifest.

    Raises:
        UserError: ``--max-cost`` without prices, or somebody who was or is to be asked has none.
        FileError: a mistake in the file of prices.
    """
    table = read_prices(settings.prices) if settings.prices else None
    known = models_of(run, settings) if table is not None else {}
    if table is not None:
        keep_prices(run, table, known)
    if settings.max_cost is None and settings.max_tokens_total is None:
        return Budget(table)
    usage = spent(run)
    tokens = sum(used.prompt_tokens + used.completion_tokens for used in usage.values())
    cost = cost_of(usage, table, known) if table is not None and settings.max_cost is not None else 0.0
    before = {name: used for (_, name), used in usage.items()}
    return Budget(table, settings.max_cost, settings.max_tokens_total, tokens=tokens, cost=cost, before=before)


def limits(settings: Settings) -> Budget:
    """The limits of the settings, for what keeps no record of what it spent before.

    Raises:
        FileError: a mistake in the file of prices.
    """
    table = read_prices(settings.prices) if settings.prices else None
    return Budget(table, settings.max_cost, settings.max_tokens_total)


def refuse_unpriced(models: Iterable[Model], settings: Settings) -> None:
    """Nothing, when everybody who is to be asked has a price, or no limit needs one.

    Raises:
        UserError: one has none.
        FileError: a mistake in the file of prices.
    """
    if not settings.prices:
        return
    table = read_prices(settings.prices)
    for model in models:
        if settings.max_cost is not None and table.of(model) is None:
            raise _unpriced(model)


def _unpriced(model: Model) -> UserError:
    return UserError(
        f"--max-cost needs every price, and the table of --prices has none for {model.backend}/{model.id} (named "
        f"{model.name!r}); give 0 where nothing is paid"
    )


class MeteredBackend:
    """A backend whose calls are counted against a budget, and timed.

    Args:
        inner: who answers.
        model: whose backend it is.
        budget: what may be spent.

    ``not_kept`` says why its replies are not in the response cache, where they are not.

    Raises:
        UserError: the budget limits money, and the model has no price.
    """

    def __init__(self, inner: Backend, model: Model, budget: Budget) -> None:
        self.inner, self.model, self.budget = inner, model, budget
        self.price = None if budget.prices is None else budget.prices.of(model)
        if budget.max_cost is not None and self.price is None:
            raise _unpriced(model)
        self._limited = budget.limited and model.backend not in FREE
        self.usage = Usage()
        self.not_kept = ""
        self.answered = 0
        self.uncounted = 0
        self.seconds = 0.0
        self._tokens_a_character = 0.0
        before = budget.before.get(model.name, Usage())
        self._most_written = 2 * before.completion_tokens / (before.requests or 1)

    def generate(self, requests: Iterable[Request]) -> Iterator[tuple[Request, Reply]]:
        """Each request with its reply, as the backend's own, while the budget lasts.

        Raises:
            BackendError: as the backend.
            BudgetReached: the next call would pass a limit; those under way were waited for and given out.
        """
        return self._metered(requests, self.inner.generate)

    def describe(self) -> dict[str, Any]:
        """The backend's own description, with a note where the limits went by estimates."""
        said = self.inner.describe()
        if not self.uncounted:
            return said
        note = f"{self.uncounted} replies came without their tokens: the limits counted 4 characters as one"
        return {**said, "notes": [*said.get("notes", ()), note]}

    def close(self) -> None:
        """Closes the backend."""
        self.inner.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def speed(self) -> Speed | None:
        """What the calls took; None where none was answered."""
        if not self.answered or not self.seconds:
            return None
        return Speed(
            self.answered, self.seconds, self.usage.prompt_tokens, self.usage.completion_tokens,
            datetime.now(UTC).strftime("%Y-%m-%d"),
        )  # fmt: skip

    def _metered(
        self, requests: Iterable[Asked], ask: Callable[[Iterable[Asked]], Iterator[tuple[Asked, Said]]]
    ) -> Iterator[tuple[Asked, Said]]:
        source = iter(requests)
        out: dict[str, tuple[float, float]] = {}
        held: list[Asked] = []
        ended = False

        def admitted() -> Iterator[Asked]:
            """Requests that the budget has room for; the first that it has none for is held."""
            nonlocal ended
            while True:
                request = held.pop() if held else next(source, None)
                if request is None:
                    ended = True
                    return
                size = self._size(request)
                alone = not out and not self.answered and not self.budget.tokens
                if self._limited and not alone and not self.budget.allows(*size):
                    held.append(request)
                    return
                out[request.id] = size
                self.budget.reserve(*size)
                yield request

        try:
            while not ended:
                before = self.answered
                began = time.monotonic()
                for request, reply in ask(admitted()):
                    self._settle(request, reply, out.pop(request.id))
                    self.seconds += time.monotonic() - began
                    yield request, reply
                    began = time.monotonic()
                if held and self.answered == before:
                    raise self.budget.reached()
                if not held:
                    return
        finally:
            for size in out.values():
                self.budget.reserve(-size[0], -size[1])

    def _settle(self, request: Request | ChoiceRequest, reply: Reply | ChoiceReply, size: tuple[float, float]) -> None:
        usage = reply.usage
        self.budget.reserve(-size[0], -size[1])
        uncounted = not (reply.error or usage.prompt_tokens or usage.completion_tokens or usage.cached)
        if self._limited and uncounted:
            self.uncounted += 1
            self.budget.spend(_estimated(request, reply), self.price)
        else:
            self.budget.spend(usage, self.price)
        self.usage += usage
        self.answered += 1
        if usage.prompt_tokens:
            self._tokens_a_character = max(self._tokens_a_character, usage.prompt_tokens / max(1, _characters(request)))
        self._most_written = max(self._most_written, float(usage.completion_tokens))

    def _size(self, request: Request | ChoiceRequest) -> tuple[float, float]:
        """Tokens and money that a call is expected to take at most."""
        if not self._limited:
            return 0.0, 0.0
        read = _characters(request) * (self._tokens_a_character or 1 / CHARACTERS_A_TOKEN) * MARGIN
        written = 0.0
        if isinstance(request, Request):
            most = float(self.model.options.get("max_tokens") or request.sampling.max_tokens)
            written = min(most, self._most_written * MARGIN) if self._most_written else most
        return read + written, 0.0 if self.price is None else self.price.of_tokens(read, written)


class MeteredChooser(MeteredBackend):
    """A metered backend that also compares choices."""

    def loglikelihood(self, requests: Iterable[ChoiceRequest]) -> Iterator[tuple[ChoiceRequest, ChoiceReply]]:
        """Each request with the log-probabilities of its choices, while the budget lasts.

        Raises:
            BackendError: as the backend.
            BudgetReached: the next call would pass a limit.
        """
        assert isinstance(self.inner, ComparesChoices)
        return self._metered(requests, self.inner.loglikelihood)


def metered(inner: Backend, model: Model, budget: Budget) -> MeteredBackend:
    """The backend, counted against a budget.

    Args: as `MeteredBackend`.
    """
    kind = MeteredChooser if hasattr(inner, "loglikelihood") else MeteredBackend
    return kind(inner, model, budget)


def _characters(request: Request | ChoiceRequest) -> int:
    return sum(len(message.content) for message in request.messages)


def _estimated(request: Request | ChoiceRequest, reply: Reply | ChoiceReply) -> Usage:
    """What a call took, by its length, where nobody says: a limit would else never be reached."""
    written = len(reply.text) + len(reply.reasoning) if isinstance(reply, Reply) else 0
    return Usage(
        prompt_tokens=math.ceil(_characters(request) / CHARACTERS_A_TOKEN),
        completion_tokens=math.ceil(written / CHARACTERS_A_TOKEN),
    )


def price_of(backend: object) -> tuple[Price, str] | None:
    """The price and currency of an open backend's tokens; None where nobody said."""
    price, budget = getattr(backend, "price", None), getattr(backend, "budget", None)
    if not isinstance(price, Price) or not isinstance(budget, Budget) or budget.prices is None:
        return None
    return price, budget.prices.currency
