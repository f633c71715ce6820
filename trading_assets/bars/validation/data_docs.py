"""Great Expectations' Data Docs as a folder of pages that need nothing from elsewhere.

The pages of Great Expectations load styles and scripts from half a dozen hosts, and its index is
drawn by such a script. A page about somebody's data should tell nobody that it was opened and work
without a network: references to other hosts are taken out, a short style and an index of our own
take their place, and a page of the quarantine stands beside them.
"""

import contextlib
import errno
import re
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl

from trading_assets.bars.calendars.coverage import month_key
from trading_assets.bars.validation.expectation_suites import Criterion, Outcome, SuiteRun
from trading_assets.bars.validation.html_pages import (
    EXPECTATIONS,
    STYLE,
    VALIDATION,
    links,
    page,
    table,
)
from trading_assets.bars.validation.quarantine_page import quarantine_page
from trading_assets.errors import DataError
from trading_assets.pages import DATA_DOCS_INDEX, QUARANTINE

_ATTEMPTS = 5
_COUNTS = (
    *("month", "verdict", "data_quality_pct", "expected", "received", "passed", "quarantined"),
    *("missing", "quarantine_share", "missing_share"),
)
_WARNINGS = (
    *("month", "duplicated", "repeated", "revised", "late_sessions"),
    *("outlier_returns", "split_like_jumps", "stale_closes"),
)
# Great Expectations writes one section a column, in the order of their names: what failed comes
# first here, and what is about the run's own machinery is not shown.
_STYLE = """
.fa-times::before { content: "failed" } .fa-check-circle::before { content: "passed" }
.fa-exclamation-triangle::before { content: "failed"; color: #c62828 }
.navbar, footer, .modal, .sticky, button, hr, .lead, #section-1 [id$=-parent] { display: none }
.row > div:has(> .ge-section) { display: flex; flex-direction: column }
.show-scrollbars > span + span::before { content: ", " }
.ge-section { order: 1; padding-bottom: 0 !important; margin-bottom: 0 !important }
.ge-section:has(.text-danger), .ge-section:has(.fa-exclamation-triangle) { order: 0 }
#section-1 { order: -1 }
"""
_ELSEWHERE = (
    re.compile(r"<script\b.*?</script>", re.DOTALL | re.IGNORECASE),
    re.compile(r"<link\b[^>]*>", re.IGNORECASE),
    re.compile(r"<img\b[^>]*>", re.IGNORECASE),
    re.compile(r"<footer\b.*?</footer>", re.DOTALL | re.IGNORECASE),
    re.compile(r"<nav\b.*?</nav>", re.DOTALL | re.IGNORECASE),
)


def write_data_docs(
    run: SuiteRun,
    criteria: Sequence[Criterion],
    months: pl.DataFrame,
    quarantine: pl.DataFrame,
    folder: Path,
    title: str,
) -> Path:
    """Write the pages of one run, replacing those of the run before, and return the index.

    Parameters
    ----------
    run : SuiteRun
        What `run_suite` returned.
    criteria : sequence of Criterion
        What was expected, in the order of the run's outcomes.
    months : DataFrame
        The table it judged.
    quarantine : DataFrame
        Table `quarantine`; its rows are counted by month and rule, and shown on a page.
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
        outcomes = list(zip(criteria, run.outcomes, strict=True))
        for name, text in (
            (DATA_DOCS_INDEX, _index_page(title, outcomes, months, quarantine)),
            (QUARANTINE, quarantine_page(title, months, quarantine)),
        ):
            (pages / name).write_text(text, encoding="utf-8")
        _replace(folder, pages, Path(aside))
    return folder / DATA_DOCS_INDEX


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
    text = re.sub(r'href="(?:\.\./)*index\.html"', f'href="{DATA_DOCS_INDEX}"', text)
    text = re.sub(r'href="(?:\.\./)*expectations/[^"]*"', f'href="{EXPECTATIONS}"', text)
    # The style of Great Expectations comes first, so that ours decides.
    text = text.replace("</head>", f"<style>{STYLE}{_STYLE}</style></head>", 1)
    text = text.replace("<body>", f"<body>{links(target.name)}", 1)
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


def _index_page(
    title: str,
    outcomes: Sequence[tuple[Criterion, Outcome]],
    months: pl.DataFrame,
    quarantine: pl.DataFrame,
) -> str:
    counts = (
        quarantine.group_by(month_key(), "rule", "reason")
        .agg(pl.len().alias("bars"))
        .sort("month", "rule", "reason")
    )
    n_bars = quarantine.select(pl.struct("symbol", "event_time").n_unique()).item()
    body = (
        _failed(outcomes),
        f"<h2>Quarantine: {n_bars} bars</h2>",
        f'{table(counts)}<p><a href="{QUARANTINE}">Each of them</a></p>' if len(counts) else "",
        f"<h2>Months</h2>{_columns(months, _COUNTS)}",
        "<h2>Copies, revisions, and bars that are used but look odd</h2>",
        _columns(months, _WARNINGS),
    )
    return page(DATA_DOCS_INDEX, f"Bars of {title}", "".join(body))


def _failed(outcomes: Sequence[tuple[Criterion, Outcome]]) -> str:
    failed = [(criterion, outcome) for criterion, outcome in outcomes if not outcome.passed]
    n_met = len(outcomes) - len(failed)
    said = f"<h2>Expectations</h2><p>{n_met} of {len(outcomes)} are met.</p>"
    if not failed:
        return said
    lines = [
        (
            "failed",
            "error" if criterion.blocks else "warning",
            criterion.description,
            outcome.observed,
        )
        for criterion, outcome in failed
    ]
    names = ["status", "severity", "what was expected", "what was observed"]
    return said + table(pl.DataFrame(lines, schema=names, orient="row").unique(maintain_order=True))


def _columns(months: pl.DataFrame, names: Sequence[str]) -> str:
    return table(months.select(name for name in names if name in months.columns))
