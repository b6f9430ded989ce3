"""What hides is written out: in names and texts, and on every way to the terminal."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from judgebench.cli import main
from judgebench.report.visible import one_line, visible
from judgebench.runs import Journal, Run
from judgebench.stages.progress import say
from judgebench.types import Answer

EVIL = "\x1b[31mred\u202eback\x07"


@pytest.mark.parametrize(
    "hidden",
    ["\u034f", "\u115f", "\u1160", "\u3164", "\uffa0", "\u2800", "\ufe0f", "\ufe00", "\U000e0100", "\u180b",
     "\u200b", "\u202e", "\u00ad", "\x1b", "\U000e0041"],
)  # fmt: skip
def test_characters_that_print_nothing_are_written_out_between_letters_alone_and_at_either_end(hidden: str) -> None:
    said = f"⟨U+{ord(hidden):04X}⟩"
    for before, after in (("a", "b"), ("", ""), ("", "b"), ("a", "")):
        assert visible(before + hidden + after) == before + said + after


@pytest.mark.parametrize(
    "text", ["❤\ufe0f", "1\ufe0f\u20e3", "葛\U000e0100飾", "⠓⠑⠇⠇⠕\u2800⠺⠕⠗⠇⠙", "👩\u200d🔬", "a\tb\nc"]
)
def test_what_text_needs_to_be_drawn_rightly_stays(text: str) -> None:
    assert visible(text) == text


def test_a_message_hidden_in_a_row_of_variation_selectors_is_seen() -> None:
    assert visible("❤\ufe0f" + "\U000e0141\U000e0142") == "❤\ufe0f⟨U+E0141⟩⟨U+E0142⟩"
    assert visible("é\u200b\ufe0f").endswith("⟨U+200B⟩⟨U+FE0F⟩")


@pytest.mark.parametrize(
    "words", [(EVIL,), ("report", EVIL), ("export", "{run}", EVIL), ("check", EVIL), ("rate", "{run}", f"--{EVIL}")]
)
def test_an_error_that_quotes_what_was_given_sends_nothing_raw_to_the_terminal(
    tmp_path: Path, words: tuple[str, ...]
) -> None:
    Run(tmp_path / "run", create=True)
    done = subprocess.run(
        [sys.executable, "-m", "judgebench", *(word.format(run=tmp_path / "run") for word in words)],
        cwd=tmp_path, capture_output=True, text=True, env={**os.environ, "PYTHONIOENCODING": "utf-8"},
        stdin=subprocess.DEVNULL, timeout=60,
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr.startswith("judgebench: ")
    assert done.stderr.count("\n") == 1
    for raw in "\x1b\u202e\x07":
        assert raw not in done.stdout + done.stderr
    assert "⟨U+001B⟩" in done.stderr or "\\x1b" in done.stderr


def test_a_line_of_progress_and_the_notes_of_a_stage_write_out_what_a_name_hides(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    say(f"{EVIL}: 3 done")
    run = Run(tmp_path / "run", create=True)
    run.manifest["models"][EVIL] = {"backend": "imported", "id": EVIL, "options": {}}
    run.manifest["suites"]["s"] = {"scorer": "", "items": 0}
    run.save_manifest()
    with Journal(run.answers_file(EVIL)) as journal:
        journal.append(Answer(suite="s", item="1", model=EVIL, turns=("x",), finish=("stop",)))

    assert main(["list", "runs", str(tmp_path)]) == 0
    out, err = capsys.readouterr()
    assert "⟨U+001B⟩[31mred⟨U+202E⟩back⟨U+0007⟩: 3 done\n" in err
    for raw in "\x1b\u202e\x07":
        assert raw not in out + err


def test_one_line_is_one_line() -> None:
    assert one_line("a\r\nb\nc\td") == "a⏎b⏎c d"
