"""Great Expectations' Data Docs as a folder of pages that need nothing from elsewhere.

The pages of Great Expectations load styles and scripts from half a dozen hosts, and its index is
drawn by such a script. A page about somebody's data should tell nobody that it was opened and work
without a network: references to other hosts are taken out, a short style and an index of our own
take their place.
"""

import contextlib
import errno
import re
import tempfile
from html import escape
from pathlib import Path
from typing import Any

import polars as pl

from trading_assets.bars.calendars.coverage import month_key
from trading_assets.bars.validation.expectation_suites import SuiteRun
from trading_assets.errors import DataError

INDEX, VALIDATION, EXPECTATIONS = "index.html", "validation.html", "expectations.html"

_ATTEMPTS = 5
_SUMMARY = (
    *("month", "verdict", "expected", "received", "passed", "quarantined", "missing"),
    *("duplicated", "repeated", "revised", "missing_share", "quarantine_share"),
    *("data_quality_pct", "outlier_returns", "split_like_jumps", "stale_closes", "late_sessions"),
)

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 75rem; padding: 0 1rem }
table { border-collapse: collapse; margin: .5rem 0 1.5rem }
td:first-child { white-space: nowrap }
th, td { border: 1px solid #8886; padding: .25rem .6rem; text-align: left; vertical-align: top }
td.n { text-align: right; font-variant-numeric: tabular-nums }
.failed, .fa-times { color: #c62828 } .passed, .fa-check-circle { color: #2e7d32 }
.fa-times::before { content: "failed" } .fa-check-circle::before { content: "passed" }
.fa-exclamation-triangle::before { content: "failed"; color: #c62828 }
.navbar, footer, .modal, .sticky, button { display: none }
@media (prefers-color-scheme: dark) { body { background: #111; color: #ddd } a { color: #8ab4f8 } }
"""
_ELSEWHERE = (
    re.compile(r"<script\b.*?</script>", re.DOTALL | re.IGNORECASE),
    re.compile(r"<link\b[^>]*>", re.IGNORECASE),
    re.compile(r"<img\b[^>]*>", re.IGNORECASE),
    re.compile(r"<footer\b.*?</footer>", re.DOTALL | re.IGNORECASE),
    re.compile(r"<nav\b.*?</nav>", re.DOTALL | re.IGNORECASE),
)


def write_data_docs(
    run: SuiteRun, months: pl.DataFrame, quarantine: pl.DataFrame, folder: Path, title: str
) -> Path:
    """Write the pages of one run, replacing those of the run before, and return the index.

    Parameters
    ----------
    run : SuiteRun
        What `run_suite` returned.
    months : DataFrame
        The table it judged.
    quarantine : DataFrame
        Table `quarantine`; its rows are counted by month and rule.
    folder : Path
        Folder of the pages, which is replaced as a whole: no page of another run stays.
    title : str
        Name of the data set.

    Raises
    ------
    DataError
        If other runs keep replacing the folder.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as aside:
        site, pages = Path(aside, "site"), Path(aside, "pages")
        _build_site(run.context, site)
        pages.mkdir()
        _keep(next(site.glob("validations/**/*.html")), pages / VALIDATION)
        _keep(next(site.glob("expectations/**/*.html")), pages / EXPECTATIONS)
        index = _index_page(title, months, quarantine)
        (pages / INDEX).write_text(index, encoding="utf-8")
        _replace(folder, pages, Path(aside))
    return folder / INDEX


def _build_site(context: Any, folder: Path) -> None:  # noqa: ANN401 # untyped library
    context.add_data_docs_site(
        "pages",
        {
            "class_name": "SiteBuilder",
            "show_how_to_buttons": False,
            "store_backend": {
                "class_name": "TupleFilesystemStoreBackend",
                "base_directory": str(folder),
            },
            "site_index_builder": {
                "class_name": "DefaultSiteIndexBuilder",
                "show_cta_footer": False,
            },
        },
    )
    context.build_data_docs(site_names=["pages"])


def _keep(page: Path, target: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for reference in _ELSEWHERE:
        text = reference.sub("", text)
    text = re.sub(r'href="(?:\.\./)*index\.html"', f'href="{INDEX}"', text)
    text = re.sub(r'href="(?:\.\./)*expectations/[^"]*"', f'href="{EXPECTATIONS}"', text)
    # The style of Great Expectations comes first, so that ours decides.
    text = text.replace("</head>", f"<style>{_STYLE}</style></head>", 1)
    target.write_text(text, encoding="utf-8")


def _replace(folder: Path, pages: Path, aside: Path) -> None:
    for attempt in range(_ATTEMPTS):
        if folder.exists():
            # Another run may take the folder away first: then there is nothing left to move.
            with contextlib.suppress(FileNotFoundError):
                folder.rename(aside / f"old-{attempt}")
        try:
            pages.rename(folder)
        except OSError as error:
            # Another run put its pages there in the meantime; ours are the newer ones.
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
        else:
            return
    msg = (
        f"{folder} was replaced by other runs {_ATTEMPTS} times; expected to write it, so let"
        " fewer runs of this data set write at once"
    )
    raise DataError(msg)


def _index_page(title: str, months: pl.DataFrame, quarantine: pl.DataFrame) -> str:
    shown = [name for name in _SUMMARY if name in months.columns]
    counts = (
        quarantine.group_by(month_key(), "rule", "reason")
        .agg(pl.len().alias("bars"))
        .sort("month", "rule", "reason")
    )
    n_bars = quarantine.select(pl.struct("symbol", "event_time").n_unique()).item()
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f"<style>{_STYLE}</style></head><body><h1>Bars of {escape(title)}</h1>"
        f'<p><a href="{VALIDATION}">Results of all expectations</a> '
        f'<a href="{EXPECTATIONS}">What is expected</a></p>'
        f"<h2>Quarantine: {n_bars} bars</h2>{_html_table(counts) if len(counts) else ''}"
        f"<h2>Months</h2>{_html_table(months.select(shown))}</body></html>"
    )


def _html_table(frame: pl.DataFrame) -> str:
    head = "".join(f"<th>{escape(name.replace('_', ' '))}</th>" for name in frame.columns)
    body = "".join(
        "<tr>" + "".join(_cell(value) for value in row) + "</tr>" for row in frame.iter_rows()
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _cell(value: object) -> str:
    if isinstance(value, float):
        return f'<td class="n">{value:.6g}</td>'
    if isinstance(value, int):
        return f'<td class="n">{value}</td>'
    text = "" if value is None else escape(str(value))
    return f'<td class="{text}">{text}</td>' if text in ("passed", "failed") else f"<td>{text}</td>"
