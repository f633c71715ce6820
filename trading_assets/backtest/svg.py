"""Drawings as elements of a page: small, and valid beside others."""

import re
from hashlib import sha256
from html import escape

_METADATA = re.compile(r"\s*<metadata>.*?</metadata>", re.DOTALL)
# Rules within an element hold for the whole page, which has its own.
_RULES = re.compile(r"\s*<defs>\s*<style [^>]*>[^<]*</style>\s*</defs>")
_REFERENCE = re.compile(r"(?<=[\"(]#)[\w.-]+(?=[\")])")
_NAME = re.compile(r' id="([^"]+)"')
_PATH = re.compile(r' d="([^"]*)"')
_LONG_NUMBER = re.compile(r"-?\d+\.\d{3,}")
_INDENT = re.compile(r"\n\s*")
_DIGEST_DIGITS = 8


def as_element(text: str, label: str) -> str:
    """Return an SVG file as an element of a page, with a label for those who do not see it.

    Parameters
    ----------
    text : str
        As matplotlib writes it, whose prologue does not belong inside a page.
    label : str
        What the drawing shows.
    """
    svg = text[text.index("<svg") + len("<svg") :]
    return tidy(f'<svg role="img" aria-label="{escape(label)}"{svg}')


def tidy(svg: str, part: str = "") -> str:
    """Return an SVG element without what a page has no use for.

    Coordinates of paths keep two decimals, a hundredth of a point. Of the names only those that
    something refers to are kept, each with a digest of the drawing: a browser takes the first
    element of a page that has a name, and draws nothing of it if that one is folded away. Equal
    drawings have the same names unless they are told apart by the `part` of the page they are in.
    """
    svg = _INDENT.sub("\n", _RULES.sub("", _METADATA.sub("", svg)))
    svg = _PATH.sub(lambda found: f' d="{_shortened(found[1])}"', svg)
    referred = set(_REFERENCE.findall(svg))
    digest = sha256(f"{part}{svg}".encode()).hexdigest()[:_DIGEST_DIGITS]
    svg = _NAME.sub(lambda found: f' id="{found[1]}-{digest}"' if found[1] in referred else "", svg)
    return _REFERENCE.sub(lambda found: f"{found[0]}-{digest}", svg)


def _shortened(path: str) -> str:
    short = _LONG_NUMBER.sub(lambda found: f"{float(found[0]):.2f}".rstrip("0").rstrip("."), path)
    return " ".join(short.split())
