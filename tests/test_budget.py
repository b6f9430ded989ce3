"""Limits on tokens and money: where a command stops, what it has kept by then, and that it goes on from there."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from endpoint_server import Act, EndpointServer

import judgebench
from judgebench.backends.scripted import ScriptedBackend
from judgebench.errors import BudgetReached, FileError, UserError
from judgebench.report.usage import usage_table
from judgebench.runs import Run
from judgebench.stages.budget import Budget, metered
from judgebench.stages.prices import Price, PriceTable, read_prices, spent
from judgebench.stages.progress import Progress
from judgebench.stages.report import read_summary
from judgebench.types import Backend, Message, Model, Reply, Request, Sampling, Usage

SUITE = "name: sums\nlicense: Apache-2.0\nprompt: 'Q: {question}'\nscorer: number\nitems:\n" + "".join(
    f'  - {{id: "{number}", question: {number}+0, reference: "{number}"}}\n' for number in range(40)
)
PRICES = "date: '2026-01-15'\ncurrency: EUR\nprices:\n  openai/some-model: {input: 1000000, output: 2000000}\n"
MODEL = Model(name="m", backend="openai", id="some-model")


class Sized:
    """A backend whose replies take 10 tokens read and 5 written, eight under way at a time."""

    def __init__(self, written: int = 5) -> None:
        self.written, self.asked, self.most_out = written, 0, 0

    def generate(self, requests: Iterable[Request]) -> Iterator[tuple[Request, Reply]]:
        out: list[Request] = []
        source = iter(requests)
        while True:
            while len(out) < 8 and (request := next(source, None)) is not None:
                out.append(request)
                self.asked += 1
            self.most_out = max(self.most_out, len(out))
            if not out:
                return
            yield out.pop(0), Reply(usage=Usage(prompt_tokens=10, completion_tokens=self.written, requests=1))

    def describe(self) -> dict[str, Any]:
        return {}

    def close(self) -> None:
        pass


def requests(count: int) -> Iterator[Request]:
    for number in range(count):
        message = Message(role="user", content="x" * 40)
        yield Request(id=str(number), messages=(message,), sampling=Sampling(max_tokens=1000))


@pytest.mark.parametrize("limit", [20, 100, 299, 1000])
def test_a_limit_on_tokens_is_kept_and_nearly_used_up(limit: int) -> None:
    inner, budget = Sized(), Budget(max_tokens=limit)
    with pytest.raises(BudgetReached, match=f"--max-tokens-total {limit}"):
        list(metered(inner, MODEL, budget).generate(requests(100)))
    assert budget.tokens == 15 * inner.asked <= limit
    assert limit - budget.tokens < 2 * 15
    assert budget.reserved_tokens == pytest.approx(0)


def test_calls_go_on_side_by_side_while_there_is_room() -> None:
    inner = Sized()
    with pytest.raises(BudgetReached):
        list(metered(inner, MODEL, Budget(max_tokens=1000)).generate(requests(100)))
    assert inner.most_out == 8


def test_what_fits_is_answered_without_a_word() -> None:
    budget = Budget(max_tokens=15 * 20 + 10)
    assert len(list(metered(Sized(), MODEL, budget).generate(requests(20)))) == 20


def test_a_limit_used_up_before_lets_nothing_through() -> None:
    inner = Sized()
    with pytest.raises(BudgetReached):
        list(metered(inner, MODEL, Budget(max_tokens=50, tokens=50)).generate(requests(3)))
    assert inner.asked == 0


def test_a_server_that_never_says_what_a_call_took_is_limited_by_the_length_of_texts() -> None:
    class Silent(Sized):
        def generate(self, requests: Iterable[Request]) -> Iterator[tuple[Request, Reply]]:
            for request in requests:
                self.asked += 1
                yield request, Reply(text="x" * 40, usage=Usage(requests=1))

        def describe(self) -> dict[str, Any]:
            return {"notes": ["first"]}

    inner, budget = Silent(), Budget(max_tokens=2000)
    backend = metered(inner, MODEL, budget)
    with pytest.raises(BudgetReached):
        list(backend.generate(requests(1000)))
    assert 1 < inner.asked <= 100
    assert budget.tokens == 20 * inner.asked
    assert backend.describe()["notes"][1].startswith(f"{inner.asked} replies came without their tokens")


def test_a_limit_on_money_counts_both_prices() -> None:
    table = PriceTable(date="2026-01-15", currency="EUR", prices={"m": Price(input=1e5, output=2e5)})
    inner, budget = Sized(), Budget(table, max_cost=20.0)
    with pytest.raises(BudgetReached, match=r"--max-cost 20 \(20 EUR spent|--max-cost 20 \(1[89]"):
        list(metered(inner, MODEL, budget).generate(requests(100)))
    assert budget.cost == pytest.approx(2.0 * inner.asked)
    assert 16 <= budget.cost <= 20


def test_a_backend_opened_by_a_caller_is_limited_and_a_function_is_free(tmp_path: Path) -> None:
    (tmp_path / "sums.yaml").write_text(SUITE, encoding="utf-8")
    settings = judgebench.Settings(max_tokens_total=100)
    suite = [str(tmp_path / "sums.yaml")]
    judgebench.run(tmp_path / "a", suite=suite, model={"f": lambda chat: "7"}, settings=settings)
    assert len(Run(tmp_path / "a").answers()) == 40
    inner = Sized()
    with pytest.raises(BudgetReached):
        judgebench.run(tmp_path / "b", suite=suite, model={"s": inner}, settings=settings)
    assert 15 * inner.asked <= 100
    assert len(Run(tmp_path / "b").answers()) == inner.asked > 1


def test_a_limit_on_money_without_a_price_of_the_model_is_refused_wherever_it_is_opened() -> None:
    table = PriceTable(date="2026-01-15", currency="EUR", prices={"other": Price(input=1, output=2)})
    with pytest.raises(UserError, match="openai/some-model"):
        metered(Sized(), MODEL, Budget(table, max_cost=20.0))


def test_no_limit_changes_nothing_and_time_is_measured() -> None:
    backend = metered(Sized(), MODEL, Budget())
    assert len(list(backend.generate(requests(30)))) == 30
    speed = backend.speed()
    assert speed is not None
    assert (speed.requests, speed.prompt_tokens, speed.completion_tokens) == (30, 300, 150)
    assert isinstance(metered(ScriptedBackend.of(lambda chat: "x"), MODEL, Budget()), Backend)


@pytest.mark.parametrize(
    ("text", "message"),
    [("date: '2026-1'\ncurrency: EUR\nprices: {}\n", "no day"),
     ("currency: EUR\nprices: {}\n", "date"),
     ("date: '2026-01-15'\ncurrency: EUR\nprices: {a/b: {input: -1, output: 1}}\n", "input"),
     ("date: '2026-01-15'\ncurrency: EUR\nprices: {a/b: {inpt: 1, output: 1}}\n", "inpt")],
)  # fmt: skip
def test_a_mistake_in_the_prices_is_one_line(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "prices.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(FileError, match=message):
        read_prices(tmp_path / "prices.yaml")


def test_the_progress_line_tells_rate_tokens_errors_cost_and_time_left(capsys: pytest.CaptureFixture[str]) -> None:
    table = PriceTable(date="2026-01-15", currency="EUR", prices={"m": Price(input=1e6, output=0)})
    with Progress("m: answers", 4, backend=metered(Sized(), MODEL, Budget(table))) as progress:
        progress.advance(usage=Usage(prompt_tokens=3, completion_tokens=2))
        progress.advance(failed=True, usage=Usage(cached=1))
    line = capsys.readouterr().err.splitlines()[-1]
    for part in ("2/4", "/s", "tokens/s", "1 failed", "1 from the cache", "3 EUR", "s left"):
        assert part in line


@pytest.fixture
def files(tmp_path: Path) -> Path:
    (tmp_path / "sums.yaml").write_text(SUITE, encoding="utf-8")
    (tmp_path / "prices.yaml").write_text(PRICES, encoding="utf-8")
    return tmp_path


def command(files: Path, server: EndpointServer, *more: str) -> subprocess.CompletedProcess[str]:
    option = f"m.base_url={server.base_url}"
    words = [sys.executable, "-m", "judgebench", "run", str(files / "r"), "--suite", str(files / "sums.yaml"),
             "--model", "m=openai/some-model", "--option", option, *more, "--quiet"]  # fmt: skip
    return subprocess.run(words, env=os.environ, capture_output=True, text=True, check=False)


def test_a_run_stops_with_4_and_the_same_command_with_a_higher_limit_finishes_it(files: Path) -> None:
    with EndpointServer(lambda body, count: Act(text="the answer is 7")) as server:
        done = command(files, server, "--max-tokens-total", "100")
        assert done.returncode == 4, done.stderr
        assert len(done.stderr.strip().splitlines()) == 1
        held = Run(files / "r").answers()
        assert len(server.seen) == len(held) < 40
        assert spent(Run(files / "r"))["model", "m"].prompt_tokens > 0
        before = len(server.seen)
        assert command(files, server, "--max-tokens-total", "100").returncode == 4
        assert len(server.seen) == before
        assert command(files, server, "--max-tokens-total", "100000").returncode == 0
        assert len(server.seen) == 40


def test_the_report_says_what_each_model_cost(files: Path) -> None:
    with EndpointServer(lambda body, count: Act(text="7")) as server:
        done = command(files, server, "--prices", str(files / "prices.yaml"), "--max-cost", "100000")
        assert done.returncode == 0, done.stderr
    run = Run(files / "r")
    summary = read_summary(run)
    (row,) = summary["usage"]
    assert row["cost"] == pytest.approx(row["prompt_tokens"] + 2 * row["completion_tokens"])
    assert row["cost"] > 0
    remarks = " ".join(usage_table(summary).remarks)
    assert "EUR at prices of 2026-01-15" in remarks
    assert "Cost (EUR)" in (run.path / "report.html").read_text(encoding="utf-8")


def test_a_limit_on_money_without_a_price_is_refused_before_anything_is_asked(files: Path) -> None:
    (files / "prices.yaml").write_text("date: '2026-01-15'\ncurrency: EUR\nprices: {}\n", encoding="utf-8")
    with EndpointServer() as server:
        done = command(files, server, "--prices", str(files / "prices.yaml"), "--max-cost", "5")
        assert done.returncode == 2
        assert "openai/some-model" in done.stderr
        done = command(files, server, "--max-cost", "5")
        assert done.returncode == 2
        assert "--prices" in done.stderr
        assert not server.seen


def test_the_example_table_is_read_and_prices_nothing() -> None:
    path = Path(__file__).resolve().parent.parent / "examples" / "prices.yaml"
    assert read_prices(path).of(MODEL) is None
    with pytest.raises(UserError):
        read_prices(path.with_name("missing.yaml"))
