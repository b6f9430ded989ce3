"""--dry-run: what it says would be asked is what is then asked; nobody is asked and nothing is written."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from endpoint_server import Act, EndpointServer
from tiny_models import tiny_checkpoint

from judgebench.backends.responses import ResponseCache, Speed
from judgebench.cli import main
from judgebench.runs import Run
from judgebench.stages.answering import load_suites
from judgebench.stages.costs import Stage, planned
from judgebench.stages.judging import plan as judges_of
from judgebench.stages.named_models import parse_models
from judgebench.stages.opening import made, responses_file, speed_key
from judgebench.stages.settings import Settings
from judgebench.types import Message

CHAT = """name: talk
license: Apache-2.0
items:
  - {id: "1", turns: [Hello there, Shorter], category: greeting}
  - {id: "2", turns: [Name a fruit, Another], category: food}
  - {id: "3", turns: [Name a town], category: food}
"""
RUBRIC = """name: two
mode: pairwise
dimensions: {help: does it help, truth: is it true}
ask: each
prompt: "{dimensions} {question} <{answer_a}> <{answer_b}> {format}"
"""
PRICES = "date: '2026-01-15'\ncurrency: EUR\nprices:\n  {who}: {{input: 2, output: 10}}\n"


@pytest.fixture
def files(tmp_path: Path) -> Path:
    for name, text in {"talk.yaml": CHAT, "two.yaml": RUBRIC}.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    recorded = [{"id": str(number), "output": f"reply {number}"} for number in (1, 2, 3)]
    (tmp_path / "old.json").write_text(json.dumps(recorded), encoding="utf-8")
    return tmp_path


def words(files: Path, server: EndpointServer, *more: str) -> list[str]:
    return ["run", str(files / "r"), "--suite", str(files / "talk.yaml"), "--model", "a=openai/one", "--model",
            "b=openai/two", "--judge", "openai/judge", "--rubric", str(files / "two.yaml"), "--option",
            f"openai.base_url={server.base_url}", "--quiet", "--max-unscored", "1", *more]  # fmt: skip


def calls(printed: str) -> dict[str, int]:
    """Who → calls, out of the table, which keeps to 80 columns."""
    table = printed.partition("tokens read:")[0].splitlines()[:-1]
    assert max(map(len, table), default=0) <= 80
    rows = re.findall(r"^(?:(?:answers|verdicts) +(\S.*?)|in all)\s{2,}(\d+)\b", printed, re.MULTILINE)
    return {who or "in all": int(number) for who, number in rows}


def test_what_is_planned_is_what_is_asked_and_nothing_is_asked_while_planning(
    files: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with EndpointServer(lambda body, count: Act(text="[[A]] indeed")) as server:
        assert main(words(files, server, "--dry-run")) == 0
        printed = capsys.readouterr().out
        assert not server.seen
        assert not (files / "r").exists()
        assert printed.endswith("nothing was asked\n")
        assert "an estimate, 4 bytes a token" in printed
        found = calls(printed)
        assert main(words(files, server)) == 0
        asked = [seen.body["model"] for seen in server.seen]
        assert found["a"] == asked.count("one") == 5
        assert found["b"] == asked.count("two") == 5
        assert found["judge by two"] == asked.count("judge") == 5 * 2 * 2
        assert found["in all"] == len(asked)
        capsys.readouterr()
        main(words(files, server, "--dry-run"))
        assert calls(capsys.readouterr().out)["in all"] == 0
        before = {path: path.read_bytes() for path in (files / "r").rglob("*") if path.is_file()}
        main(words(files, server, "--dry-run", "--limit", "2"))
        assert {path: path.read_bytes() for path in (files / "r").rglob("*") if path.is_file()} == before
        assert len(server.seen) == len(asked)


def test_planning_for_a_cluster_starts_and_asks_none(
    files: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def joined() -> None:
        raise AssertionError("a cluster was asked")

    monkeypatch.setattr("judgebench.backends.ray_cluster.join", joined)
    with EndpointServer() as server:
        ray = ("--executor", "ray", "--replicas", "4")
        assert main(words(files, server, *ray, "--dry-run")) == 0
        assert calls(capsys.readouterr().out)["a"] == 5
        with pytest.raises(AssertionError, match="a cluster was asked"):
            main(words(files, server, *ray))
        assert not server.seen


def test_judging_alone_is_planned_from_the_answers_that_are_there(
    files: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with EndpointServer(lambda body, count: Act(text="fine")) as server:
        options = ["--option", f"openai.base_url={server.base_url}", "--quiet"]
        models = ["--model", "a=openai/one", "--model", "b=openai/two"]
        main(["generate", str(files / "r"), "--suite", str(files / "talk.yaml"), *models, *options])
        asked = len(server.seen)
        judge = ["--judge", "openai/judge", "--rubric", str(files / "two.yaml")]
        assert main(["judge", str(files / "r"), *judge, *options, "--dry-run"]) == 0
        assert calls(capsys.readouterr().out) == {"judge by two": 20, "in all": 20}
        assert len(server.seen) == asked
        assert not list((files / "r").glob("verdicts/*"))


def rows(files: Path, model: str, **more: object) -> list[Stage]:
    settings = Settings(suite=(str(files / "talk.yaml"),), model=(model,), **more)  # type: ignore[arg-type]
    judges, rubrics = judges_of(settings)
    models = parse_models(settings.model, settings.option)
    scratch = files / "scratch"
    scratch.mkdir()
    return planned(files / "r", load_suites(settings), models, judges, rubrics, [], settings, scratch)


def test_a_local_model_has_its_prompts_counted_by_its_own_tokenizer(files: Path) -> None:
    folder = tiny_checkpoint()
    (row,) = rows(files, f"m=hf/{folder}", limit=1)
    assert row.read_basis == "counted by the model's own tokenizer"
    backend = made(parse_models((f"m=hf/{folder}",), {})[0], Settings())
    said = "the " * 300
    chats = [("Hello there",), ("Hello there", said, "Shorter")]
    roles = ("user", "assistant", "user")
    counted = [
        len(backend.prompt_tokens(tuple(Message(role=role, content=text) for role, text in zip(roles, chat))).tokens)  # type: ignore[attr-defined,arg-type]  # noqa: B905
        for chat in chats
    ]
    backend.close()
    assert row.read == sum(counted)
    assert (row.calls, row.written, row.written_most) == (2, 600, 2048)


def test_price_and_time_follow_from_the_table_and_the_speed_last_measured(files: Path) -> None:
    option = {"m.base_url": "http://127.0.0.1:9/v1"}
    (model,) = parse_models(("m=openai/one",), option)
    cache = ResponseCache(responses_file())
    cache.keep_speed(speed_key(model), Speed(100, 50.0, 9000, 4000, "2026-02-03"))
    cache.close()
    (files / "prices.yaml").write_text(PRICES.format(who="openai/one"), encoding="utf-8")
    (row,) = rows(files, "m=openai/one", option=option, prices=str(files / "prices.yaml"), max_tokens=500)
    assert row.written_basis == "mean of 100 calls on 2026-02-03"
    assert (row.calls, row.written, row.written_most) == (5, 200, 2500)
    assert row.price == pytest.approx((row.read * 2 + 200 * 10) / 1e6)
    assert row.price_most == pytest.approx((row.read * 2 + 2500 * 10) / 1e6)
    assert row.seconds == pytest.approx(2.5)


def test_recorded_answers_are_read_so_that_the_judge_s_prompts_are_the_real_ones(files: Path) -> None:
    (files / "talk.yaml").write_text(CHAT.replace(", Shorter", "").replace(", Another", ""), encoding="utf-8")
    (files / "grade.yaml").write_text(
        "name: grade\nmode: pointwise\ndimensions: {help: does it help}\nscale: [1, 10]\n"
        "prompt: '{question} <{answer}> {format}'\n",
        encoding="utf-8",
    )
    more = {"judge": ("openai/judge",), "rubric": (str(files / "grade.yaml"),)}
    (row,) = rows(
        files, f"old=replay/{files / 'old.json'}", option={"openai.base_url": "http://127.0.0.1:9/v1"}, **more
    )
    assert (row.stage, row.calls) == ("verdicts", 3)
    assert not (files / "r").exists()
    assert row.price is None


def test_a_run_that_was_measured_knows_its_speed(files: Path) -> None:
    with EndpointServer(lambda body, count: Act(text="fine")) as server:
        main(["generate", str(files / "r"), "--suite", str(files / "talk.yaml"), "--model", "a=openai/one",
              "--option", f"openai.base_url={server.base_url}", "--quiet"])  # fmt: skip
        (model,) = parse_models(("a=openai/one",), {"a.base_url": server.base_url})
    cache = ResponseCache(responses_file())
    speed = cache.speed(speed_key(model))
    cache.close()
    assert speed is not None
    assert speed.requests == 5
    assert speed.seconds > 0
    usage = [answer.usage for answer in Run(files / "r").answers().values()]
    assert speed.prompt_tokens == sum(each.prompt_tokens for each in usage)
