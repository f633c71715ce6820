"""Writes the generated parts of README.md, docs/figures.md, docs/features.md and data/README.md.

`python docs/generate.py` replaces what stands between the markers `<!-- NAME:begin -->` and
`<!-- NAME:end -->`: the figures of docs/figures.jsonl, the claims of docs/claims.yaml, the columns
of every stored table, and the catalogue of features. A test holds the files against this module.
"""

import json
import re
from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from trading_assets.features.catalogue import PANDAS_TA
from trading_assets.features.feature_list import list_features
from trading_assets.features.windows import VOLATILITY_COLUMN
from trading_assets.schema import TABLES

ROOT = Path(__file__).parent.parent
FIGURES, CLAIMS = ROOT / "docs" / "figures.jsonl", ROOT / "docs" / "claims.yaml"
VERDICT = "verdict."
# What a reader of the README asks first, of each stage.
HEADLINES = frozenset(
    {
        "bars.ingest_s",
        "cli_month.s",
        "demo.minutes",
        "features.online_p99_ms",
        "forecast.train_speedup",
        "import.s",
        "learn.w1_ppo_400k_median",
        "learn.w2_ppo",
        "policy.ppo_vs_sb3_default",
        "simulation.env1_steps_per_s",
        "simulation.env30_steps_per_s",
    }
)
# Whom a reader of the README asks about first, beside agents and whatever has the best ratio.
KNOWN_PORTFOLIOS = frozenset({"cash", "buy_and_hold", "equal_weight"})
RANKED_BY = "sharpe_annual"
NONE_YET = "No figure has been recorded yet; see docs/experiments.md for how they are made."


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of docs/figures.jsonl.

    Attributes
    ----------
    name : str
        Dotted name. `verdict.<portfolio>.<figure>` belongs to the table of the demo's verdict,
        where `<figure>_low` and `<figure>_high` are the ends of an interval.
    value : float or str or None
        The figure; None where the data define none.
    unit : str
        Unit; `fraction` is shown as a percentage.
    peer : str
        What it is compared with.
    ratio, limit : float or None
        Value over that of the peer, and the largest value allowed.
    cores : int or None
        Cores of the machine that measured it.
    date : str
        Day of the measurement.
    """

    name: str
    value: float | str | None
    unit: str = ""
    peer: str = ""
    ratio: float | None = None
    limit: float | None = None
    cores: int | None = None
    date: str = ""


def read_figures(path: Path) -> list[Figure]:
    """Return the newest line of each figure, in the order of first appearance."""
    if not path.exists():
        return []
    newest: dict[str, Figure] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.strip():
            values = json.loads(line)
            known = {key: values[key] for key in Figure.__slots__ if key in values}
            newest[values["figure"]] = Figure(name=values["figure"], **known)
    return list(newest.values())


def render_figures(figures: Iterable[Figure], only: Container[str] | None = None) -> str:
    """Return the verdict's table and that of figures with a limit as Markdown.

    Where names are given: those figures only, and portfolios that are asked about first.
    """
    everything = list(figures)
    if not everything:
        return NONE_YET
    judged = [figure for figure in everything if figure.name.startswith(VERDICT)]
    if only is not None:
        asked = _asked_first(judged)
        judged = [figure for figure in judged if _portfolio_of(figure) in asked]
    tables = [_verdict_table(judged)] if judged else []
    limited = [figure for figure in everything if figure.limit is not None]
    if only is not None:
        limited = [figure for figure in limited if figure.name in only]
    return "\n\n".join([*tables, *([render_measured(limited)] if limited else [])])


def render_verdict(figures: Iterable[Figure]) -> str:
    """Return the table of every portfolio of the demo's verdict as Markdown."""
    judged = [figure for figure in figures if figure.name.startswith(VERDICT)]
    return _verdict_table(judged) if judged else NONE_YET


def render_measured(figures: Iterable[Figure]) -> str:
    """Return the table of all figures but the verdict's as Markdown."""
    measured = [figure for figure in figures if not figure.name.startswith(VERDICT)]
    header = ("Figure", "Value", "Limit", "Compared with", "Ratio", "Cores", "Date")
    return _table(header, [_measured_row(figure) for figure in measured]) if measured else NONE_YET


def render_claims(figures: Iterable[Figure], path: Path = CLAIMS) -> str:
    """Return the table of claims as Markdown; a figure stands in their texts as `{its.name}`.

    Raises
    ------
    KeyError
        If a text names a figure that was never measured.
    """
    values = {figure.name: _value(figure) for figure in figures}
    rows = [
        (row["claim"], re.sub(r"\{([\w.]+)\}", lambda found: values[found[1]], row["measured"]))
        for row in yaml.safe_load(path.read_text(encoding="utf-8"))
    ]
    return _table(("Claim", "Measured here"), rows)


def render_columns() -> str:
    """Return the columns of every table of `trading_assets.schema`, and the features' own."""
    parts: list[str] = []
    for name, table in TABLES.items():
        rows = [
            (f"`{column.name}`", f"`{_type(column.dtype)}`", column.description)
            for column in table.columns
        ]
        key = ", ".join(f"`{column}`" for column in table.key)
        more = " Further columns: the features below." if table.is_open else ""
        columns = _table(("Column", "Type", "Meaning"), rows)
        parts.append(f"### {name}\n\nA row is identified by {key}.{more}\n\n{columns}")
    parts.append(_features())
    return "\n\n".join(parts)


def render_features() -> str:
    """Return the catalogue of features by group, the families and the groups as Markdown."""
    parts: list[str] = []
    for section in list_features():
        # Too many to read; the command lists them.
        if section.title != PANDAS_TA:
            rows = [(f"`{name}`", *facts) for name, *facts in section.rows]
            parts.append(f"### {section.title}\n\n{_table(section.header, rows)}")
    return "\n\n".join(parts)


def replace_between(text: str, name: str, content: str) -> str:
    """Return `text` with `content` between the markers of this name.

    Raises
    ------
    ValueError
        If a marker is missing.
    """
    begin, end = f"<!-- {name}:begin -->", f"<!-- {name}:end -->"
    if begin not in text or end not in text:
        msg = f"the text lacks {begin} or {end}; expected both, on lines of their own"
        raise ValueError(msg)
    before, _, rest = text.partition(begin)
    _, _, after = rest.partition(end)
    return f"{before}{begin}\n{content}\n{end}{after}"


def generated(root: Path = ROOT, figures: Path = FIGURES) -> dict[Path, str]:
    """Return the whole text of each file that has a generated part."""
    measured = read_figures(figures)
    readme = {"figures": render_figures(measured, HEADLINES), "claims": render_claims(measured)}
    contents = {
        root / "README.md": readme,
        root / "docs" / "figures.md": {
            "verdict": render_verdict(measured),
            "figures": render_measured(measured),
        },
        root / "docs" / "features.md": {"features": render_features()},
        root / "data" / "README.md": {"columns": render_columns()},
    }
    texts: dict[Path, str] = {}
    for path, parts in contents.items():
        texts[path] = path.read_text(encoding="utf-8")
        for name, content in parts.items():
            texts[path] = replace_between(texts[path], name, content)
    return texts


def main() -> None:
    """Write the files."""
    for path, text in generated().items():
        path.write_text(text, encoding="utf-8")


def _features() -> str:
    text = (
        "One `Float32` column a declared feature, null before its warm-up; names, units and\n"
        "formulas stand in [docs/features.md](../docs/features.md). Unscaled beside them stands\n"
        f"`{VOLATILITY_COLUMN}`: the EWMA volatility of one bar's log return, by which forecasts\n"
        "are stated in returns."
    )
    return f"### Columns of features\n\n{text}"


def _type(dtype: object) -> str:
    return str(dtype).replace("time_unit=", "").replace("time_zone=", "").replace("'", "")


def _portfolio_of(figure: Figure) -> str:
    return figure.name.removeprefix(VERDICT).rpartition(".")[0]


def _asked_first(judged: Sequence[Figure]) -> set[str]:
    """Return agents, well-known portfolios and the one with the best ratio of all others."""
    found = {_portfolio_of(figure) for figure in judged}
    agents = {name for name in found if name.rpartition("/")[2] == "ensemble"}
    ratios = {
        _portfolio_of(figure): figure.value
        for figure in judged
        if figure.name.endswith(f".{RANKED_BY}") and isinstance(figure.value, float)
    }
    others = {name: ratio for name, ratio in ratios.items() if name not in agents}
    best = {max(others, key=lambda name: others[name])} if others else set()
    return agents | (KNOWN_PORTFOLIOS & found) | best


def _verdict_table(figures: Sequence[Figure]) -> str:
    found: dict[str, dict[str, Figure]] = {}
    for figure in figures:
        name = figure.name.rpartition(".")[2]
        found.setdefault(_portfolio_of(figure), {})[name] = figure
    names = [
        name
        for name in dict.fromkeys(name for own in found.values() for name in own)
        if not name.endswith(("_low", "_high"))
    ]
    rows = [(portfolio, *(_cell(own, name) for name in names)) for portfolio, own in found.items()]
    return _table(("Portfolio", *(name.replace("_", " ") for name in names)), rows)


def _cell(own: dict[str, Figure], name: str) -> str:
    if name not in own:
        return "-"
    text = _value(own[name])
    ends = [own.get(f"{name}{suffix}") for suffix in ("_low", "_high")]
    shown = [_value(end) for end in ends if end is not None and end.value is not None]
    return f"{text} ({' to '.join(shown)})" if len(shown) == 2 else text


def _measured_row(figure: Figure) -> tuple[str, ...]:
    unit = "" if figure.unit in ("", "fraction") else f" {figure.unit}"
    return (
        f"`{figure.name}`",
        f"{_value(figure)}{unit}",
        "-" if figure.limit is None else f"{figure.limit:g}{unit}",
        figure.peer or "-",
        "-" if figure.ratio is None else f"{figure.ratio:.3g}",
        "-" if figure.cores is None else str(figure.cores),
        figure.date or "-",
    )


def _value(figure: Figure) -> str:
    if figure.value is None:
        return "-"
    if isinstance(figure.value, str):
        return figure.value
    if isinstance(figure.value, int):
        return f"{figure.value:,}"
    if figure.unit == "fraction":
        return f"{100 * figure.value:.1f} %"
    is_usual = figure.value == 0 or 0.01 <= abs(figure.value) < 100
    return f"{figure.value:.2f}" if is_usual else f"{figure.value:.4g}"


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(header) + " |", "|" + " --- |" * len(header)]
    # A bar inside a formula would end its cell.
    lines += ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
