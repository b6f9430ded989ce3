"""The pictures of the README: there, referred to with words for those who cannot see them, and small."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
IMAGES = ROOT / "docs" / "images"


def test_every_picture_is_made_by_the_script_shown_in_the_readme_and_small() -> None:
    script = runpy.run_path(str(ROOT / "docs" / "screenshots.py"), run_name="docs.screenshots")
    there = {path.name: path.read_bytes() for path in IMAGES.iterdir()}
    assert set(there) == set(script["PICTURES"])
    assert sum(map(len, there.values())) < script["MOST"] == 1_000_000
    for name, content in there.items():
        assert content.startswith(b"\x89PNG\r\n"), name
        width, height = (int.from_bytes(content[at : at + 4], "big") for at in (16, 20))
        assert (width, height) == (script["WIDTH"], script["HEIGHT"]), name
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert set(re.findall(r"docs/images/([\w.-]+)", readme)) == set(there)
    assert "make screenshots" in readme


def test_each_light_picture_has_a_dark_one_and_a_text_that_says_what_it_shows() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    pictures = re.findall(r"<picture>(.*?)</picture>", readme, re.DOTALL)
    assert len(pictures) == 3
    for picture in pictures:
        (dark,) = re.findall(
            r'<source media="\(prefers-color-scheme: dark\)" srcset="docs/images/(\w+)-dark\.png">', picture
        )
        (light, words) = re.findall(r'<img src="docs/images/(\w+)-light\.png" width="\d+" alt="([^"]+)">', picture)[0]
        assert dark == light
        assert len(words.split()) > 8
