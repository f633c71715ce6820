"""The frame, the style and the tables of the pages about bars; nothing comes from elsewhere."""

from html import escape

import polars as pl

from trading_assets.pages import DATA_DOCS_INDEX, QUARANTINE

VALIDATION, EXPECTATIONS = "validation.html", "expectations.html"

STYLE = """
:root { color-scheme: light dark }
body { font: 14px/1.45 system-ui, sans-serif; margin: 1.5rem auto; max-width: 78rem;
       padding: 0 1rem }
h1 { font-size: 1.6rem } h2 { font-size: 1.2rem; margin-top: 2rem }
h4, h5 { font-size: 1.1rem; margin: 1rem 0 .25rem } h6 { font-size: 1rem; margin: .5rem 0 }
nav.pages a { margin-right: 1.5rem }
table { border-collapse: collapse; margin: .5rem 0 1.5rem; max-width: 100% }
th, td { border: 1px solid #8886; padding: .2rem .5rem; text-align: left; vertical-align: top;
         overflow-wrap: anywhere; unicode-bidi: isolate }
th { background: #8881; white-space: nowrap }
td:first-child, td.t { white-space: nowrap }
td.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap }
.failed, .fa-times, .text-danger { color: #c62828 }
.passed, .fa-check-circle { color: #2e7d32 }
@media (prefers-color-scheme: dark) {
  body { background: #111; color: #ddd } a { color: #8ab4f8 }
  .failed, .fa-times, .text-danger { color: #ff8a80 }
  .passed, .fa-check-circle { color: #81c784 }
}
"""
_LINKS = {
    DATA_DOCS_INDEX: "Months",
    QUARANTINE: "Quarantine",
    VALIDATION: "Results of all expectations",
    EXPECTATIONS: "What is expected",
}
_NUMBERS = (int, float)
_WORDS = ("time", "rule")


def links(own: str) -> str:
    """Return the links from the page `own` to the others."""
    others = (f'<a href="{page}">{name}</a>' for page, name in _LINKS.items() if page != own)
    return f'<nav class="pages">{"".join(others)}</nav>'


def page(own: str, title: str, body: str) -> str:
    """Return a whole page.

    Parameters
    ----------
    own : str
        Name of its file.
    title : str
        Plain text.
    body : str
        HTML below the title.
    """
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{STYLE}</style></head>"
        f"<body>{links(own)}<h1>{escape(title)}</h1>{body}</body></html>"
    )


def table(frame: pl.DataFrame) -> str:
    """Return a table as HTML, every value escaped; of a column `..._share` the percentage."""
    head = "".join(f"<th>{escape(name.replace('_', ' '))}</th>" for name in frame.columns)
    body = "".join(
        "<tr>" + "".join(map(_cell, frame.columns, row)) + "</tr>" for row in frame.iter_rows()
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _cell(name: str, value: object) -> str:
    if isinstance(value, _NUMBERS) and not isinstance(value, bool):
        return f'<td class="n">{_number(name, value)}</td>'
    text = "" if value is None else escape(str(value))
    if text in ("passed", "failed"):
        return f'<td class="{text}">{text}</td>'
    # Moments and names are one word to the eye, whatever else has to wrap.
    return f'<td class="t">{text}</td>' if name in _WORDS else f"<td>{text}</td>"


def _number(name: str, value: float) -> str:
    if name.endswith("_share"):
        return f"{100 * value:.4g} %"
    return f"{value:.6g}" if isinstance(value, float) else str(value)
