"""How a ticker is spelled: one rule for every entry, from declarations to a vendor's rows."""

import re
import unicodedata

SYMBOL_PATTERN = r"^[A-Z0-9][A-Z0-9.\-/]{0,15}$"
FORM = "NFC"

_SYMBOL = re.compile(SYMBOL_PATTERN.removesuffix("$") + r"\Z")


def compose(text: str) -> str:
    """Return `text` in Unicode's composed form, in which texts that look the same are the same."""
    return unicodedata.normalize(FORM, text)


def normalize_symbol(text: str) -> str | None:
    """Return the one spelling of a ticker, or None for a text that is no ticker.

    A ticker has 1 to 16 capitals, digits, `.`, `-` and `/`, the first a capital or a digit. It may
    hold `/../`, as in `A/../B`: percent-encode it before it becomes part of a path or an address.
    """
    composed = compose(text)
    return composed if _SYMBOL.match(composed) else None
