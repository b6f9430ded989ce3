"""The training text of the tiny checkpoints: sums, letters, choices, one-line functions, short chats; our own words.

Every generator draws from a seeded `random.Random` and passes over whatever the mini suites hold
(`held_out.HeldOut`), so that no suite item, and no sum with the operands of one, is ever read in training.
"""

from __future__ import annotations

import random
import string
from collections.abc import Iterator, Mapping

import prose
from held_out import HeldOut, instruction, with_choices

Text = tuple[tuple[str, str], ...]
"""A chat: questions, each with its answer, which is what is learned."""


THINGS = [
    "apples",
    "pens",
    "shells",
    "stones",
    "books",
    "cups",
    "beads",
    "nuts",
    "plums",
    "leaves",
    "tickets",
    "boats",
    "balls",
    "bags",
    "bells",
    "hats",
    "rings",
    "seeds",
    "toys",
    "keys",
]
ARGUMENTS = ["n", "x", "k", "m", "y", "number", "value", "amount", "size", "count", "total_count", "z"]
TEXT_ARGUMENTS = ["text", "word", "s", "line", "name", "string", "label", "title", "phrase"]
LIST_ARGUMENTS = ["items", "values", "numbers", "data", "rows", "seq", "elements"]
LETTERS = string.ascii_lowercase
NUMBERS_SHARES = {"brief_sum": 60, "brief_difference": 40}
BASE_SHARES = {
    "brief_sum": 14, "brief_difference": 12, "pick": 28, "function": 14, "copy": 6, "brief_ending": 8, "extreme": 10,
    "story": 4, "sum": 2, "difference": 2,
}  # fmt: skip
TUNED_SHARES = {
    "sum": 14, "difference": 13, "story": 8, "extreme": 27, "ending": 7, "brief_ending": 3, "function": 18, "chat": 10
}  # fmt: skip
"""Kind of text → its weight, step by step; small talk is drawn chat by chat, the others question by question."""
LONG_ENOUGH = 90
"""Characters from which on a chat gets no further question."""


class Tasks:
    """Draws (prompt, answer) pairs of each family, exactly in the mini suites' prompt forms.

    Args:
        draw: the source of chance.
        held: what to pass over.
    """

    def __init__(self, draw: random.Random, held: HeldOut) -> None:
        self.draw, self.held = draw, held

    def operands(self, *, ordered: bool = False) -> tuple[int, int]:
        """Two numbers of at most two digits that no suite item adds or subtracts; the larger first where ordered."""
        while True:
            low = 10 if self.draw.random() < 0.9 else 1
            a, b = self.draw.randint(low, 99), self.draw.randint(low, 99)
            if (min(a, b), max(a, b)) not in self.held.pairs:
                return (max(a, b), min(a, b)) if ordered else (a, b)

    def numbers(self) -> list[str]:
        """Four different numbers that are not together the choices of a suite item."""
        while True:
            numbers = [str(number) for number in self.draw.sample(range(10, 100), 4)]
            if frozenset(numbers) not in self.held.choices:
                return numbers

    def word(self) -> str:
        """A made-up word that no suite item asks about."""
        while True:
            letters = [self.draw.choice("bcdfghklmnprstvw" if place % 2 == 0 else "aeiou") for place in range(7)]
            if self.draw.random() < 0.5:
                letters[self.draw.randrange(1, 6)] = self.draw.choice(LETTERS)
            made = "".join(letters[: self.draw.randint(4, 7)])
            if made not in self.held.words:
                return made

    def sum(self) -> tuple[str, str]:
        """A sum of two numbers."""
        a, b = self.operands()
        return f"Question: What is {a} + {b}?\nAnswer:", f" {a + b}"

    def difference(self) -> tuple[str, str]:
        """A difference that is not negative."""
        a, b = self.operands(ordered=True)
        return f"Question: What is {a} - {b}?\nAnswer:", f" {a - b}"

    def story(self) -> tuple[str, str]:
        """A one-step story."""
        name, thing = self.draw.choice(prose.NAMES), self.draw.choice(THINGS)
        a, b = self.operands()
        low, high = min(a, b), max(a, b)
        told, result = self.draw.choice((
            (f"{name} has {a} {thing} and buys {b} more. How many {thing} does {name} have now?", a + b),
            (f"{name} has {high} {thing} and gives away {low}. How many {thing} are left?", high - low),
            (f"There are {a} {thing} in one box and {b} in another. How many {thing} are there in all?", a + b),
            (f"A shop has {high} {thing} and sells {low} of them. How many {thing} remain?", high - low),
        ))  # fmt: skip
        return f"Question: {told}\nAnswer:", f" {result}"

    def extreme(self) -> tuple[str, str]:
        """Which of four numbers is the largest or the smallest."""
        numbers = self.numbers()
        largest = self.draw.random() < 0.65
        best = (max if largest else min)(numbers, key=int)
        question = f"Which of these numbers is the {'largest' if largest else 'smallest'}?"
        return self._choice(question, numbers, numbers.index(best))

    def ending(self) -> tuple[str, str]:
        """Which of four letters is a word's last."""
        while True:
            word = self.word()
            others = [letter for letter in dict.fromkeys(word[:-1]) if letter != word[-1]]
            if len(others) >= 3:
                break
        letters = [word[-1], *self.draw.sample(others, 3)]
        self.draw.shuffle(letters)
        return self._choice(f'Which is the last letter of the word "{word}"?', letters, letters.index(word[-1]))

    def brief_sum(self) -> tuple[str, str]:
        """A sum without words."""
        a, b = self.operands()
        return f"{a} + {b} =", f"{a + b}"

    def brief_difference(self) -> tuple[str, str]:
        """A difference without words."""
        a, b = self.operands(ordered=True)
        return f"{a} - {b} =", f"{a - b}"

    def pick(self) -> tuple[str, str]:
        """The letter of the largest or smallest of four numbers, in few words."""
        numbers = self.numbers()
        word, extreme = ("largest", max) if self.draw.random() < 0.65 else ("smallest", min)
        listed = with_choices("", numbers).strip()
        return f"{listed}\n{word}:", "ABCD"[numbers.index(extreme(numbers, key=int))]

    def copy(self) -> tuple[str, str]:
        """A word, a number or both, to say again."""
        word, number = self.word(), str(self.draw.randint(2, 99))
        said = self.draw.choice((word, number, f"{word} {number}"))
        return f"say {said}", said

    def brief_ending(self) -> tuple[str, str]:
        """The last letter of a word."""
        word = self.word()
        return f'last letter: "{word}"', word[-1]

    def _choice(self, question: str, choices: list[str], right: int) -> tuple[str, str]:
        return f"{with_choices(question, choices)}\nAnswer with one letter:", f" {'ABCD'[right]}"

    def function(self) -> tuple[str, str]:
        """A function of one line, to complete."""
        while True:
            prompt, body = self._function()
            if instruction(prompt) not in self.held.instructions:
                return prompt, body

    def _function(self) -> tuple[str, str]:
        number, letter = self.draw.randint(2, 99), self.draw.choice(LETTERS)
        n, text = self.draw.choice(ARGUMENTS), self.draw.choice(TEXT_ARGUMENTS)
        many = self.draw.choice(TEXT_ARGUMENTS + LIST_ARGUMENTS)
        part = "characters" if many in TEXT_ARGUMENTS else "elements"
        other = self.draw.choice([mark for mark in LETTERS if mark != letter])
        one, two = self.draw.sample([*LETTERS, *ARGUMENTS[5:9]], 2)
        name, arguments, said, body = self.draw.choice((
            (f"{self.draw.choice(('add', 'plus'))}_{number}", n, f"{n} plus {number}", f"{n} + {number}"),
            (f"{self.draw.choice(('minus', 'less'))}_{number}", n, f"{n} minus {number}", f"{n} - {number}"),
            (f"times_{number}", n, f"{n} times {number}", f"{n} * {number}"),
            (f"above_{number}", n, f"True if {n} is greater than {number}", f"{n} > {number}"),
            (f"below_{number}", n, f"True if {n} is less than {number}", f"{n} < {number}"),
            (f"divides_by_{number}", n, f"True if {n} is divisible by {number}", f"{n} % {number} == 0"),
            (f"first_{number}", many, f"the first {number} {part} of {many}", f"{many}[:{number}]"),
            (f"last_{number}", many, f"the last {number} {part} of {many}", f"{many}[-{number}:]"),
            (f"repeat_{number}", text, f"{text} repeated {number} times", f"{text} * {number}"),
            (f"count_{letter}", text, f"how many times '{letter}' occurs in {text}", f"{text}.count('{letter}')"),
            (f"swap_{letter}", text, f"{text} with every '{letter}' replaced by '{other}'",
             f"{text}.replace('{letter}', '{other}')"),
            (f"starts_with_{letter}", text, f"True if {text} starts with '{letter}'", f"{text}.startswith('{letter}')"),
            ("larger", f"{one}, {two}", f"the larger of {one} and {two}", f"max({one}, {two})"),
            ("total", f"{one}, {two}", f"the sum of {one} and {two}", f"{one} + {two}"),
        ))  # fmt: skip
        return f'def {name}({arguments}):\n    """Return {said}."""\n', f"    return {body}"


def chats(draw: random.Random, held: HeldOut, texts: int, shares: Mapping[str, int]) -> Iterator[Text]:
    """Chats of several questions: many answers in few characters."""
    tasks = Tasks(draw, held)

    def kinds() -> str:
        return draw.choices(list(shares), list(shares.values()))[0]

    for _ in range(texts):
        kind = kinds()
        if kind == "chat":
            turns = prose.conversation(draw)
            while any(held.text_in(turn) for turn in turns[::2]):
                turns = prose.conversation(draw)
            yield tuple(zip(turns[::2], turns[1::2], strict=True))
            continue
        asked: list[tuple[str, str]] = []
        while sum(len(prompt) + len(answer) for prompt, answer in asked) < LONG_ENOUGH:
            if kind != "chat":
                prompt, answer = getattr(tasks, kind)()
                asked.append((prompt, answer if kind == "function" else answer.strip()))
            kind = kinds()
        yield tuple(asked)
