"""Hostile material: what has broken parsers, paths, SQL and tables before, mixed with what is good."""

import unicodedata
from collections.abc import Sequence

from hypothesis import strategies as st

ABSOLUTE = "/tmp/trading_assets_fuzz_was_here"  # must never come into being

GOOD_SYMBOLS = (
    "A", "AAPL", "IBM", "MSFT", "BRK.B", "BF-B", "BTC/USD", "ETH/BTC", "0700.HK", "7203", "CON",
    "NUL", "COM1", "ON", "NO", "TRUE", "NULL", "A" * 16, "A/../../ETC", "Z-.-/",
)  # fmt: skip

HOSTILE = (
    "", " ", ".", "..", "../x", "..\\x", "/etc/passwd", ABSOLUTE, "../../../../etc/passwd", "~root",
    "A\0B", "\0", "A\n", "A\r\nSet-Cookie: x", "A B", "\tA", "A\x7f", "\x1b[31mA", "a", "aapl",
    "A'); DROP TABLE commits;--", "' OR 1=1 --", '"; DROP SCHEMA main; --', "A'--", "%' ESCAPE '",
    "$(id)", "`id`", "${HOME}", "{{7*7}}", "%s%n", "{0}", "<script>alert(1)</script>", "&amp;",
    "%2e%2e%2fx", "..%2fx", "%00", "%252e%252e", "con", "nul.txt", "C:\\x", "\\\\host\\share",
    "file:///etc/passwd", "http://localhost/x", "\N{GRINNING FACE}", "A\N{ZERO WIDTH SPACE}B",
    "\N{RIGHT-TO-LEFT OVERRIDE}LPAA", "\N{ZERO WIDTH NO-BREAK SPACE}A", "\N{COMBINING ACUTE ACCENT}",
    "\N{LATIN CAPITAL LETTER E WITH ACUTE}", "E\N{COMBINING ACUTE ACCENT}", "BR\N{KELVIN SIGN}",
    "\N{KELVIN SIGN}", "\N{FULLWIDTH LATIN CAPITAL LETTER A}", "\N{CYRILLIC CAPITAL LETTER A}APL",
    "A\N{GREEK QUESTION MARK}", "A\N{GREEK VARIA}", "\N{ARABIC-INDIC DIGIT ONE}", "\N{LATIN SMALL LIGATURE FF}",
    "\N{LATIN CAPITAL LETTER I WITH DOT ABOVE}", "\N{LATIN SMALL LETTER SHARP S}", "A" * 17,
    "A" * 10_000, "\N{GRINNING FACE}" * 2_500, "../" * 3_000, "(" * 500, ".A", "-A", "/A", "_A", "A_B", "*", "A*",
    "null", "true", "no", "NaN", "nan", "inf", "-inf", "1e999", "0x1f", "1_000", "=1+1", "1,5", "-",
    "2005-01-03", "A:B", "A;B", "A,B", "A|B", "A#B", "A?B", "A@B", "A&B", "A+B", "[A]", "{A}", "!A",
    "\N{NO-BREAK SPACE}A", "A\N{LINE SEPARATOR}", "\N{NEXT LINE}", "\ufffe", "\U0010ffff", "\ue000",
)  # fmt: skip

# What no file, environment or terminal can hold as UTF-8, but JSON and YAML escapes can.
SURROGATES = ("\ud800", "A\udfff", "\udc80x")

HOSTILE_FLOATS = (
    float("nan"), float("inf"), float("-inf"), 0.0, -0.0, -1.0, 5e-324, -5e-324, 1.8e308, -1.8e308,
    1e300, 1e-300, 2.0**53, 0.1, 1e16, -1e-9,
)  # fmt: skip

HOSTILE_INTEGERS = (
    0, -1, 1, 2**31 - 1, 2**31, 2**32, 2**53, 2**63 - 1, 2**63, -(2**63) - 1, 2**64, 10**30, 10**400,
)  # fmt: skip


def texts(*, surrogates: bool = True) -> st.SearchStrategy[str]:
    """Return hostile texts of every kind, and any others."""
    characters = st.characters() if surrogates else st.characters(exclude_categories=("Cs",))
    fixed = HOSTILE + (SURROGATES if surrogates else ())
    return st.one_of(st.sampled_from(fixed), st.text(characters, max_size=24))


def good_symbols() -> st.SearchStrategy[str]:
    """Return symbols that follow the rule."""
    rest = st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-/", max_size=15)
    first = st.sampled_from("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789")
    return st.one_of(st.sampled_from(GOOD_SYMBOLS), st.builds(str.__add__, first, rest))


def names(*, surrogates: bool = True) -> st.SearchStrategy[str]:
    """Return symbols, their twins in other forms, good ones with one thing wrong, hostile texts."""
    wrong = texts(surrogates=surrogates)
    return st.one_of(
        good_symbols(),
        good_symbols().map(lambda name: name.replace("K", "\N{KELVIN SIGN}")),
        st.builds(_inserted, good_symbols(), wrong, st.integers(0, 16)),
        wrong,
        wrong.map(lambda text: unicodedata.normalize("NFD", text)),
    )


def floats() -> st.SearchStrategy[float]:
    """Return extremes, values that are none, and ordinary numbers."""
    return st.one_of(st.sampled_from(HOSTILE_FLOATS), st.floats(), st.floats(0.01, 1e4))


def mixed(good: Sequence[str], *, surrogates: bool = True) -> st.SearchStrategy[str]:
    """Return texts that are good, good but for one thing, or hostile."""
    wrong = texts(surrogates=surrogates)
    one = st.sampled_from(tuple(good))
    return st.one_of(one, one, st.builds(_inserted, one, wrong, st.integers(0, 40)), wrong)


def _inserted(name: str, text: str, place: int) -> str:
    return name[:place] + text[:3] + name[place:]
