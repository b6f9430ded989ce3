"""The local pages under stress: runs half written or broken, hostile names and texts, servers killed, disks full."""

from __future__ import annotations

import http.client
import os
import random
import re
import resource
import signal
import socket
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from html import unescape
from pathlib import Path
from urllib.parse import quote, urlencode, urlsplit

import msgspec
import pytest
from starlette.testclient import TestClient
from test_web_annotate import HOSTILE, PAIRS, ask, labels_of, made, start

from judgebench.errors import RunConflict, UserError
from judgebench.report.visible import visible
from judgebench.runs import Journal, Run, read_records
from judgebench.stages.labels import Labels
from judgebench.types import Answer, Item, Verdict
from judgebench.web.annotate_app import annotate_app
from judgebench.web.following import Followed
from judgebench.web.guard import Guard
from judgebench.web.view_app import ON_PAGE, view_app
from judgebench.web.view_data import MOST_HELD, Shelf
from judgebench.web.word_diff import word_diff


def client_of(app: object) -> TestClient:
    client = TestClient(Guard(app, "t", 80), base_url="http://127.0.0.1:80")
    client.headers.update({"host": "127.0.0.1:80", "origin": "http://127.0.0.1:80"})
    return client


def answer(item: str = "0", text: str = "x", model: str = "secret-one", suite: str = "talk") -> Answer:
    return Answer(suite=suite, item=item, model=model, turns=(text,), finish=("stop",))


def test_a_file_is_read_on_from_where_it_ended_and_anew_where_it_is_another(tmp_path: Path) -> None:
    path = tmp_path / "verdicts" / "m.jsonl"
    followed = Followed(path, Answer)
    assert followed.look() == ([], False)
    line = msgspec.json.encode(answer("1")) + b"\n"
    path.parent.mkdir()
    path.write_bytes(line + line[:20])
    assert [each.item for each in followed.look().records] == ["1"]
    assert followed.look() == ([], False)
    with path.open("ab") as file:
        file.write(line[20:] + b'{"suite": "\xff"}\n{"none": 1}\n' + msgspec.json.encode(answer("2")) + b"\n")
    assert [each.item for each in followed.look().records] == ["1", "2"]
    assert followed.unread == 2
    assert [told.partition(":")[0] for told in followed.broken] == [
        "verdicts/m.jsonl, line 3",
        "verdicts/m.jsonl, line 4",
    ]
    other = msgspec.json.encode(answer("3", "y" * 2000)) + b"\n"
    path.write_bytes(other)  # the same inode, and longer
    assert followed.look() == ([answer("3", "y" * 2000)], True)
    assert followed.unread == 0
    path.unlink()
    assert followed.look() == ([], True)
    path.write_bytes(line)
    assert followed.look() == ([answer("1")], False)


def test_however_a_file_is_cut_while_it_grows_every_record_is_found_once(tmp_path: Path) -> None:
    path, draw = tmp_path / "m.jsonl", random.Random(0)
    content = b"".join(
        msgspec.json.encode(answer(str(number), "x" * draw.randrange(60))) + b"\n" for number in range(300)
    )
    followed, found, place = Followed(path, Answer), [], 0
    while place < len(content):
        more = draw.choice((1, 7, 50, 400))
        with path.open("ab") as file:
            file.write(content[place : place + more])
        place += more
        look = followed.look()
        assert not look.anew
        found += look.records
        if draw.random() < 0.1:
            assert found == list(read_records(path, Answer))
    assert [each.item for each in found] == [str(number) for number in range(300)]


def test_a_run_that_grows_shrinks_and_loses_files_is_shown_as_it_is_now(tmp_path: Path) -> None:
    run = made(tmp_path / "results" / "duel", 6)
    shelf = Shelf(tmp_path / "results")
    client = client_of(view_app(shelf))
    assert "12 answers" in client.get("/t/run?name=duel").text
    before = shelf.rows("duel")
    with Journal(run.answers_file("third")) as journal:
        journal.append(answer("2", "a new word", "third"))
        assert "being written now" in client.get("/t/run?name=duel").text
        assert [row.item.id for row in shelf.rows("duel") if len(row.answers) == 3] == ["2"]
        assert sum(new is old for new, old in zip(shelf.rows("duel"), before, strict=True)) == 5  # the rest is kept
    text = client.get("/t/run?name=duel&words=NEW+WORD").text
    assert "1 of 6 items" in text
    assert "being written now" not in text
    with run.answers_file("third").open("ab") as file:
        file.write(b'{"suite":"talk","item":"3","mod')
    assert "13 answers" in client.get("/t/run?name=duel").text
    run.answers_file("third").unlink()
    assert "12 answers" in client.get("/t/run?name=duel").text
    assert all(len(row.answers) == 2 for row in shelf.rows("duel"))
    run.items_file("talk").unlink()
    assert len(client_of(view_app(Shelf(run.path))).get("/t/run?name=duel").text) > 0
    page = client_of(view_app(Shelf(run.path))).get("/t/item?name=duel&suite=talk&item=2").text
    assert "does not hold this question" in page
    for path in run.path.rglob("*.json*"):
        path.unlink()
    assert client.get("/t/run?name=duel").status_code == 404
    assert client.get("/t/").status_code == 200


def test_lines_that_cannot_be_read_are_told_and_the_others_are_shown(tmp_path: Path) -> None:
    run = made(tmp_path / "r", 3)
    with run.verdicts_file("j", "r").open("ab") as file:
        file.write(b'{"suite":"talk","item":"0","judge":"\xff\xfe","shown":[]}\nnot json\n')
    text = client_of(view_app(Shelf(run.path))).get("/t/run?name=r").text
    assert "2 lines of this run cannot be read" in text
    assert "verdicts/j+r.jsonl, line 4" in text
    assert "verdicts/j+r.jsonl, line 5" in text
    assert "3 of 3 items" in text


def test_a_broken_run_does_not_hide_the_good_ones_and_says_what_is_wrong(tmp_path: Path) -> None:
    made(tmp_path / "good", 3)
    for name, content in {"torn": b"{", "bytes": b'{"\xff": 1}', "list": b"[]", "odd": b'{"suites": 3}'}.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "manifest.json").write_bytes(content)
    bare = Run(tmp_path / "bare", create=True)
    empty = made(tmp_path / "empty", 2)
    for file in empty.path.glob("verdicts/*"):
        file.unlink()
    wrong = made(tmp_path / "wrong", 2)
    wrong.manifest["planned"] = {"x": "many"}
    wrong.save_manifest()
    client = client_of(view_app(Shelf(tmp_path)))
    home = client.get("/t/")
    assert home.status_code == 200
    assert home.text.count("is damaged") == 5
    assert ">good</a>" in home.text
    for name in ("torn", "bytes", "list", "odd"):
        page = client.get(f"/t/run?name={name}")
        assert page.status_code == 422
        assert "Cannot be read" in page.text
    assert "Nothing is in this run yet" in client.get(f"/t/run?name={bare.name}").text
    assert "2 of 2 items" in client.get("/t/run?name=empty").text
    assert "None yet" in client.get("/t/item?name=empty&suite=talk&item=0").text
    assert "Nothing is like that" in client.get("/t/run?name=empty&show=disagree").text


def test_a_text_of_a_megabyte_is_cut_on_the_page_and_whole_behind_a_link(tmp_path: Path) -> None:
    run = made(tmp_path / "r", 2)
    huge = "begin " + "<b>word</b> \u202e" * 80_000 + "the end"
    assert len(huge) > 1_000_000
    with Journal(run.answers_file("secret-two")) as journal:
        journal.append(answer("0", huge, "secret-two"))
    with Journal(run.verdicts_file("j", "r")) as journal:
        journal.append(
            Verdict(
                suite="talk", item="0", rubric=PAIRS, judge="j", shown=(("secret-one", 0),), reply=huge, scores=(1.0,)
            )
        )  # fmt: skip
    run.save_items("talk", [Item(id="0", turns=(huge,))])
    client = client_of(view_app(Shelf(run.path)))
    page = client.get("/t/item?name=r&suite=talk&item=0")
    assert page.status_code == 200
    assert len(page.text) < 12_000_000
    assert "the end" not in page.text
    links = [unescape(link) for link in re.findall(r'href="/t/(text\?[^"]+)"', page.text)]
    assert len(links) == 2
    prompt = client.get("/t/prompt?name=r&suite=talk&item=0&verdict=1").text
    links += [unescape(link) for link in re.findall(r'href="/t/(text\?[^"]+)"', prompt)]
    assert len(links) == 3
    for link in links:
        whole = client.get(f"/t/{link}")
        assert whole.text == visible(huge)
        assert whole.headers["content-type"] == "text/plain; charset=utf-8"
    assert client.get("/t/run?name=r&words=the+end").text.count("/item?") == 1
    labels = labels_of(Run(run.path))
    client = client_of(annotate_app({"ann": labels}))
    (number,) = [number for number, task in enumerate(labels.plan.tasks, 1) if task.item == "0"]
    task = client.get(f"/t/ann/{number}").text
    links = [unescape(link) for link in re.findall(r'href="/t/(ann/\d+/text\?[^"]+)"', task)]
    assert [client.get(f"/t/{link}").text for link in links] == [visible(huge)] * 2
    assert client.get(f"/t/ann/{number}/text?turn=1&side=9").status_code == 404


NAMES = [
    "a/b",
    "../../etc/passwd",
    "100%",
    "%2e%2e%2f",
    "a b&c=d#e?f",
    "ünï/日本",
    "<script>",
    "'\"",
    "\u202eabc",
    "+",
    ".",
]


def test_items_and_runs_of_any_name_are_found_by_their_own_links(tmp_path: Path) -> None:
    run = made(tmp_path / "results" / "odd & 100% <b>", 1)
    run.save_items("talk", [Item(id=name, turns=(f"about {number}",)) for number, name in enumerate(NAMES)])
    with Journal(run.answers_file("secret-one")) as journal:
        journal.append(*(answer(name, f"said {number}") for number, name in enumerate(NAMES)))
    raw = os.fsencode(tmp_path / "results") + b"/bytes\xff"
    made(tmp_path / "results" / "bytes", 1).path.rename(os.fsdecode(raw))
    client = client_of(view_app(Shelf(tmp_path / "results")))
    home = client.get("/t/").text
    runs = [unescape(link) for link in re.findall(r'href="/t/(run\?[^"]+)"', home)]
    assert len(runs) == 2
    pages = [client.get(f"/t/{link}") for link in runs]
    assert [page.status_code for page in pages] == [200, 200]
    links = [unescape(link) for page in pages for link in re.findall(r'href="/t/(item\?[^"]+)"', page.text)]
    texts = [client.get(f"/t/{link}") for link in links]
    assert [text.status_code for text in texts] == [200] * (len(NAMES) + 2)
    for number in range(len(NAMES)):
        assert sum(f"about {number}<" in text.text and f"said {number}<" in text.text for text in texts) == 1
    for name in ("..", ".", "../results/bytes", "/etc", "odd", "", "x\0y"):
        assert client.get(f"/t/run?{urlencode({'name': name})}").status_code == 404
    for path in (
        "run?name=..%2f..",
        "../../etc/passwd",
        "%2e%2e/%2e%2e/etc/passwd",
        "page.css/../../x",
        "static/page.js",
    ):
        assert client.get(f"/t/{path}").status_code in (403, 404)


def test_numbers_in_addresses_that_are_none_or_far_too_large_are_taken_for_none(tmp_path: Path) -> None:
    run = made(tmp_path / "r", 60)
    client = client_of(view_app(Shelf(run.path)))
    for page in ("-1", "0", "x", "9" * 5000, "²", "٣", "99"):
        text = client.get(f"/t/run?name=r&page={quote(page)}")
        assert text.status_code == 200
    assert client.get(f"/t/item?name=r&suite=talk&item=0&from={'9' * 5000}").status_code == 200
    assert client.get(f"/t/prompt?name=r&suite=talk&item=0&verdict={'9' * 5000}").status_code == 404
    labels = labels_of(run)
    client = client_of(annotate_app({"ann": labels}))
    for number in ("0", "61", "9" * 5000, "x", "-1"):
        assert client.get(f"/t/ann/{number}").status_code == 404


def test_an_item_with_very_many_verdicts_is_shown_in_pages_those_on_the_answers_shown_first(tmp_path: Path) -> None:
    run = made(tmp_path / "r", 2)
    for model in ("m3", "m4"):
        with Journal(run.answers_file(model)) as journal:
            journal.append(answer("0", model, model))
    with Journal(run.verdicts_file("many", "r")) as journal:
        for sample in range(200):
            journal.append(
                Verdict(suite="talk", item="0", rubric=PAIRS, judge="many", kind="preference", sample=sample,
                        shown=(("m3", 0), ("m4", 0)), scores=(1.0, 0.0))
            )  # fmt: skip
    client = client_of(view_app(Shelf(run.path)))
    first = client.get("/t/item?name=r&suite=talk&item=0").text
    assert "202 verdicts" in first
    assert first.count('details class="card"') == ON_PAGE
    assert "<b>j</b>" not in first
    last = client.get("/t/item?name=r&suite=talk&item=0&left=m3&right=m4&from=200").text
    assert "201 to 202" in last
    assert "<b>many</b>" not in last
    other = client.get("/t/item?name=r&suite=talk&item=0&left=secret-two&right=secret-one").text
    assert other.index("<b>j</b>") < other.index("<b>k</b>") < other.index("<b>many</b>")


def test_the_way_from_item_to_item_keeps_to_the_list_it_began_in(tmp_path: Path) -> None:
    run = made(tmp_path / "r", 12)
    client = client_of(view_app(Shelf(run.path)))
    listed = client.get("/t/run?name=r&show=disagree").text
    links = [unescape(link) for link in re.findall(r'href="/t/(item\?[^"]+)"', listed)]
    assert len(links) == 5  # 3, 4, 6, 8, 9: multiples of exactly one of 3 and 4
    here, seen = links[0], []
    for place in range(1, 6):
        page = client.get(f"/t/{here}").text
        assert f"item {place} of 5" in page
        seen.append(re.search(r"<h1>talk / (\d+)</h1>", page)[1])
        after = re.search(r'<a href="/t/([^"]+)" data-key="j"', page)
        here = unescape(after[1]) if after else ""
    assert sorted(seen, key=int) == ["3", "4", "6", "8", "9"]
    assert here == ""


def test_few_runs_are_held_at_a_time_and_the_rest_is_read_again(tmp_path: Path) -> None:
    for number in range(MOST_HELD + 2):
        made(tmp_path / f"r{number}", 2)
    shelf = Shelf(tmp_path)
    for number in range(MOST_HELD + 2):
        assert len(shelf.rows(f"r{number}")) == 2
    assert len(shelf._held) == MOST_HELD
    assert len(shelf.rows("r0")) == 2


def test_texts_that_repeat_themselves_for_ever_and_those_without_a_word_in_common_are_compared(tmp_path: Path) -> None:
    left, right = "a b c d " * 1000, "a b c " * 1300
    one, two, note = word_diff(left, right)
    assert ("".join(text for text, _ in one), "".join(text for text, _ in two), note) == (left, right, "")
    assert sum(len(text.split()) for text, differs in one if differs) >= 1000
    assert word_diff("a b c d e f g h", "i j k l m n o p")[2] == "no words are marked: the two have too few in common"
    assert "more than" in word_diff("a " * 5000, "b")[2]
    lone = word_diff("one two three of four five six seven eight", "alpha beta gamma of delta eps zeta seven eight")
    assert [text.strip() for text, differs in lone[0] if differs] == ["one two three of four five six"]
    assert word_diff("", "") == ([], [], "")


def test_hidden_and_hostile_characters_are_written_out_on_every_page(tmp_path: Path) -> None:
    run = made(tmp_path / "r", 2, text=HOSTILE)
    run.save_items("talk", [Item(id=HOSTILE, turns=(HOSTILE,), reference=(HOSTILE,), category=HOSTILE)])
    for model in ("secret-one", "secret-two"):
        with Journal(run.answers_file(model)) as journal:
            journal.append(answer(HOSTILE, HOSTILE + model, model))
    with Journal(run.verdicts_file(HOSTILE, "r")) as journal:
        journal.append(
            Verdict(suite="talk", item=HOSTILE, rubric=PAIRS, judge=HOSTILE, reply=HOSTILE, error=HOSTILE,
                    shown=(("secret-one", 0), ("secret-two", 0)))
        )  # fmt: skip
    view = client_of(view_app(Shelf(run.path)))
    item = urlencode({"name": "r", "suite": "talk", "item": HOSTILE})
    labels = labels_of(run)
    labels.skip(0, HOSTILE)
    people = client_of(annotate_app({"ann": labels}))
    words = quote(HOSTILE)
    paths = [
        "",
        "run?name=r",
        f"item?{item}",
        f"prompt?{item}&verdict=0",
        f"run?name={words}",
        f"run?name=r&words={words}",
    ]
    pages = [view.get(f"/t/{path}") for path in paths]
    pages += [people.get(f"/t/{path}") for path in ("", "ann/1", "ann/2", f"{quote(HOSTILE, safe='')}/")]
    for page in pages:
        inside = page.text.partition("<body>")[2]
        assert "<script" not in inside
        assert "<img" not in inside
        assert not re.search("[\u202e\u200b\x1b]", re.sub(r'value="[^"]*"', "", inside))
    assert sum(page.status_code == 200 for page in pages) == len(pages) - 2


def running(script: str) -> tuple[subprocess.Popen[str], str]:
    process = subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    return process, process.stdout.readline().strip()


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_server_killed_between_click_and_reply_leaves_a_label_that_is_whole_or_none(
    tmp_path: Path, when: str
) -> None:
    run = made(tmp_path / "r", mode="pointwise")
    script = (
        "import os, signal, sys\n"
        "from judgebench.runs import Journal\n"
        "real = Journal.append\n"
        "def append(self, *records):\n"
        f"    if {when!r} == 'after':\n        real(self, *records)\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
        "Journal.append = append\n"
        f"sys.argv = ['judgebench', 'annotate', {str(run.path)!r}, '--as', 'ann']\n"
        "from judgebench.cli import entry\nentry()\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    url = process.stdout.readline().strip()
    with pytest.raises((ConnectionError, http.client.HTTPException)):
        ask(f"{url}1", "POST", {"label:depth": "2", "label:tone": "5"})
    assert process.wait(20) == -signal.SIGKILL
    process.stdout.close()
    again = labels_of(Run(run.path))
    assert again.given(0) == ({"depth": "2", "tone": "5"} if when == "after" else {})
    assert again.counts().labelled == (when == "after")
    again.label(1, {"depth": "1", "tone": "1"})
    assert labels_of(Run(run.path)).counts().labelled == 1 + (when == "after")


def test_a_disk_that_is_full_is_said_on_the_page_and_no_half_of_a_label_is_kept(tmp_path: Path) -> None:
    run = made(tmp_path / "r", mode="pointwise")
    labels = labels_of(run)
    labels.label(0, {"depth": "2", "tone": "2"})
    line = labels.file.read_bytes()
    limit = 200_000
    with labels.file.open("ab") as file:
        file.write(line * ((limit - len(line) // 2) // len(line) - 1))
    size = labels.file.stat().st_size
    assert limit - size < 2 * len(line)
    script = (
        f"import resource, sys\nresource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, resource.RLIM_INFINITY))\n"
        f"sys.argv = ['judgebench', 'annotate', {str(run.path)!r}, '--as', 'ann']\n"
        "from judgebench.cli import entry\nentry()\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    url = process.stdout.readline().strip()
    try:
        statuses = []
        for number in range(2, 6):
            status, text, _ = ask(
                f"{url}{number}", "POST", {"label:depth": "3", "label:tone": "3"}, Accept="application/json"
            )
            statuses.append(status)
        assert statuses[-1] == 409
        assert "cannot write" in text
        assert ask(url)[0] == 303
        held = labels.file.read_bytes()
        assert held.endswith(b"\n")
        assert len(held) <= limit
        kept = len(statuses) - statuses.count(409)
        assert labels_of(Run(run.path)).counts().labelled == 1 + kept
        assert f"{1 + kept} labelled" in ask(f"{url}1")[1]
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(20)
        process.stdout.close()


def test_of_many_browsers_that_label_one_task_at_once_one_is_told_that_it_is_saved(tmp_path: Path) -> None:
    run = made(tmp_path / "r")
    process, url = start(run, "--as", "ann")
    try:
        with ThreadPoolExecutor(8) as pool:
            said = list(
                pool.map(lambda k: ask(f"{url}1", "POST", {"label:overall": "123"[k % 3], "was": "new"})[0], range(8))
            )
        assert sorted(said) == [303] + [409] * 7
        (verdict,) = run.verdicts(run.verdicts_file("human@ann", "")).values()
        winner = "123"[said.index(303) % 3]
        assert labels_of(Run(run.path)).given(0) == {"overall": winner}
        assert len(run.verdicts_file("human@ann", "").read_bytes().splitlines()) == 1
        assert verdict.scores
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(20)
        process.stdout.close()


def test_two_servers_of_one_annotator_see_and_respect_one_anothers_labels(tmp_path: Path) -> None:
    run = made(tmp_path / "r")
    one, two = labels_of(run), labels_of(Run(run.path))
    one.label(0, {"overall": "1"}, was="new")
    with pytest.raises(RunConflict, match="another window"):
        two.label(0, {"overall": "2"}, was="new")
    assert two.given(0) == {"overall": "1"}
    two.label(1, {"overall": "2"}, was="new")
    page = client_of(annotate_app({"ann": one})).get("/t/ann/2").text
    assert "2 labelled" in page
    assert one.undo() == 1
    two.refresh()
    assert two.counts().labelled == 1
    assert two.history == [0]


def raw(url: str, request: Callable[[str, str], bytes]) -> bytes:
    parts = urlsplit(url)
    with socket.create_connection(("127.0.0.1", parts.port), timeout=20) as sock:
        sock.sendall(request(parts.netloc, parts.path))
        sock.settimeout(20)
        return sock.recv(65536)


def test_forms_that_are_huge_chunked_foreign_or_without_the_token_change_nothing(tmp_path: Path) -> None:
    run = made(tmp_path / "r")
    process, url = start(run, "--as", "ann")
    try:
        head = "POST {path}1 HTTP/1.1\r\nHost: {host}\r\nOrigin: http://{host}\r\nConnection: close\r\n"

        def chunked(host: str, path: str) -> bytes:
            body = f"{head}Transfer-Encoding: chunked\r\n\r\n".format(host=host, path=path)
            return (body + "f\r\nlabel:overall=1\r\n0\r\n\r\n").encode()

        def huge(host: str, path: str) -> bytes:
            return (f"{head}Content-Length: {'9' * 12}\r\n\r\n".format(host=host, path=path)).encode()

        assert raw(url, chunked).startswith(b"HTTP/1.1 403")
        assert raw(url, huge).startswith(b"HTTP/1.1 403")
        parts = urlsplit(url)
        good = {"label:overall": "1"}
        assert ask(f"http://{parts.netloc}/ann/1", "POST", good)[0] == 403
        assert ask(f"http://{parts.netloc}/{'x' * 22}/ann/1", "POST", good)[0] == 403
        assert ask(f"{url}1", "POST", good, Origin=f"http://localhost:{parts.port}")[0] == 403
        assert ask(f"{url}1", "POST", good, Origin=f"https://{parts.netloc}")[0] == 403
        assert ask(f"{url}1", "PUT", good, Origin=f"http://{parts.netloc}")[0] == 405
        assert ask(f"{url}1", "POST", {f"f{k}": "x" for k in range(4000)})[0] == 409
        assert not run.verdicts_file("human@ann", "").exists()
        assert ask(f"{url}1", "POST", good)[0] == 303
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(20)
        process.stdout.close()


def test_an_answer_that_is_gone_and_a_damaged_plan_are_said_before_anybody_labels(tmp_path: Path) -> None:
    run = made(tmp_path / "r")
    plan = labels_of(run).plan
    run.answers_file("secret-two").unlink()
    with pytest.raises(UserError, match="is to label an answer that is gone"):
        Labels(Run(run.path), plan)
    next(run.path.glob("labelling/*.json")).write_bytes(b'{"annotator": "\xff"}')
    with pytest.raises(UserError, match="is damaged"):
        labels_of(Run(run.path))


def test_memory_of_a_viewed_run_stays_near_its_size_on_disk(tmp_path: Path) -> None:
    run = made(tmp_path / "r", 40)
    shelf = Shelf(run.path)
    shelf.rows("r")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with Journal(run.verdicts_file("j", "r")) as journal:
        for k in range(40):
            journal.append(
                Verdict(suite="talk", item=str(k), rubric=PAIRS, judge="j", reply="x" * 1_000_000, scores=(1.0, 0.0),
                        shown=(("secret-one", 0), ("secret-two", 0)), sample=1)
            )  # fmt: skip
    for _ in range(5):
        assert len(shelf.rows("r")) == 40
        shelf.progress("r")
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    assert grown < 3 * 40


def test_while_a_run_is_read_little_more_is_held_than_afterwards(tmp_path: Path) -> None:
    run = made(tmp_path / "r", 40)
    with Journal(run.verdicts_file("j", "r")) as journal:
        for number in range(4000):
            journal.append(
                Verdict(suite="talk", item=str(number % 40), rubric=PAIRS, judge="j", reply=f"{number} " + "x" * 100,
                        scores=(1.0, 0.0), shown=(("secret-one", 0), ("secret-two", 0)), sample=number + 1)
            )  # fmt: skip
    shelf = Shelf(run.path)
    tracemalloc.start()
    try:
        rows = shelf.rows("r")
        held, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    said = [verdict for row in rows for verdict in row.verdicts]
    assert len(said) == 4080
    assert most < 1.2 * held
    assert len({id(verdict.shown) for verdict in said}) == 1
