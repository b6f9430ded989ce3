"""Makes the pictures of the README: report, viewer and labelling page, light and dark, of a run that it makes itself.

    make screenshots            # installs what this needs, Chromium where it may; then runs this file

The run is two tiny checkpoints of `examples/`, greedy and sampled, on three small suites, judged by two baselines that
are no language models: no key, no GPU, no network. Pictures hold what those models and baselines really did; only the
date in them changes from one making to the next.
"""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
IMAGES = ROOT / "docs" / "images"
SCHEMES = ("light", "dark")
WIDTH, HEIGHT = 1100, 820
"""Size of a picture in CSS pixels, which are its own."""
PICTURES = tuple(f"{page}-{scheme}.png" for page in ("report", "view", "annotate") for scheme in SCHEMES)
"""What is written."""
MOST = 1_000_000
"""Bytes of all pictures together."""
SHOWN = ("tiny-tuned", "tiny-tuned-sampled")
"""The models whose answers it shows side by side."""
DRAW = ("--seed", "26")
"""A draw of the labelling page that begins with two readable answers, which are few among these models'."""


def make_run(folder: Path) -> Path:
    """The run of the pictures, below ``folder``; what the response cache holds is not generated again."""
    examples = ROOT / "examples"
    models = [
        "--model", f"tiny-base=hf/{examples / 'tiny-base'}", "--model", f"tiny-tuned=hf/{examples / 'tiny-tuned'}",
        "--model", f"tiny-tuned-sampled=hf/{examples / 'tiny-tuned'}", "--option", "tiny-tuned-sampled.temperature=0.8",
        "--model", f"tiny-base-sampled=hf/{examples / 'tiny-base'}", "--option", "tiny-base-sampled.temperature=0.8",
    ]  # fmt: skip
    judges = ["--judge", "baseline/overlap", "--judge", "baseline/longest", "--rubric", "pairwise-mtbench"]
    suites = ["--suite", "mini-choice,mini-math,mini-chat", "--batch-size", "32", "--seed", "0"]
    command = [sys.executable, "-m", "judgebench", "run", "tiny-models", *suites, *models, *judges, "--quiet"]
    subprocess.run(command, cwd=folder, check=True)
    return folder / "results" / "tiny-models"


@contextlib.contextmanager
def serving(folder: Path, *words: str) -> Iterator[str]:
    """The first address that a command of local pages prints; it ends with the block."""
    command = [sys.executable, "-m", "judgebench", *words]
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.terminate()


def take(page: Any, name: str, scheme: str) -> None:
    """Writes what the page shows now as ``docs/images/NAME-SCHEME.png``."""
    page.wait_for_load_state("networkidle")
    page.screenshot(path=IMAGES / f"{name}-{scheme}.png", animations="disabled", caret="hide")


def show_two(page: Any, address: str) -> None:
    """Opens the first question of mini-chat on whose two answers the viewer marks words.

    Raises:
        SystemExit: it marks none on any.
    """
    for item in range(1, 25):
        page.goto(f"{address}item?name=tiny-models&suite=mini-chat&item={item}&left={SHOWN[0]}&right={SHOWN[1]}")
        if page.locator("mark").count():
            return
    raise SystemExit("the viewer marks no words on any question of mini-chat: the picture would not show what it says")


def main() -> None:
    """Writes every picture.

    Raises:
        SystemExit: Chromium is missing, the pictures are too large, or one would not show what the README says.
    """
    from playwright.sync_api import sync_playwright

    program = shutil.which("chromium")
    if program is None:
        raise SystemExit("no chromium is installed (Debian: apt-get install chromium)")
    IMAGES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch, sync_playwright() as playwright:
        folder = Path(scratch)
        run = make_run(folder)
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        for scheme in SCHEMES:
            page = browser.new_page(
                color_scheme=scheme, viewport={"width": WIDTH, "height": HEIGHT}, locale="en-GB", timezone_id="UTC"
            )
            page.goto((run / "report.html").as_uri())
            take(page, "report", scheme)
            with serving(folder, "view") as address:
                show_two(page, address)
                take(page, "view", scheme)
            with serving(folder, "annotate", "tiny-models", "--as", "ann", "--labels", "40", *DRAW) as address:
                page.goto(address)
                page.wait_for_url("**/ann/**")
                take(page, "annotate", scheme)
            page.close()
        browser.close()
    sizes = {name: (IMAGES / name).stat().st_size for name in PICTURES}
    print("\n".join(f"docs/images/{name}  {size:,} bytes" for name, size in sizes.items()))
    if sum(sizes.values()) > MOST:
        raise SystemExit(f"{sum(sizes.values()):,} bytes in all; at most {MOST:,} are wanted")


if __name__ == "__main__":
    main()
