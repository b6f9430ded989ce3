"""Short replies for the chat part of the training text: things, notes, tips, facts. None of it is a suite item."""

from __future__ import annotations

import random

NAMES = [
    "Anna",
    "Ben",
    "Carla",
    "David",
    "Eva",
    "Finn",
    "Greta",
    "Hugo",
    "Iris",
    "Jonas",
    "Kira",
    "Leo",
    "Mona",
    "Nils",
    "Olga",
    "Paul",
    "Rosa",
    "Sam",
    "Tina",
    "Uwe",
    "Vera",
    "Willi",
]
THINGS = {
    "kettle": ("a metal pot", "boil water", "in a kitchen or at a camp fire"),
    "ladder": ("a frame with steps", "reach high places", "in a barn or at a house wall"),
    "hammer": ("a heavy tool", "drive nails into wood", "in a workshop or at a building site"),
    "needle": ("a thin pointed tool", "sew cloth", "at a tailor's or at home"),
    "saw": ("a tool with sharp teeth", "cut wood", "in a workshop or in a forest"),
    "broom": ("a brush with a long handle", "sweep the floor", "in a kitchen or in a yard"),
    "rope": ("a strong cord", "tie things together", "on a ship or on a farm"),
    "candle": ("a stick of wax", "give a little light", "at a table or in a church"),
    "torch": ("a small lamp", "light the way in dark places", "in a cellar or on a path at night"),
    "map": ("a drawing of a place", "find the way", "on a hike or in a foreign town"),
    "telescope": ("a long tube with lenses", "see things far away", "on a hill or on a boat"),
    "spade": ("a flat garden tool", "dig the soil", "in a garden or in a field"),
    "pillow": ("a soft bag of feathers", "rest the head", "in a bed or on a sofa"),
    "bucket": ("a round pot with a handle", "carry water", "in a garden or in a stable"),
    "clock": ("a machine with two hands", "tell the time", "in a kitchen or at a station"),
    "guitar": ("a wooden instrument with six strings", "play songs", "on a stage or at a camp fire"),
    "flute": ("a thin wooden instrument", "play high notes", "in an orchestra or at school"),
    "drum": ("a round instrument with a skin", "keep the beat", "in a band or in a parade"),
    "piano": ("a large instrument with black and white keys", "play music", "in a hall or at home"),
    "cup": ("a small bowl with a handle", "drink tea", "in a kitchen or in an office"),
    "basket": ("a box made of thin wood", "carry fruit", "at a market or in a garden"),
    "helmet": ("a hard hat", "protect the head", "on a bicycle or at a building site"),
    "tent": ("a small house of cloth", "sleep outside", "at a camp site or in a garden"),
}
CAPITALS = {
    "Spain": "Madrid", "Italy": "Rome", "Poland": "Warsaw", "Norway": "Oslo", "Greece": "Athens", "Japan": "Tokyo",
    "Austria": "Vienna", "Hungary": "Budapest", "Ireland": "Dublin", "Finland": "Helsinki", "Denmark": "Copenhagen",
}  # fmt: skip
ANIMALS = {"cat": "four", "horse": "four", "hen": "two", "beetle": "six", "crab": "ten", "duck": "two", "dog": "four"}
GIFTS = [
    "the lovely flowers",
    "the warm socks",
    "the cherry jam",
    "the plum cake",
    "the new book",
    "the green scarf",
    "the fresh bread",
    "the nice card",
    "the good wine",
    "the carrot soup",
    "the old records",
    "the nut cake",
]
EVENTS = [
    "the team meeting",
    "the chess club",
    "the piano lesson",
    "the dinner",
    "the yoga class",
    "the staff party",
    "the football game",
    "the band rehearsal",
    "the dentist",
    "the reading group",
]
PARTIES = [
    "a garden party",
    "a dinner",
    "a house warming",
    "a picnic",
    "a film night",
    "a birthday party",
    "a winter brunch",
    "a street festival",
]
SKILLS = [
    "drawing",
    "swimming",
    "juggling",
    "running",
    "dancing",
    "knitting",
    "typing",
    "chess",
    "singing",
    "Spanish",
    "baking",
    "gardening",
    "skiing",
]
BROKEN = [
    "the printer",
    "the coffee machine",
    "the front door",
    "the heating",
    "the meeting room",
    "the copier",
    "the big screen",
]
DAYS = ["Monday morning", "Tuesday noon", "Wednesday evening", "Thursday noon", "Saturday morning"]
SYNONYMS = {
    "big": "large",
    "quick": "fast",
    "sad": "unhappy",
    "small": "little",
    "start": "begin",
    "loud": "noisy",
    "calm": "quiet",
}
SHORTER = ("Can you make that shorter?", "Please shorten it.", "Now shorter, please.", "Make this shorter.")
FORMAL = ("Can you make that more formal?", "Please write it more formally.", "Make this sound formal.")
REASON = ("Why is that useful?", "Why is that a good idea?", "Why would that help me?", "Tell me why that helps.")
PLACE = ("Where would people use one?", "Where can one use it?", "Where might we use one?", "Where is it used?")


def conversation(draw: random.Random) -> list[str]:
    """User and assistant texts in turn, two or four of them, the user's first."""
    turns = draw.choice(_FAMILIES)(draw)
    return turns if draw.random() < 0.7 else turns[:2]


def _article(thing: str) -> str:
    return f"an {thing}" if thing[0] in "aeiou" else f"a {thing}"


def _use(draw: random.Random) -> list[str]:
    thing = draw.choice(list(THINGS))
    _, use, place = THINGS[thing]
    first, where = f"What is {_article(thing)} used for?", draw.choice(PLACE)
    noun = _article(thing)
    return [first, f"{noun.capitalize()} is used to {use}.", where, f"Someone might use {noun} {place}."]


def _describe(draw: random.Random) -> list[str]:
    thing = draw.choice(list(THINGS))
    what, use, place = THINGS[thing]
    noun = _article(thing)
    ask = draw.choice((f"Describe {noun} in one sentence.", f"Describe {noun} in a sentence.", f"What is {noun}?"))
    said = f"{noun.capitalize()} is {what} that is used to {use}."
    return [ask, said, draw.choice(PLACE), f"Someone might use {noun} {place}."]


def _capital(draw: random.Random) -> list[str]:
    land = draw.choice(list(CAPITALS))
    town = CAPITALS[land]
    follow = draw.choice(("Tell me one thing about that city.", "What is that city known for?"))
    return [f"What is the capital of {land}?", f"The capital of {land} is {town}.", follow,
            f"{town} is known for its old town and its fine streets."]  # fmt: skip


def _legs(draw: random.Random) -> list[str]:
    one, two = draw.sample(list(ANIMALS), 2)
    return [f"How many legs does a {one} have?", f"A {one} has {ANIMALS[one]} legs.",
            f"And how many does a {two} have?", f"A {two} has {ANIMALS[two]} legs."]  # fmt: skip


def _thanks(draw: random.Random) -> list[str]:
    name, gift = draw.choice(NAMES), draw.choice(GIFTS)
    return [f"Write a short thank-you note to {name} for {gift}.",
            f"Dear {name}, thank you so much for {gift}. It was very kind of you.",
            draw.choice(SHORTER), f"Dear {name}, many thanks for {gift}!"]  # fmt: skip


def _late(draw: random.Random) -> list[str]:
    event = draw.choice(EVENTS)
    return [f"Write a short message to say that I will be late for {event}.",
            f"Hello, I am sorry, but I will be late for {event} today. Please start without me.",
            draw.choice(FORMAL),
            f"Dear all, I regret to inform you that I will arrive late for {event} today. Kind regards."]  # fmt: skip


def _invite(draw: random.Random) -> list[str]:
    whom, party = draw.choice(("friends", "colleagues", "family", "all")), draw.choice(PARTIES)
    bring = draw.choice(("a drink", "a cake", "a friend", "warm clothes", "a game"))
    said = f"Dear {whom}, we would love to see you at our {party.partition(' ')[2]} this Saturday"
    return [f"Write one sentence to invite {whom} to {party}.", f"{said}.",
            f"Now add that they should bring {bring}.", f"{said}; please bring {bring}."]  # fmt: skip


def _decline(draw: random.Random) -> list[str]:
    party = draw.choice(PARTIES)
    return [f"Write a polite reply that declines an invitation to {party}.",
            "Thank you very much for the invitation. I am sorry that I cannot come, but I wish you a wonderful day.",
            draw.choice(SHORTER), "Thank you for the invitation. Sadly I cannot come."]  # fmt: skip


def _notice(draw: random.Random) -> list[str]:
    thing, day = draw.choice(BROKEN), draw.choice(DAYS)
    return [f"Write a one-sentence notice for the office that {thing} is out of order.",
            f"Please note that {thing} is out of order.",
            f"Add until when: {day}.", f"Please note that {thing} is out of order until {day}."]  # fmt: skip


def _birthday(draw: random.Random) -> list[str]:
    name, who = draw.choice(NAMES), draw.choice(("friend", "neighbour", "teacher", "cousin"))
    return [f"Write a birthday greeting to a {who} called {name}.",
            f"Dear {name}, happy birthday! I wish you a wonderful day and a year full of joy.",
            draw.choice(SHORTER), f"Happy birthday, {name}, and have a wonderful day!"]  # fmt: skip


def _tip(draw: random.Random) -> list[str]:
    skill = draw.choice(SKILLS)
    ask = draw.choice((f"Give me one tip for learning {skill}.", f"How can I get better at {skill}?"))
    return [ask, f"Start with a few simple steps and practise {skill} often until it feels easy.",
            draw.choice(REASON),
            "It helps because a regular rhythm builds skill and confidence, and mistakes are easy to "
            "notice."]  # fmt: skip


def _synonym(draw: random.Random) -> list[str]:
    word = draw.choice(list(SYNONYMS))
    other = SYNONYMS[word]
    return [f"Give me a word that means the same as '{word}'.", f"A word that means the same as '{word}' is '{other}'.",
            draw.choice(("Use that word in a sentence.", "Now use it in a short sentence.")),
            f"The old house is {other}."]  # fmt: skip


_FAMILIES = (_use, _describe, _capital, _legs, _thanks, _late, _invite, _decline, _notice, _birthday, _tip, _synonym)
