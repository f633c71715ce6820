"""The walk-forward report as one self-contained HTML page: no script, no network, no clock.

This module lays out what it is given: text of cells from `cells`, sentences from `verdict` and
plots from `charts`. The verdict, its plot and the figures come first and are open; what else was
measured shows its findings and drawings and folds its tables away.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from importlib.resources import files
from string import Template

from trading_assets.backtest.cells import MARK, MINUS
from trading_assets.backtest.page_contents import anchors_of, contents
from trading_assets.backtest.page_parts import (
    Drawing,
    Finding,
    FoldFeatures,
    Section,
    Table,
)
from trading_assets.backtest.page_tables import folded, folded_table, table_markup
from trading_assets.backtest.verdict import Verdict


@dataclass(frozen=True, slots=True)
class Page:
    """Everything that the page shows, in its order.

    Attributes
    ----------
    title : str
        Name of the strategy.
    subtitle : str
        Period and declaration.
    verdicts : sequence of Verdict
        One for each agent.
    gaps : sequence of str
        Sentences on what is incomplete.
    svg : str
        Plot of equity and drawdown.
    plot_note : str
        How to read the plot.
    metrics, comparisons, holdings : Table
        Figures.
    folds : sequence of Table
        Figures of each fold; the first is open.
    notes : mapping of str to sequence of str
        Titled lists of sentences.
    training : Table
        Facts about each training.
    features : sequence of FoldFeatures
        Newest fold first; all are folded away.
    feature_notes : sequence of str
        How to read them.
    sections : sequence of Section
        What else was measured, in order.
    """

    title: str
    subtitle: str
    verdicts: Sequence[Verdict]
    gaps: Sequence[str]
    svg: str
    plot_note: str
    metrics: Table
    folds: Sequence[Table]
    comparisons: Table
    holdings: Table
    notes: Sequence[tuple[str, Sequence[str]]]
    training: Table
    features: Sequence[FoldFeatures] = ()
    feature_notes: Sequence[str] = ()
    sections: Sequence[Section] = ()


def render_page(page: Page) -> str:
    """Return the HTML of the report."""
    style = files("trading_assets.backtest").joinpath("report.css").read_text(encoding="utf-8")
    incomplete = ""
    if page.gaps:
        incomplete = (
            f'<section class="gaps" role="note"><h2>Incomplete</h2>{_bullets(page.gaps)}'
            f"<p>Figures marked {MARK} leave these folds out; nothing was filled in.</p></section>"
        )
    measured = [
        ("Figures", f"{table_markup(page.metrics)}\n{folded_table(page.comparisons)}"),
        ("Fold by fold", _open_first([*page.folds, page.holdings])),
        *((section.title, _section(section)) for section in page.sections),
    ]
    noted = [(title, _bullets(lines)) for title, lines in page.notes]
    last: list[tuple[str, str]] = []
    if page.training.rows:
        last.append(("Training", folded_table(page.training)))
    if page.features:
        last.append(("Features on the training days", _features(page)))
    titles = [title for title, _ in (*measured, *noted, *last)]
    named = iter(anchors_of(titles))
    measured_parts, noted_parts, last_parts = (
        "\n".join(_part(next(named), *part) for part in parts) for parts in (measured, noted, last)
    )
    return _PAGE.substitute(
        style=style,
        title=escape(page.title),
        subtitle=escape(page.subtitle),
        verdicts="\n".join(_verdict(verdict) for verdict in page.verdicts),
        incomplete=incomplete,
        svg=page.svg,
        plot_note=escape(page.plot_note),
        contents=contents(titles),
        measured=measured_parts,
        notes=noted_parts,
        last=last_parts,
    )


def _part(anchor: str, title: str, content: str) -> str:
    return f'<section id="{anchor}"><h2>{escape(title)}</h2>\n{content}</section>'


def _open_first(tables: Sequence[Table]) -> str:
    first, *others = tables
    return "\n".join([table_markup(first), *(folded_table(table) for table in others)])


def _verdict(verdict: Verdict) -> str:
    claim, separator, evidence = verdict.sentence.partition(": annual Sharpe")
    kind = verdict.standing if verdict.is_complete else "unknown"
    rest = f"Annual Sharpe{evidence}" if separator else ""
    return _finding(Finding(kind, f"{claim}{'.' if separator else ''}", rest))


def _finding(finding: Finding) -> str:
    claim, evidence = (
        escape(text).replace(" -", f" {MINUS}").replace("(-", f"({MINUS}")
        for text in (finding.claim, finding.evidence)
    )
    rest = f'<span class="evidence">{evidence}</span>' if evidence else ""
    return f'<p class="verdict {finding.kind}"><strong>{claim}</strong>{rest}</p>'


def _section(section: Section) -> str:
    found = "\n".join(_finding(finding) for finding in section.findings)
    notes = folded("How to read this", _bullets(section.notes)) if section.notes else ""
    tables = "\n".join(folded_table(table) for table in section.tables)
    return f"{found}\n{_figures(section.drawings)}\n{notes}\n{tables}"


def _features(page: Page) -> str:
    folds = "\n".join(_fold_features(fold) for fold in page.features)
    return f"{folded('How to read this', _bullets(page.feature_notes))}\n{folds}"


def _fold_features(fold: FoldFeatures) -> str:
    content = f"<p>{escape(fold.sentence)}</p>\n{table_markup(fold.table)}"
    return folded(escape(fold.title), f"{content}\n{_figures(fold.drawings)}")


def _figures(drawings: Sequence[Drawing]) -> str:
    return "\n".join(
        f'<figure><div class="scroll">{drawing.svg}</div>'
        f"<figcaption>{escape(drawing.note)}</figcaption></figure>"
        for drawing in drawings
    )


def _bullets(lines: Sequence[str]) -> str:
    return "<ul>" + "".join(f"<li>{escape(line)}</li>" for line in lines) + "</ul>"


_PAGE = Template("""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>$title: walk-forward report</title>
<style>
$style</style>
</head>
<body>
<main>
<header><h1>$title</h1><p>$subtitle</p></header>
$verdicts
$incomplete
<figure class="curves">
<div class="scroll">$svg</div>
<figcaption>$plot_note</figcaption>
</figure>
$contents
$measured
<div class="notes">
$notes
</div>
$last
</main>
</body>
</html>
""")
