"""Tables of the page as markup: words to the left, numbers to the right, headers alike."""

import re
from html import escape

from trading_assets.backtest.cells import DASH
from trading_assets.backtest.page_parts import Table

# Of so few columns, intervals find room beside their figures.
_MOST_ROOMY_COLUMNS = 8
_INTERVAL = '<span class="interval">'
_EMPTY_INTERVAL = f"{_INTERVAL}</span>"
_PROSE = ('class="sentence"', 'class="reason"')
_TAG = re.compile(r"<[^>]*>")
_NUMBER = re.compile(r"[-+\N{MINUS SIGN}]?[\d.]")


def table_markup(table: Table) -> str:
    """Return a table with its caption, which scrolls on its own where it is too wide."""
    columns = range(1, len(table.header))
    cells = [[row[place] for row in table.rows] for place in columns]
    kinds = [' class="text"' if _is_text(column) else "" for column in cells]
    is_roomy = len(table.header) <= _MOST_ROOMY_COLUMNS
    padded = [is_roomy and any(_INTERVAL in cell for cell in column) for column in cells]
    head = "".join(
        f'<th scope="col"{kind}>{title}</th>'
        for title, kind in zip(table.header, ["", *kinds], strict=True)
    )
    body: list[str] = []
    for index, (first, *row) in enumerate(table.rows):
        muted = ' class="muted"' if index in table.muted else ""
        shown = "".join(
            f"<td{kind}>{cell}{_EMPTY_INTERVAL if pad and _INTERVAL not in cell else ''}</td>"
            for cell, kind, pad in zip(row, kinds, padded, strict=True)
        )
        body.append(f'<tr{muted}><th scope="row">{first}</th>{shown}</tr>')
    return (
        f'<div class="scroll{" roomy" if is_roomy else ""}"><table>'
        f"<caption>{escape(table.caption)}</caption>"
        f"<thead><tr>{head}</tr></thead><tbody>{''.join(body)}</tbody></table></div>"
    )


def folded_table(table: Table) -> str:
    """Return a table folded away under its caption."""
    return folded(escape(table.caption), table_markup(table))


def folded(summary: str, content: str) -> str:
    """Return markup folded away under a line of markup; print shows it, no script is needed."""
    return f"<details><summary>{summary}</summary>\n{content}</details>"


def _is_text(column: list[str]) -> bool:
    """Tell a column of words: it has prose, or not one of its cells begins with a number."""
    if any(mark in cell for cell in column for mark in _PROSE):
        return True
    words = [text for cell in column if (text := _TAG.sub("", cell).strip()) and text[0] != DASH]
    return bool(words) and not any(_NUMBER.match(word) for word in words)
