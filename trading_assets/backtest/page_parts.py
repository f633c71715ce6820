"""What the report's page is put together from: tables, drawings, findings."""

from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Table:
    """A table of ready text.

    Attributes
    ----------
    caption : str
        What the table shows, in a phrase.
    header : sequence of str
        Column titles; the first column names the row.
    rows : sequence of sequence of str
        Cells, already formatted and escaped.
    muted : set of int
        Rows printed paler.
    """

    caption: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    muted: frozenset[int] = field(default_factory=frozenset)


@dataclass(frozen=True, slots=True)
class Drawing:
    """An SVG element and how to read it."""

    svg: str
    note: str


@dataclass(frozen=True, slots=True)
class FoldFeatures:
    """What the features of one fold were worth: a sentence, drawings and a table."""

    title: str
    sentence: str
    drawings: Sequence[Drawing]
    table: Table


@dataclass(frozen=True, slots=True)
class Finding:
    """A sentence: what is claimed, on what evidence, and how the claim is coloured."""

    kind: str
    claim: str
    evidence: str = ""


@dataclass(frozen=True, slots=True)
class Section:
    """A titled part of the page.

    Attributes
    ----------
    title : str
        Heading.
    findings : sequence of Finding
        What was found, each on its own evidence.
    notes : sequence of str
        How to read the rest.
    tables : sequence of Table
        Figures.
    drawings : sequence of Drawing
        Plots, after the tables.
    """

    title: str
    findings: Sequence[Finding] = ()
    notes: Sequence[str] = ()
    tables: Sequence[Table] = ()
    drawings: Sequence[Drawing] = ()
