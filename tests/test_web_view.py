"""The viewer: what it finds, what it shows, and that it shows a run while that is still being written."""

from __future__ import annotations

import html
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient
from test_web_annotate import HOSTILE, PAIRS, made

from judgebench.errors import UserError
from judgebench.report.markup import words
from judgebench.runs import Journal, Run
from judgebench.types import Answer, Verdict
from judgebench.web.asked import prompt_of
from judgebench.web.guard import Guard
from judgebench.web.view_app import _sides, view_app
from judgebench.web.view_data import Shelf, narrowed
from judgebench.web.word_diff import word_diff


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    made(tmp_path / "results" / "duel", 60, text=HOSTILE)
    return Shelf(tmp_path / "results")


@pytest.fixture
def client(shelf: Shelf) -> Iterator[TestClient]:
    with TestClient(Guard(view_app(shelf), "token", 80), base_url="http://127.0.0.1:80") as client:
        client.headers["host"] = "127.0.0.1:80"
        yield client


def test_items_on_which_judges_differ_come_first_and_filters_narrow_to_what_they_say(shelf: Shelf) -> None:
    rows = shelf.rows("duel")
    apart = {k for k in range(60) if (k % 3 == 0) != (k % 4 == 0)}
    assert {int(row.item.id) for row in rows[: len(apart)]} == apart
    assert {int(row.item.id) for row in narrowed(rows, show="disagree")} == apart
    assert [row.item.id for row in narrowed(rows, words="QUESTION 59")] == ["59"]
    assert narrowed(rows, judge="nobody") == narrowed(rows, show="people") == narrowed(rows, suite="x") == []
    assert len(narrowed(rows, judge="j")) == 60


def test_a_label_written_meanwhile_is_seen_and_a_torn_line_is_not(shelf: Shelf) -> None:
    assert narrowed(shelf.rows("duel"), show="people") == []
    run = Run(shelf.paths()["duel"])
    with Journal(run.verdicts_file("human@ann", "")) as journal:
        shown = (("secret-one", 0), ("secret-two", 0))
        journal.append(Verdict(suite="talk", item="7", judge="human@ann", shown=shown, kind="preference"))
        assert len(shelf.progress("duel").writers) == 1
    with run.verdicts_file("human@ann", "").open("ab") as file:
        file.write(b'{"suite":"talk","it')
    assert [row.item.id for row in narrowed(shelf.rows("duel"), show="people")] == ["7"]
    assert shelf.progress("duel").writers == ()
    assert shelf.progress("duel").verdicts == 121


def test_a_word_diff_marks_what_the_other_lacks_and_keeps_every_character() -> None:
    left, right, _ = word_diff("the  cat sat\n on it", "the  dog sat\n on")
    assert "".join(piece for piece, _ in left) == "the  cat sat\n on it"
    assert [piece.strip() for piece, differs in left if differs] == ["cat", "it"]
    assert [piece.strip() for piece, differs in right if differs] == ["dog"]


def test_the_page_says_in_which_turns_no_words_are_marked_and_why() -> None:
    apart = [("the cat sat on it", "a b c d e f"), ("the dog sat on it", "g h i j k l")]
    alike = [("the cat sat on it", "so it is here"), ("the dog sat on it", "so it was here")]
    long = [("x " * 60_000,), ("y " * 60_000,)]

    def note(turns: list[tuple[str, ...]]) -> str:
        return _sides([Answer(suite="s", item="1", model=str(k), turns=each) for k, each in enumerate(turns)])[1]

    assert note(apart) == "in turn 2 no words are marked: the two have too few in common"
    assert note([each[1:] for each in apart]) == "no words are marked: the two have too few in common"
    assert note(alike) == ""
    assert note(long) == "no words are marked in texts of more than 100,000 characters"


def test_pages_escape_what_models_wrote(client: TestClient) -> None:
    home = client.get("/token/")
    assert "duel" in home.text
    items = client.get("/token/run?name=duel&page=2")
    assert "Page 2 of 2" in items.text
    assert items.text.count("/item?") == 10
    item = client.get("/token/item?name=duel&suite=talk&item=0")
    assert "<script>document" not in item.text
    assert html.unescape(str(words("<script>document.title='owned'</script><img"))) in html.unescape(item.text)
    assert "⟨U+202E⟩" in item.text
    assert item.text.count("<mark>") == 2
    for path in (
        "run?name=../x",
        "item?name=duel&suite=talk&item=nope",
        "prompt?name=duel&suite=talk&item=0&verdict=9",
    ):
        assert client.get(f"/token/{path}").status_code == 404
    post = {"origin": "http://127.0.0.1:80", "content-length": "0"}
    assert client.post("/token/run?name=duel", headers=post).status_code == 405


def test_the_viewer_refuses_other_hosts_and_addresses_without_the_token(client: TestClient) -> None:
    assert client.get("/token/", headers={"host": "evil.example"}).status_code == 403
    assert client.get("/token/", headers={"origin": "http://evil.example"}).status_code == 403
    assert client.get("/").status_code == 403
    assert client.get("/token/").headers["content-security-policy"].startswith("default-src 'none'")


def test_a_prompt_is_built_anew_from_the_runs_own_rubric(tmp_path: Path) -> None:
    run = made(tmp_path / "r", 2)
    record = run.manifest["rubrics"][PAIRS]
    record["prompt"] = "Q: {question} ONE: {answer_a} TWO: {answer_b} {format}"
    for key in ("scale", "levels"):
        del record[key]
    run.save_manifest()
    shelf = Shelf(run.path)
    row = shelf.row("r", "talk", "1")
    messages, note = prompt_of(run.path, row, next(verdict for verdict in row.verdicts if verdict.judge == "j"))
    assert note == ""
    assert "Q: question 1" in messages[-1].content
    assert messages[-1].content.index("answer 1 one") < messages[-1].content.index("answer 1 two")


def test_a_folder_that_is_not_there_is_the_users_mistake_and_a_damaged_run_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no folder"):
        Shelf(tmp_path / "nothing")
    (tmp_path / "results" / "bad").mkdir(parents=True)
    (tmp_path / "results" / "bad" / "manifest.json").write_text("{")
    assert "damaged" in Shelf(tmp_path / "results").progress("bad").models
