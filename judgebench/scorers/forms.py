"""Whether a stated answer is the reference as a reader would take it, by the form that the reference has (BBH)."""

from __future__ import annotations

import re
import unicodedata

_LETTER = re.compile(r"\(([A-Z])\)")
_STATED_LETTER = re.compile(
    r"\s*(?:option|choice|answer)?\s*(?:\(([A-Za-z])\)|([A-Za-z])(?:[).:]|\s*[-–—](?=\s)|\s+(?:because|since)\b|\s*$))",
    re.IGNORECASE,
)
_BOX = re.compile(r"\\boxed\s*\{(?:\\text(?:bf)?\s*\{)?(.*?)\}+[\s$.]*\Z", re.DOTALL)
_SEVERAL = re.compile(r"\s*\(?[A-Za-z]\)?\s*(?:or|and|/|,|&)\s*\(?[A-Za-z]\b(?![’'])", re.IGNORECASE)
_MARKS = " \t*_`\"'“”‘’$"


def same_form(stated: str, reference: str) -> bool:
    """True where a reader would take what is stated for the reference.

    A letter in brackets is met by the letter with or without them, in either case, whatever follows as its label's
    text; brackets alone by the same brackets, however spaced; one word by the word, also where a clause follows it;
    several by the same words. Case, commas between words and marks around the whole are no difference.

    >>> same_form("b) 12/23/2021", "(B)"), same_form("] ])}", "] ] ) }"), same_form("true, as A holds", "True")
    (True, True, True)
    >>> same_form("A dog", "(A)"), same_form("-50", "50"), same_form("Yesterday", "Yes")
    (False, False, False)
    """
    stated = unicodedata.normalize("NFKC", stated).strip(_MARKS)
    if box := _BOX.match(stated):
        stated = box[1].strip()
    if letter := _LETTER.fullmatch(reference.strip()):
        found = _STATED_LETTER.match(stated)
        return found is not None and not _SEVERAL.match(stated) and (found[1] or found[2]).upper() == letter[1]
    if not re.search(r"\w", reference):
        return re.sub(r"\s|[,*`]", "", stated) == re.sub(r"\s", "", reference)
    wanted = _folded(reference)
    if _folded(stated) == wanted:
        return True
    if not wanted.isalpha():
        return False
    first = re.match(r"(\w+)\s*(?:[,;:!*]|\.(?:\s|$)|[-–—]\s)", stated)
    return first is not None and first[1].casefold() == wanted


def _folded(text: str) -> str:
    words = re.sub(r"[,;]\s*(?=\D)|,(?=\s)", " ", text.casefold()).split()
    return " ".join(words).rstrip(".!").strip()
