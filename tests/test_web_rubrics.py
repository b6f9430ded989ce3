"""Every shipped rubric put to people: a page to label on, and a label that the other stages take."""

from __future__ import annotations

import json
import re
from html import unescape
from pathlib import Path

import msgspec
import pytest
from starlette.testclient import TestClient

from judgebench.cli import main
from judgebench.errors import UserError
from judgebench.judges import parse
from judgebench.ratings.checklists import of_verdicts
from judgebench.rubrics import Rubric, list_rubrics, load_rubric
from judgebench.runs import Journal, Run
from judgebench.stages.label_agreement import agreement
from judgebench.stages.label_csv import export_csv, import_csv
from judgebench.stages.label_plans import plan_for
from judgebench.stages.labels import Labels
from judgebench.types import Answer, Item, Verdict
from judgebench.web.annotate_app import annotate_app
from judgebench.web.guard import Guard

META = {
    "checklist": ["Is it polite?", "Is it short?", "Does it rhyme?"],
    "decomposed_questions": ["Is it polite?", "Is it short?"],
    "skill": ["factuality", "Logical_Correctness", "conciseness"],
    "score_rubric": {"criteria": "how well it rhymes", **{f"score{k}_description": f"rhyme {k}" for k in range(1, 6)}},
}
MODELS = ("m-one", "m-two")


def judged(folder: Path, rubric: Rubric, items: int = 4, *, judge: bool = True) -> Run:
    """Two models' answers, judged by j along all that an item asks."""
    run = Run(folder, create=True)
    run.manifest["suites"]["talk"] = {
        "version": "1", "about": "", "license": "", "scorer": "", "scorer_options": {}, "missing": [], "notes": [],
        "submission": "", "items": items, "available": items,
    }  # fmt: skip
    run.manifest["models"] = {name: {"backend": "imported", "id": name, "options": {}} for name in MODELS}
    run.manifest["rubrics"][rubric.id] = msgspec.to_builtins(rubric, str_keys=True)
    if judge:
        run.manifest["judges"]["j"] = {
            "backend": "imported", "id": "j", "options": {}, "baseline": False,
            "rubrics": {rubric.name: {"id": rubric.id, "orders": "one", "without_reference": {}}},
        }  # fmt: skip
    run.save_manifest()
    made = [Item(id=str(k), turns=(f"question {k}",), reference=("sea",), meta=META) for k in range(items)]
    run.save_items("talk", made)
    for model in MODELS:
        with Journal(run.answers_file(model)) as journal:
            for k in range(items):
                journal.append(Answer(suite="talk", item=str(k), model=model, turns=(f"a {k}",), finish=("stop",)))
    if not judge:
        return run
    low, high = parse.scale(rubric)
    names = ("factuality", "logical correctness", "conciseness") if rubric.dimensions_from else rubric.dimensions
    with Journal(run.verdicts_file("j", rubric.name)) as journal:
        for k in range(items):
            for name in names:
                if rubric.mode == "pairwise":
                    scores = (high, low) if k % 2 else (low, high)
                    shown = [tuple((model, 0) for model in MODELS)]
                else:
                    scores, shown = ((high,) if k % 2 else (low,)), [((model, 0),) for model in MODELS]
                for each in shown:
                    journal.append(
                        Verdict(suite="talk", item=str(k), rubric=rubric.id, judge="j", dimension=name, shown=each,
                                kind=parse.kind(rubric), scores=scores, scale=(low, high))
                    )  # fmt: skip
    return run


def client_of(labels: Labels) -> TestClient:
    client = TestClient(Guard(annotate_app({"ann": labels}), "t", 80), base_url="http://127.0.0.1:80")
    client.headers.update({"host": "127.0.0.1:80", "origin": "http://127.0.0.1:80"})
    return client


def filled(page: str, place: int) -> dict[str, str]:
    """A label for every field of a page: the ``place``-th that is offered, or the scale's end where a number is."""
    offered: dict[str, list[str]] = {}
    for name, value in re.findall(r'name="(label:[^"]+)" value="([^"]+)"', page):
        offered.setdefault(unescape(name), []).append(value)
    found = {name: values[place % len(values)] for name, values in offered.items()}
    for ends in re.findall(r'min="([^"]+)" max="([^"]+)" name="(label:[^"]+)"', page):
        found[ends[2]] = ends[place % 2]
    return {**found, "was": unescape(re.search(r'name="was" value="([^"]*)"', page)[1])}


@pytest.mark.parametrize("name", list_rubrics())
def test_every_rubric_is_a_page_whose_label_reads_back_as_a_verdict_on_its_scale(name: str, tmp_path: Path) -> None:
    rubric = load_rubric(name)
    run = judged(tmp_path / "r", rubric)
    labels = Labels(run, plan_for(run, "human@ann"))
    client = client_of(labels)
    total = len(labels.plan.tasks)
    assert total == (4 if rubric.mode == "pairwise" else 8)
    for number in range(total):
        page = client.get(f"/t/ann/{number + 1}").text
        assert not any(model in page for model in MODELS)
        form = filled(page, number)
        assert len(form) == 1 + len(labels.fields(number)) > 1
        sent = client.post(f"/t/ann/{number + 1}", data=form, follow_redirects=False)
        assert sent.status_code == 303, unescape(sent.text)
        again = client.get(f"/t/ann/{number + 1}").text
        assert "You labelled this before" in again
        sent = {key.removeprefix("label:"): code for key, code in form.items() if key != "was"}
        if not labels.plan.guide.choices:
            sent = {key: f"{float(code):g}" for key, code in sent.items()}
        assert labels.given(number) == sent
    assert labels.counts() == (total, 0, total)
    judges = {(v.item, v.dimension, frozenset(v.shown)): v for v in run.verdicts().values() if v.judge == "j"}
    mine = [verdict for verdict in Run(run.path).verdicts().values() if verdict.judge == "human@ann"]
    assert {(v.item, v.dimension, frozenset(v.shown)) for v in mine} == set(judges)
    for verdict in mine:
        assert verdict.scale == ((0.0, 1.0) if verdict.kind == "preference" else parse.scale(rubric))
        assert all(verdict.scale[0] <= score <= verdict.scale[1] for score in verdict.scores)
        assert verdict.scores or verdict.error.startswith("not applicable")
    assert {round(v.scores[0], 6) for v in mine if v.scores} != {0.0}, "labels differ"
    assert Labels(Run(run.path), labels.plan).counts() == (total, 0, total)


@pytest.mark.parametrize(
    "name",
    ["pairwise-general", "arena-hard", "ordinal-4", "helpfulness-6", "pointwise-general", "checklist-tick", "flask"],
)
def test_labels_of_each_form_are_rated_compared_and_held_against_the_judge(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rubric = load_rubric(name)
    run = judged(tmp_path / "r", rubric, items=12)
    labels = Labels(run, plan_for(run, "human@ann"))
    client = client_of(labels)
    for number in range(len(labels.plan.tasks)):
        page = client.get(f"/t/ann/{number + 1}").text
        assert client.post(f"/t/ann/{number + 1}", data=filled(page, number), follow_redirects=False).status_code == 303
    assert main(["rate", str(run.path), "--quiet"]) == 0
    assert any(rating.judge == "human@ann" and rating.value is not None for rating in run.ratings())
    capsys.readouterr()
    assert main(["compare", str(run.path), *MODELS, "--json"]) == 0
    assert "human@ann" in {row["judge"] for row in json.loads(capsys.readouterr().out)}
    assert main(["meta-eval", str(run.path), "--against", "human@ann", "--json"]) == 0
    (card,) = [each for each in json.loads(capsys.readouterr().out) if each["judge"] == "j"][:1]
    assert card
    assert any(trial["measures"] for trial in card["trials"])


def test_a_checklists_marks_are_kept_go_through_a_spreadsheet_and_give_its_shares(tmp_path: Path) -> None:
    run = judged(tmp_path / "r", load_rubric("checklist-tick"))
    labels = Labels(run, plan_for(run, "human@ann"))
    assert labels.fields(0) == {
        "question 1": "Is it polite?", "question 2": "Is it short?", "question 3": "Does it rhyme?"
    }  # fmt: skip
    with pytest.raises(UserError, match="question 3: no label; allowed: Y, N"):
        labels.label(0, {"question 1": "y", "question 2": "no"})
    labels.label(0, {"question 1": "y", "question 2": "no", "question 3": "Yes"})
    found = labels.verdicts(0)
    assert found["met"].scores == pytest.approx((2 / 3,))
    assert found["all met"].scores == (0.0,)
    assert json.loads(found["met"].reply)["answers"] == [True, False, True]
    before = labels.state(0)
    labels.label(0, {"question 1": "N", "question 2": "Y", "question 3": "Y"})
    assert labels.state(0) != before
    assert export_csv(labels, tmp_path / "a.csv") == 8
    text = (tmp_path / "a.csv").read_text("utf-8-sig")
    assert "label: question 3" in text
    assert "question 2: Is it short?" in text
    size = labels.file.stat().st_size
    assert import_csv(labels, tmp_path / "a.csv") == (1, 0, 7)
    assert labels.file.stat().st_size == size
    (share,) = of_verdicts(run.verdicts(labels.file).values()).values()
    assert (share.met, share.questions) == (2, 3)


def test_what_does_not_apply_is_kept_apart_and_agreement_is_ordinal_where_labels_say_by_how_much(
    tmp_path: Path,
) -> None:
    run = judged(tmp_path / "f", load_rubric("flask"))
    labels = Labels(run, plan_for(run, "human@ann"))
    assert set(labels.fields(0)) == {"factuality", "logical correctness", "conciseness"}
    labels.label(0, {"factuality": "N/A", "logical correctness": "4", "conciseness": "n/a"})
    assert labels.given(0) == {"factuality": "N/A", "logical correctness": "4", "conciseness": "N/A"}
    assert labels.verdicts(0)["factuality"].error == "not applicable: the annotator says so"
    assert labels.counts().labelled == 1
    other = judged(tmp_path / "a", load_rubric("arena-hard"))
    both = [Labels(other, plan_for(other, f"human@{name}")) for name in ("ann", "bob")]
    codes = [choice.code for choice in both[0].plan.guide.choices]
    assert codes == list("12345")
    assert [choice.scores for choice in both[0].plan.guide.choices] == [(3, 0), (1, 0), (0, 0), (0, 1), (0, 3)]
    assert "answer 1 is significantly better" in both[0].plan.guide.choices[0].means
    for each in both:
        for number, task in enumerate(each.plan.tasks):
            likes = int(task.item)  # 0 … 3: how far the model first by name is ahead, from much to a little behind
            each.label(number, {"overall": codes[likes if task.shown[0][0] == MODELS[0] else 4 - likes]})
    (found,) = agreement(both)
    assert found.coefficient == "Krippendorff's α (ordinal)"
    assert found.value == pytest.approx(1.0)


def test_items_that_lack_what_a_rubric_takes_from_them_are_not_asked(tmp_path: Path) -> None:
    rubric = load_rubric("checklist-tick")
    run = judged(tmp_path / "r", rubric, judge=False)
    run.save_items("talk", [Item(id="0", turns=("question 0",))])
    labels = Labels(run, plan_for(run, "human@ann", rubric="checklist-tick"))
    assert {task.item for task in labels.plan.tasks} == {"1", "2", "3"}
    told = Labels(run, plan_for(run, "human@bob", rubric="item-rubric"))
    page = client_of(told).get("/t/ann/1").text
    assert "how well it rhymes" in page
    assert "rhyme 5" in page
    assert "Reference answer" in page
