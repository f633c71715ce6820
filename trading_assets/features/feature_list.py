"""Lists what features there are: by group, the families, and the groups themselves.

It imports no array library, so that `trading-assets features list` answers at once.
"""

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from trading_assets.errors import UserError, shown
from trading_assets.feature_specs import FeaturesSpec
from trading_assets.features.catalogue import (
    FAMILIES,
    FEATURES,
    GROUPS,
    PANDAS_TA,
    STANDARD,
    feature_of,
    warm_up_bars,
)
from trading_assets.features.definition import FeatureDefinition
from trading_assets.features.groups.series import series_feature
from trading_assets.features.pandas_ta_table import OUTPUTS

FEATURE_HEADER = ("Name", "Unit", "Bars", "Warm-up", "Scaled", "In all", "Formula")
FAMILY_HEADER = ("Family", "Group", "Parameters", "Unit", "Formula")
GROUP_HEADER = ("Group", "Features", "In all")
_FORMULA = FEATURE_HEADER[-1]
# With less room beside the other columns, a formula gets a line of its own.
_FORMULA_WIDTH = 40
_INDENT = "    "


@dataclass(frozen=True, slots=True)
class Section:
    """One table of the list: a title, and rows as long as the header."""

    title: str
    header: tuple[str, ...]
    rows: list[tuple[str, ...]]


def list_features(group: str | None = None) -> list[Section]:
    """Return the features of the catalogue by group, then families, then the groups themselves.

    Lookback and warm-up are in bars of the symbol, the row's own included; the warm-up is that of
    the default scaling.

    Parameters
    ----------
    group : str, optional
        Only the features and families of this group.

    Raises
    ------
    UserError
        If there is no such group.
    """
    if group is not None and group not in GROUPS:
        msg = (
            f"group was {shown(group)}; expected one of the catalogue, so choose from"
            f" {', '.join(GROUPS)}"
        )
        raise UserError(msg)
    sections = [
        Section(name, FEATURE_HEADER, _rows_of(name)) for name in GROUPS if group in (None, name)
    ]
    families = [family for family in FAMILIES.values() if group in (None, family.group)]
    if families:
        rows = [(f.name, f.group, f.bounds, f.unit, f.formula) for f in families]
        sections.append(Section("families", FAMILY_HEADER, rows))
    if group is None:
        sections.append(Section("groups", GROUP_HEADER, [_group_row(name) for name in GROUPS]))
    return sections


def print_sections(sections: Sequence[Section]) -> None:
    """Print tables as wide as the terminal; for another program, whole lines of plain text."""
    from rich.console import Console

    console = Console()
    if not console.is_terminal:
        console.out("\n\n".join(_plain(section) for section in sections), highlight=False)
        return
    from rich.table import Table
    from rich.text import Text

    for section in sections:
        if _is_wider(section, console.width):
            lines = [section.title, *_stacked(section, console.width), ""]
            console.out("\n".join(lines), highlight=False)
            continue
        table = Table(
            title=section.title,
            title_justify="left",
            box=None,
            padding=(0, 2, 0, 0),
            pad_edge=False,
        )
        for place, name in enumerate(section.header):
            table.add_column(name, no_wrap=place == 0)
        for row in section.rows:
            table.add_row(*map(Text, row))
        console.print(table, "")


def _rows_of(group: str) -> list[tuple[str, ...]]:
    rows = [_row(feature) for feature in _members(group)]
    if group == "series":
        # It stands for every declared series.
        rows.append(("series_<name>", *_row(series_feature("series_name", "<name>"))[1:]))
    return rows


def _row(feature: FeatureDefinition) -> tuple[str, ...]:
    return (
        feature.name,
        feature.unit,
        str(feature.lookback_bars),
        str(warm_up_bars(feature.name, FeaturesSpec())),
        "yes" if feature.is_scaled else "no",
        "yes" if feature.name in STANDARD else "no",
        feature.formula,
    )


def _members(group: str) -> list[FeatureDefinition]:
    if group == PANDAS_TA:
        return [feature_of(name) for name in OUTPUTS]
    return [feature for feature in FEATURES.values() if feature.group == group]


def _group_row(group: str) -> tuple[str, ...]:
    names = [feature.name for feature in _members(group)]
    return group, str(len(names)), str(sum(name in STANDARD for name in names))


def _is_wider(section: Section, width: int) -> bool:
    if section.header[-1] != _FORMULA:
        return False
    others = _aligned([row[:-1] for row in (section.header, *section.rows)])
    return max(map(len, others)) + _FORMULA_WIDTH > width


def _stacked(section: Section, width: int) -> Iterator[str]:
    """Return lines that fit, each row's formula below the rest of it."""
    rows = [section.header, *section.rows]
    for row, others in zip(rows, _aligned([row[:-1] for row in rows]), strict=True):
        yield from textwrap.wrap(others, width, subsequent_indent=_INDENT)
        yield from textwrap.wrap(row[-1], width, initial_indent=_INDENT, subsequent_indent=_INDENT)


def _plain(section: Section) -> str:
    return "\n".join([section.title, *_aligned([section.header, *section.rows])])


def _aligned(rows: Sequence[tuple[str, ...]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
