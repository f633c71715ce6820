"""The walk-forward report as one self-contained HTML page: no script, no network, no clock.

This module lays out what it is given: text of cells from `cells`, sentences from `verdict` and
plots from `charts`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from importlib.resources import files
from string import Template

from trading_assets.backtest.cells import MARK, MINUS
from trading_assets.backtest.page_parts import (
    Drawing,
    Finding,
    FoldFeatures,
    Section,
    Table,
)
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
    metrics, folds, comparisons, holdings : Table
        Figures.
    notes : mapping of str to sequence of str
        Titled lists of sentences.
    training : Table
        Facts about each training.
    features : sequence of FoldFeatures
        Newest fold first; the others are folded away.
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
    folds: Table
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
    return _PAGE.substitute(
        style=style,
        title=escape(page.title),
        subtitle=escape(page.subtitle),
        verdicts="\n".join(_verdict(verdict) for verdict in page.verdicts),
        incomplete=incomplete,
        svg=page.svg,
        plot_note=escape(page.plot_note),
        metrics=_table(page.metrics),
        comparisons=_table(page.comparisons),
        folds=_table(page.folds),
        holdings=_table(page.holdings),
        notes="\n".join(
            f"<section><h2>{escape(name)}</h2>{_bullets(lines)}</section>"
            for name, lines in page.notes
        ),
        training=_table(page.training) if page.training.rows else "",
        sections="\n".join(_section(section) for section in page.sections),
        features=_features(page),
    )


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
    notes = _bullets(section.notes) if section.notes else ""
    tables = "\n".join(_table(table) for table in section.tables)
    return (
        f'<section class="measured"><h2>{escape(section.title)}</h2>{found}\n'
        f"{notes}\n{tables}\n{_figures(section.drawings)}</section>"
    )


def _features(page: Page) -> str:
    if not page.features:
        return ""
    folds = "\n".join(
        _fold_features(fold, is_open=place == 0) for place, fold in enumerate(page.features)
    )
    return (
        '<section class="features"><h2>Features on the training days</h2>'
        f"{_bullets(page.feature_notes)}\n{folds}</section>"
    )


def _fold_features(fold: FoldFeatures, *, is_open: bool) -> str:
    return (
        f"<details{' open' if is_open else ''}><summary>{escape(fold.title)}</summary>"
        f"<p>{escape(fold.sentence)}</p>\n{_table(fold.table)}\n{_figures(fold.drawings)}</details>"
    )


def _figures(drawings: Sequence[Drawing]) -> str:
    return "\n".join(
        f'<figure><div class="scroll">{drawing.svg}</div>'
        f"<figcaption>{escape(drawing.note)}</figcaption></figure>"
        for drawing in drawings
    )


def _bullets(lines: Sequence[str]) -> str:
    return "<ul>" + "".join(f"<li>{escape(line)}</li>" for line in lines) + "</ul>"


def _table(table: Table) -> str:
    head = "".join(f'<th scope="col">{title}</th>' for title in table.header)
    body: list[str] = []
    for index, (first, *cells) in enumerate(table.rows):
        kind = ' class="muted"' if index in table.muted else ""
        columns = "".join(f"<td>{cell}</td>" for cell in cells)
        body.append(f'<tr{kind}><th scope="row">{first}</th>{columns}</tr>')
    return (
        f'<div class="scroll"><table><caption>{escape(table.caption)}</caption>'
        f"<thead><tr>{head}</tr></thead><tbody>{''.join(body)}</tbody></table></div>"
    )


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
<figure>
$svg
<figcaption>$plot_note</figcaption>
</figure>
<section><h2>Figures</h2>
$metrics
$comparisons
</section>
<section><h2>Fold by fold</h2>
$folds
$holdings
</section>
$sections
<div class="notes">
$notes
</div>
$training
$features
</main>
</body>
</html>
""")
