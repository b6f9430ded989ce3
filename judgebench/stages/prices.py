"""What calls cost: a dated table of prices that the user gives, and sums of usage under it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated, Any

import msgspec

from judgebench.errors import FileError, UserError
from judgebench.files import plain_name, read_yaml
from judgebench.runs import Run, read_records
from judgebench.stages.named_models import parse_models
from judgebench.stages.settings import Settings
from judgebench.types import Model, Usage, Verdict

FREE = ("replay", "scripted", "baseline", "judge", "imported")
"""Backends that call no model: nothing is paid for them."""

OLD_DAYS = 90
"""Age from which a table of prices is called old."""


class Price(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The price of a million tokens."""

    input: Annotated[float, msgspec.Meta(ge=0)]
    """Of a million tokens read."""
    output: Annotated[float, msgspec.Meta(ge=0)]
    """Of a million tokens written."""

    def of(self, usage: Usage) -> float:
        """What a usage costs."""
        return self.of_tokens(usage.prompt_tokens, usage.completion_tokens)

    def of_tokens(self, read: float, written: float) -> float:
        """What so many tokens cost."""
        return (read * self.input + written * self.output) / 1e6


class PriceTable(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A file of prices."""

    date: str
    """Day on which they were looked up, YYYY-MM-DD."""
    currency: str
    """Their currency, such as EUR."""
    prices: dict[str, Price]
    """``backend/id``, or the name that a run gives to a model → its price."""

    def of(self, model: Model) -> Price | None:
        """The price of a model: by its name in the run, else by backend and id; None where the table has none."""
        if model.backend in FREE:
            return Price(input=0.0, output=0.0)
        return self.prices.get(model.name) or self.prices.get(f"{model.backend}/{model.id}")

    @property
    def age(self) -> int:
        """Days since the prices were looked up."""
        return (datetime.now(UTC).date() - date.fromisoformat(self.date)).days


def read_prices(path: str | Path) -> PriceTable:
    """The table in a YAML file: ``date`` (quoted), ``currency``, and ``prices`` by model.

    Raises:
        FileError: it cannot be read, or does not fit; one line with file, line and key.
    """
    table = read_yaml(path, PriceTable)
    try:
        date.fromisoformat(table.date)
    except ValueError:
        raise FileError(path, f"{table.date!r} is no day; YYYY-MM-DD is meant", key="date") from None
    return table


def spent(run: Run) -> dict[tuple[str, str], Usage]:
    """(``model`` or ``judge``, name) → what the run has used, replies that were asked for again included."""
    sums: dict[tuple[str, str], Usage] = defaultdict(Usage)
    for answer in run.answers().values():
        sums["model", answer.model] += answer.usage
    for file in sorted((run.path / "verdicts").glob("*.jsonl")):
        for verdict in read_records(file, Verdict):
            if verdict.usage != Usage():
                sums["judge", verdict.judge] += verdict.usage
    return dict(sums)


def models_of(run: Run, settings: Settings) -> dict[tuple[str, str], Model]:
    """(``model`` or ``judge``, name as in `spent`) → who it is, of all whom the run knows or is about to ask."""
    found: dict[tuple[str, str], Model] = {}
    for role, records in (("model", run.manifest["models"]), ("judge", run.manifest["judges"])):
        for name, record in records.items():
            if "backend" in record:
                found[role, name] = Model(name=name, backend=record["backend"], id=str(record.get("id", name)))
    if settings.extract_with:
        (reader,) = parse_models((settings.extract_with,), settings.option)
        for file in (run.path / "verdicts").glob("exact@*.jsonl"):
            judge = plain_name(file.stem)
            if judge.endswith(f"+{reader.name}"):
                found["judge", judge] = reader
    return found


def cost_of(
    usage: Mapping[tuple[str, str], Usage], prices: PriceTable, models: Mapping[tuple[str, str], Model]
) -> float:
    """What all usage costs together.

    Raises:
        UserError: tokens were used by somebody whose price is not in the table.
    """
    total = 0.0
    for place, used in usage.items():
        if not used.prompt_tokens and not used.completion_tokens:
            continue
        model = models.get(place)
        price = None if model is None else prices.of(model)
        if price is None:
            raise UserError(
                f"--max-cost needs every price: the run has used tokens of {place[1]!r}, for which the table has none"
            )
        total += price.of(used)
    return total


def keep_prices(run: Run, table: PriceTable, models: Mapping[tuple[str, str], Model]) -> None:
    """Notes in the manifest what each model of the run costs, so that its reports can say it; saved with it."""
    by_name: dict[str, Any] = {}
    for (role, name), model in models.items():
        price = table.of(model)
        if price is not None:
            by_name[f"{role} | {name}"] = [price.input, price.output]
    kept = run.manifest.setdefault("prices", {})
    kept.update(date=table.date, currency=table.currency, by={**kept.get("by", {}), **by_name})
