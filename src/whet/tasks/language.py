"""Language modelling as a task: which part of a text the memory is searched with, and which part is scored."""

from __future__ import annotations

from collections.abc import Callable

from whet.errors import InputError
from whet.types import Query


def whole(text: str) -> Query:
    """Search with the whole text and score all of it, as in the SIFT paper (arXiv 2410.08020, §5)."""
    return Query(text=text, given="", target=text)


def halves(text: str) -> Query:
    """Search with the first half and score the second after it, as in use: what is scored has not been seen.

    The border is the line end or space nearest to the middle, within a tenth of the text; else the middle.

    Raises:
        InputError: the text has fewer than two characters.
    """
    if len(text) < 2:
        raise InputError(f"the text {text!r} cannot be halved; give one of at least two characters.")
    middle = len(text) // 2
    reach = max(1, len(text) // 20)
    near = range(max(1, middle - reach), min(len(text), middle + reach + 1))
    for border in ("\n", " "):
        places = [i for i in near if text[i - 1] == border]
        if places:
            middle = min(places, key=lambda i: abs(i - middle))
            break
    first, second = text[:middle], text[middle:]
    return Query(text=first, given=first, target=second)


MODES: dict[str, Callable[[str], Query]] = {"whole": whole, "halves": halves}
