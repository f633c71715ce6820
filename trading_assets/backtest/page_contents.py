"""The page's table of contents: a name for each part, derived from its title."""

import re
from collections.abc import Sequence
from html import escape

_NO_WORD = re.compile(r"[^a-z0-9]+")


def anchors_of(titles: Sequence[str]) -> list[str]:
    """Return names for links, one for each title; a title that comes again has a number.

    Parameters
    ----------
    titles : sequence of str
        Headings in the order of the page.
    """
    given: list[str] = []
    for title in titles:
        plain = _NO_WORD.sub("-", title.lower()).strip("-") or "part"
        name, again = plain, 1
        while name in given:
            again += 1
            name = f"{plain}-{again}"
        given.append(name)
    return given


def contents(titles: Sequence[str]) -> str:
    """Return links to all parts."""
    links = "".join(
        f'<li><a href="#{anchor}">{escape(title)}</a></li>'
        for title, anchor in zip(titles, anchors_of(titles), strict=True)
    )
    return f'<nav aria-label="Contents"><ul>{links}</ul></nav>'
