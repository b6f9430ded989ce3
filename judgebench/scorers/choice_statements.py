"""Statements of a choice in a reply: what says "this is my answer", what only looks like it, and which counts."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from judgebench.errors import Unreadable
from judgebench.scorers.choice_texts import letter_or_text, letters_of, text_at_start

_TAG = r"</?\w{1,9}>"
OPENING = rf"(?:\\boxed\s*\{{|\\(?:text|math)\w{{0,6}}\s*\{{|\\[(\[]|{_TAG}|\$|[(\[{{\"'`*_“‘「【<]|\s){{0,12}}"
CLOSING = rf"(?:\\[)\]]|{_TAG}|[)\]}}\"'`*_”’」】$>]){{0,12}}"
_END = r"(?![A-Za-z0-9À-ɏ]|_\w|['’][A-Za-z])"  # no \w: a Chinese word may follow a letter at once
_MARKS = rf"(?:[*_\"'`”’]|{_TAG}){{0,6}}"

_IS = r"(?:is|are|was|(?:would|should|must|will|has\s+to|seems\s+to|appears\s+to|looks\s+to)\s+be)"
_LINKING = rf"(?:{_IS}\s*:?|[:=→⇒]|[-=]>|[-–—](?=\s))"
_ADVERB = (
    r"(?:therefore|thus|clearly|probably|(?:most\s+)?likely(?:\s+to\s+be)?|definitely|certainly|surely|indeed|simply|"
    r"obviously|hence)"
)
_BELIEF = r"(?:I\s+(?:think|believe|am\s+(?:sure|confident))\s+(?:that\s+)?)"
_IT = r"(?:(?:it|that)\s+(?:is|must\s+be|would\s+be|should\s+be|has\s+to\s+be)|it['’]s|that['’]s)"
_NOUN = r"(?:(?:the\s+)?(?:correct\s+|right\s+|best\s+)?(?:option|choice|letter|answer)\b\s*:?\s*)"

_FIRM = re.compile(
    rf"(?<![A-Za-z])(?:ans\.?|(?:answer|choice|option|guess|pick)s?|correct\s+letter){_MARKS}"
    rf"(?:\s+(?:to|for|here|among|of|that|which|based|given)\b[^.:\n]{{0,120}}?)?\s*{_MARKS}\s*{_LINKING}"
    r"|^\W{0,4}(?:final\s+)?answer\s+(?:choice\s+|option\s+)?(?=\([A-Z]\))"
    r"|<(?:final[_-]?)?answer>"
    rf"|^\W{{0,4}}(?:correct|solution|response|reply|final|conclusion|verdict){_MARKS}\s*:"
    r"|(?:答案|正确的?(?:选项|答案|说法|表述)?|最佳选项|选项)\s*(?:应该|应当|应|可能|就|只能)?(?:(?:是|为|选(?!项|择))\s*:?|:)"
    r"|答案[】\]]?\s*(?=[(\[*【“\s]{0,4}[A-Z][)\]*】”\s]{0,4}(?:[.。,，;；]|$))"
    r"|(?:故|应|该|答|就|因此|所以|只能|应该|应当|我会|我)?(?:选择|选)(?!项)",
    re.IGNORECASE | re.MULTILINE,
)
"""What an explicit answer follows."""

_CHOOSING = re.compile(
    r"\b(?:I|we)(?:\s+would|\s+will|['’]d|['’]ll|\s+am\s+going\s+to)?\s+(?:choose|pick|select|go\s+with|say)\b"
    r"|\blet['’]?s\s+(?:choose|pick|select|go\s+with)\b",
    re.IGNORECASE,
)
"""What a choice follows that is made in passing, by its letter or its text."""

_PASSING = re.compile(
    rf"\b(?:best|correct|right|closest|most\s+\w+)\b[^.:\n]{{0,80}}?\b{_IS}\s*:?(?=\s{{0,3}}[(*]{{1,3}}[A-Z]\b)(?<!are)(?<!are:)|"
    rf"\b(?:so|therefore|{_ADVERB}|maybe|perhaps|of\s+course|by\s+elimination|must\s+be|that\s+leaves|going\s+with|"
    rf"I\s+(?:guess|think|believe)),?[^\S\n]+(?={OPENING}[A-Z]\b|it\b|that\b|{_NOUN})|\b{_IT}(?=[^\S\n])"
    r"|(?:认为|应该|应当|所以|因此|可能|[,，])是(?=[\s(*【]{0,4}[A-Z])|(?:综上(?:所述)?|因此|所以)[,，:]?(?=[\s(*【]{0,4}[A-Z])",
    re.IGNORECASE,
)
"""What a letter in passing follows; texts follow these words for other reasons."""

_FILLER = re.compile(
    rf"[\s:：]*(?:{_ADVERB}[,:]?\s+|[-•]\s+|{_BELIEF}|{_IT}\s+|not\s+\W{{0,3}}[A-Z]\W{{0,4}}but\s+(?:rather\s+)?|{_NOUN}|(?:选项|选择|选)\s*){{0,4}}",
    re.IGNORECASE,
)

_THINK = (
    r"(?:think|thinks|thought|believe|believes|say|says|assume|assumes|guess|argue|argues|expect|choose|suppose|feel|"
    r"suspect|pick|select)\b[^,.!?\n]{0,30}$"
)
_NO_ANSWER = re.compile(
    # an answer that is named in order to be refused
    r"\b(?:incorrect|wrong|false|bad|poor|worst|weakest|worse|least(?:\s+\w+)?|second[-\s]best|next[-\s]best|mistaken|"
    r"tempting|invalid|inferior|not\s+the|not\s+an?|isn['’]t\s+the)\s+(?:(?:correct|right|best|possible)\s+)?$"
    # what somebody else, or the writer before, would say
    rf"|\b(?:you|they|he|she|one|some|many|most|people|students|someone|somebody)"
    rf"(?:\s+(?:people|students|might|may|would|could|will|often|first|initially|mistakenly)){{0,3}}\s+{_THINK}"
    rf"|\b(?:might|may)\s+(?:\w+\s+)?(?:be\s+tempted\s+to\s+)?{_THINK}|\btempt\w+\s+to\s+{_THINK}"
    r"|\b(?:I|we)\s+(?:\w+\s+)?thought\b[^,.!?\n]{0,30}$"
    r"|\b(?:if|whether|unless|suppose|supposing|assume|assuming|claim|claims)(?:\s+[\w'’]+){0,3}\s*$"
    r"|\b(?:do|does|did|would|could|can)(?:n['’]t|\s+not)\s+(?:think|believe|say|agree|see|mean|imply|choose|pick|select)\b"
    r"[^,;\n]{0,30}$"
    r"|\b(?:not\s+that|not\s+the\s+case\s+that|cannot\s+say|not\s+sure|unsure|unclear)\b[^,;\n]{0,30}$"
    r"|(?:不|未|没|没有|别|勿|非|错误?的?|误|排除|干扰|不(?:能|应|可|会|要|该|应该|可以|宜|是))$"
    r"|(?:如果|若|假如|倘若|假设|为什么|是否|能否)[^,，。\n]{0,10}$",
    re.IGNORECASE,
)
"""What before a cue takes its force away."""

_CLAUSE = re.compile(r"[.!?;。！？；\n](?=\s|[^\x00-\x7f]|$)")
_REFUSED = re.compile(
    rf"{CLOSING}\s*(?:选项|项)?\s*(?:是|为)?(?:错|不对|不正确|不符|不选|排除)|{CLOSING}\s+(?:is|are|was)\s+(?:wrong|incorrect|not|false)\b"
    rf"|{CLOSING}\s*(?:吗|[?？])",
    re.IGNORECASE,
)
_CONDITION = (
    r"(?!\W{0,3}\s*(?:only|if|when|unless|that|to|about|in\s+(?:some|the\s+case)|but|except|provided|"
    r"for\s+a\s+different)\b)"
)
_RETRACTION = re.compile(
    r"\bwait\b|\bon\s+second\s+thoughts?\b|\bscratch\s+that\b|\bcorrection\b\s*:|\bI\s+(?:made\s+a\s+mistake|was\s+wrong|misread)\b"
    r"|(?:^|(?<=[.!?。])\s*)(?:actually\b|no[,:])|等等|更正|重新(?:考虑|检查|审题)|(?:^|(?<=[。！，,\n]))\s*不对[,，]",
    re.IGNORECASE | re.MULTILINE,
)
"""Words with which people take back what stands before."""


class Statement(NamedTuple):
    """One place of a reply that states a choice."""

    firm: bool
    """Said to be the answer (``answer is``, a box), not in passing (``B is correct``, ``so it is B``)."""
    judged: bool
    """Of the form ``B is correct``, of which two that differ say nothing."""
    place: int
    """Where in the reply it begins."""
    letter: str
    """The choice; empty where its text is that of several."""
    reason: str
    """Why the letter is empty."""


def stated(reply: str, choices: Sequence[str], opening: str = "") -> str:
    """The letter of the statement that counts; empty where there is none.

    What stands after the last words that take something back goes before the rest; there, an explicit answer before
    one in passing, and of several the last.

    Args:
        reply: the model's words, Unicode composed.
        choices: texts of the choices; none allows A to E.
        opening: the letter that the reply opens with, which is an explicit answer too.

    Raises:
        Unreadable: that statement's text is that of several choices, or choices that differ are all called correct.
    """
    found = [*([Statement(True, False, -1, opening, "")] if opening else []), *_statements(reply, choices)]
    if not found:
        return ""
    breaks = [match.start() for match in _RETRACTION.finditer(reply)]
    since = max((place for place in breaks if place <= max(each.place for each in found)), default=-1)
    found = [each for each in found if each.place >= since]
    firm = [each for each in found if each.firm]
    last = max(firm or found, key=lambda each: each.place)
    if last.judged and len({each.letter for each in found if each.judged}) > 1:
        raise Unreadable("several choices are called correct")
    if not last.letter:
        raise Unreadable(last.reason)
    return last.letter


def denied(reply: str, place: int) -> bool:
    """True where the words before a place, in its sentence, take its force away.

    >>> denied("The incorrect answer is A", 14), denied("The answer is A", 4)
    (True, False)
    """
    before = reply[max(0, place - 90) : place]
    for end in reversed(list(_CLAUSE.finditer(before))):
        before = before[end.end() :]
        break
    return bool(_NO_ANSWER.search(before))


def _statements(reply: str, choices: Sequence[str]) -> Iterator[Statement]:
    forms = _forms(letters_of(choices))
    for match in forms.boxed.finditer(reply):
        yield Statement(True, False, match.start(), match[1], "")
    for match in forms.judged.finditer(reply):
        if not denied(reply, match.start()) and not forms.listed.search(
            reply[max(0, match.start() - 40) : match.start()]
        ):
            yield Statement(False, True, match.start(), match[1] or match[2], "")
    for cue in (_FIRM, _CHOOSING, _PASSING):
        for match in cue.finditer(reply):
            if not denied(reply, match.start()):
                yield from _said(reply, match, cue, choices)


def _said(reply: str, cue: re.Match[str], kind: re.Pattern[str], choices: Sequence[str]) -> Iterator[Statement]:
    """The statement that a cue makes, of a letter or of a choice's text; a text that goes on behind a letter wins."""
    forms, firm = _forms(letters_of(choices)), kind is _FIRM
    filler = _FILLER.match(reply, cue.end(), cue.end() + 120)
    start = filler.end() if filler else cue.end()
    window = reply[start : start + 320].lstrip()
    whole = reply[cue.end() : cue.end() + 320].lstrip()  # a text may begin with words that lead to others
    letter = forms.letter.match(window)
    if letter and _begins_list(reply, cue, start, letter["letter"]):
        return
    if letter and not firm and not forms.passing.match(window, letter.end("letter")):
        letter = None
    chosen, until = "", 0
    if kind is not _PASSING:
        try:
            chosen, until = text_at_start(window, choices)
            if not letter and not chosen:
                chosen, until = text_at_start(whole, choices)
        except Unreadable as error:
            if not letter:
                yield Statement(firm, False, cue.start(), "", str(error))
                return
    if letter and until <= letter.end("letter"):
        if not _REFUSED.match(window, letter.end("letter")):
            yield Statement(firm, False, cue.start(), letter_or_text(letter["letter"], choices), "")
    elif chosen:
        yield Statement(firm, False, cue.start(), chosen, "")


def _begins_list(reply: str, cue: re.Match[str], start: int, letter: str) -> bool:
    """True where a cue is the heading of the list of choices, not of an answer."""
    between = re.match(r"\s*", reply[start:])
    if "\n" not in cue[0] + reply[cue.end() : start] + (between[0] if between else ""):
        return False
    if re.search(r"(?:options?|choices)\W*$", cue[0], re.IGNORECASE) and not re.search(
        r"\b(?:best|correct|right|final|my|chosen|only)\s+$",
        reply[max(0, cue.start() - 20) : cue.start()],
        re.IGNORECASE,
    ):
        return True
    if re.search(r"\bare\W*$", cue[0]):  # the answers are:
        return True
    after = chr(ord(letter) + 1)
    return letter in "Aa" and bool(re.search(rf"^[\s>#*-]*\(?{after}[).:]", reply[start : start + 3000], re.MULTILINE))


class _Forms(NamedTuple):
    """The patterns for one set of letters."""

    letter: re.Pattern[str]
    """A letter as an answer, from where a cue ends."""
    passing: re.Pattern[str]
    """What follows a letter that is an answer in passing."""
    boxed: re.Pattern[str]
    """A letter in a box."""
    judged: re.Pattern[str]
    """``B is correct`` and its like."""
    listed: re.Pattern[str]
    """What before ``B is correct`` makes the letter no choice, or one of several."""


@functools.lru_cache(maxsize=32)
def _forms(letters: str) -> _Forms:
    upper, lower = f"[{letters}]", f"[{letters.lower()}]"
    several = rf"(?!{CLOSING}\s*(?:or|and|and/or|/|,|&|或|和|、)\s*{OPENING}{upper}{_END}(?!\s+(?:is|are|was)\b))"
    # The article and the pronoun count only where the sentence ends, or a reason follows.
    reason = r"because\b|since\b|as\b|which\b|with\b|for\b|due\b|is\b|and\b|so\b"
    after = rf"(?=\s*(?:$|[^A-Za-z0-9_À-ɏ\s'’]|{reason}|\n))"
    words = "".join(each for each in letters if each in "AI")
    bare = "".join(each for each in letters if each not in "AI")
    capital = rf"(?:[{bare}]{_END}|[{words}]{_END}{after})" if bare else rf"[{words}]{_END}{after}"
    small = rf"(?:(?<=[(\[*\"'`{{>]){lower}(?=[)\]*\"'`}}<])|{lower}(?=[).](?:\s|$)|\s*$))"
    finish = (
        rf"\)|{CLOSING}\*\*|{CLOSING}\s*(?:[.!,;:)。，；–—]|--|-\s|$|\n|(?:because|since|as|which|for|due)\b|选项|项)"
    )
    right = (
        r"(?:the\s+)?(?:(?:correct|right|best|most\s+(?:correct|accurate|appropriate|suitable|likely|plausible|fitting|"
        r"reasonable|logical))"
        r"(?:\s+(?:answer|choice|option|one|response|match|fit))?|(?:answer|correct\s+letter))\b"
    )
    ending = (
        r"(?=\s*(?:[.!,;:)*_\n。，]|$|"
        r"(?:because|since|as|here|and|for|due|so|among|of|given|based|regarding|according)\b))"
    )
    chinese = (
        rf"(?<![A-Za-z])({upper})\s*(?:选项|项)?\s*(?:才|最|就|的说法|说法|的表述|表述)?(?:是|为)?\s*最?"
        r"(?:正确|对的|对(?=[,;。，；]|$)|符合题意|当选)(?!吗|与否|率|性)"
    )
    return _Forms(
        letter=re.compile(rf"{OPENING}(?P<letter>{capital}|{small}){several}", re.MULTILINE),
        passing=re.compile(finish, re.MULTILINE),
        boxed=re.compile(rf"\\f?boxed\s*\{{{OPENING}({upper}){_END}"),
        judged=re.compile(
            rf"(?<![\w'’-])({upper}){CLOSING}"
            rf"(?:\s*[,(–-][^.\n]{{1,60}}[,)–-]|(?<=\))(?:(?!\bis\b)[^.,;:!?\n]){{1,80}}?)?\s+(?:is|would\s+be|must\s+be|seems|looks)\s+{right}"
            rf"{_CONDITION}{ending}|{chinese}",
            re.MULTILINE,
        ),
        listed=re.compile(
            rf"(?:\b(?:not|neither|nor|whether|if|or)\s+(?:option\s+)?|\b{upper}\W{{0,4}}\s*(?:and|&|,|or|和|或|、)\s*"
            r"|\b(?:statement|vitamin|hepatitis|type|plan|team|group|figure|table|part|person|event|set|case|point|premise|"
            r"assertion|conclusion|hypothesis|proposition|section|class|theory|model)\s+|(?:不是|并非|是否))\W{0,3}$",
            re.IGNORECASE,
        ),
    )
