"""Colours of the pages: readable in light and dark, and no meaning by hue alone under any colour blindness.

Simulation: Machado, Oliveira and Fernandes 2009, severity 1.0, on linear RGB. Contrast: WCAG 2.1. Distance: CIE 1976.
"""

from __future__ import annotations

import re
from itertools import pairwise

import numpy as np
import pytest

from judgebench.report.styles import STEPS, STYLES

MACHADO = {
    "none": np.eye(3),
    "protanopia": np.array([[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216],
                            [-0.003882, -0.048116, 1.051998]]),
    "deuteranopia": np.array([[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413],
                              [-0.011820, 0.042940, 0.968881]]),
    "tritanopia": np.array([[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602],
                            [0.004733, 0.691367, 0.303900]]),
}  # fmt: skip
XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
)
WHITE = XYZ @ np.ones(3)


def linear(colour: str) -> np.ndarray:
    digits = colour.lstrip("#")
    digits = "".join(sign * 2 for sign in digits) if len(digits) == 3 else digits
    parts = np.array([int(digits[at : at + 2], 16) / 255 for at in (0, 2, 4)])
    return np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)


def luminance(colour: str) -> float:
    return float(XYZ[1] @ linear(colour))


def contrast(one: str, other: str) -> float:
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def lab(colour: str, sight: str) -> np.ndarray:
    seen = np.clip(MACHADO[sight] @ linear(colour), 0, 1)
    ratio = XYZ @ seen / WHITE
    f = np.where(ratio > (6 / 29) ** 3, np.cbrt(ratio), ratio / (3 * (6 / 29) ** 2) + 4 / 29)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def distance(one: str, other: str, sight: str) -> float:
    return float(np.linalg.norm(lab(one, sight) - lab(other, sight)))


def variables(block: str) -> dict[str, str]:
    return dict(re.findall(r"--([\w-]+):(#[0-9a-f]{3,6})", block))


LIGHT = variables(re.search(r":root\{color-scheme:light dark;(.*?)\}", STYLES, re.DOTALL)[1])
DARK = variables(re.search(r"prefers-color-scheme:dark\)\{:root\{(.*?)\}", STYLES, re.DOTALL)[1])
STEPS_OF = [re.findall(r"\.h\d+\{background:(#[0-9a-f]{6})\}", part)
            for part in STYLES.split("@media screen and (prefers-color-scheme:dark){.h0")]  # fmt: skip
HEAT = {"light": STEPS_OF[0], "dark": re.findall(r"h\d+\{background:(#[0-9a-f]{6})\}", STYLES.split("dark){.h0")[1])}
HEAT["dark"] = [STYLES.split("dark){.h0{background:")[1][:7], *HEAT["dark"]]
THEMES = {"light": LIGHT, "dark": DARK}


def test_the_matrices_keep_grey_grey_and_hide_what_each_blindness_hides() -> None:
    for sight, matrix in MACHADO.items():
        assert matrix.sum(axis=1) == pytest.approx(np.ones(3), abs=1e-5), sight
    assert distance("#c00000", "#606000", "none") > 2 * distance("#c00000", "#606000", "deuteranopia")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_text_colour_is_readable_on_every_ground_it_stands_on(theme: str) -> None:
    colours = THEMES[theme]
    grounds = dict.fromkeys(("ink", "muted", "accent", "odd"), ("paper", "panel"))
    grounds |= {name: ("paper", "panel", f"{name}-paper") for name in ("warn", "bad")}
    for text, where in grounds.items():
        for ground in where:
            assert contrast(colours[text], colours[ground]) >= 4.5, (text, ground)
    assert contrast(colours["ink"], colours["warn-paper"]) >= 4.5


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_numbers_are_readable_on_every_step_of_the_heat_map(theme: str) -> None:
    assert len(HEAT[theme]) == STEPS + 1
    for step in HEAT[theme]:
        assert contrast(THEMES[theme]["ink"], step) >= 4.5, step


@pytest.mark.parametrize("sight", MACHADO)
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_winning_losing_and_even_are_told_apart_under_every_colour_blindness(theme: str, sight: str) -> None:
    steps = HEAT[theme]
    middle = STEPS // 2
    for away in range(2, middle + 1):
        assert distance(steps[middle - away], steps[middle + away], sight) > 10, away
    assert distance(steps[0], steps[middle], sight) > 15
    assert distance(steps[STEPS], steps[middle], sight) > 15
    for side in (steps[: middle + 1][::-1], steps[middle:]):
        away = [distance(step, steps[middle], sight) for step in side]
        assert all(nearer < farther for nearer, farther in pairwise(away)), away


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_lines_and_dots_of_charts_stand_out_from_the_ground(theme: str) -> None:
    colours = THEMES[theme]
    for sight in MACHADO:
        assert distance(colours["accent"], colours["paper"], sight) > 30
    assert contrast(colours["accent"], colours["paper"]) >= 3
    assert contrast(colours["muted"], colours["paper"]) >= 3
    paper, accent = (np.array([int(colours[name][at : at + 2], 16) if len(colours[name]) == 7 else 255
                               for at in (1, 3, 5)]) for name in ("paper", "accent"))  # fmt: skip
    share = float(re.search(r"\.plot \.interval\{[^}]*opacity:(\.\d+)", STYLES)[1])
    mixed = "#" + "".join(f"{round(part):02x}" for part in share * accent + (1 - share) * paper)
    assert contrast(mixed, colours["paper"]) >= 3


def test_an_alarm_is_said_by_a_sign_and_in_words_and_never_by_colour_alone() -> None:
    from judgebench.report.html_tables import table_of
    from judgebench.report.tables import Cell, Column, Table

    row = tuple(Cell(text="5", level=level) for level in ("", "warn", "bad"))
    source = table_of(Table(title="t", columns=(Column(title="a"),) * 3, rows=(row,)))
    assert '<td class="number warn">5<span aria-hidden="true"> !</span><span class="unseen"> (warning)</span>' in source
    assert (
        '<td class="number bad">5<span aria-hidden="true"> !!</span><span class="unseen"> (too high)</span>' in source
    )
