"""Draws one stored feature of one symbol below the close that it was computed from."""

import io
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from numpy.typing import NDArray

from trading_assets.errors import DataError, UserError, shown
from trading_assets.features.adjustment import adjust_forward, list_actions
from trading_assets.features.catalogue import feature_of
from trading_assets.features.definition import FeatureDefinition

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from trading_assets.lake.reader import LakeReader

Array = NDArray[np.float64]

_FEATURES, _BARS, _ACTIONS = "/features", "/validated_bars", "/corporate_actions"
_PRICE, _VALUE = "#8a8f98", "#2f81d6"
_INK, _GRID = "#24292f", "#8a8f98"
_MOST_SHOWN = 12
# A span of prices below which 1, 2, 5 and their tenfolds may leave an axis without a label.
_SMALL_SPAN = 5.0


@dataclass(frozen=True, slots=True)
class FeatureLine:
    """One feature of one symbol as it is stored, with the price beside it.

    Attributes
    ----------
    feature : FeatureDefinition
        Which one.
    strategy, symbol : str
        Whose.
    scale_bars : int or None
        Bars of the scaling window; None where the lake does not say.
    sessions : datetime64[D] (T,)
        Sessions, increasing.
    close : float64 (T,)
        Total-return price, USD of the first bar's share; nan where no bar is stored.
    values : float64 (T,)
        As stored: scaled if the feature is; nan where unknown.
    """

    feature: FeatureDefinition
    strategy: str
    symbol: str
    scale_bars: int | None
    sessions: NDArray[np.datetime64]
    close: Array
    values: Array


def read_feature_line(
    lake: "LakeReader", name: str, strategy: str | None = None, symbol: str | None = None
) -> FeatureLine:
    """Return a stored feature of one symbol over every stored month that passed.

    Parameters
    ----------
    lake : LakeReader
        Where features and bars are stored.
    name : str
        Feature, as in YAML.
    strategy : str, optional
        Whose features; by default those of the only strategy that has any.
    symbol : str, optional
        By default the first by name.

    Raises
    ------
    UserError
        If there is no such feature, strategy or symbol in the lake.
    DataError
        If a stored file is not what was committed.
    """
    owner = _strategy(lake.assets(), strategy)
    asset = f"{owner}{_FEATURES}"
    records = [record for record in lake.records(asset).values() if record.verdict == "passed"]
    if not records:
        msg = (
            f"every stored month of {asset} was refused; expected one that passed: mend its data"
            f" set, then run `trading-assets run {owner} --only features`"
        )
        raise DataError(msg)
    # The last month says what it was computed from, whatever is declared by now.
    inputs = {ref.asset for ref in records[-1].inputs}
    declared = lake.document(records[-1].config_digest).get("features", {})
    feature = feature_of(name, declared.get("module"))
    rows = lake.read(asset, [record.partition for record in records])
    rows = _of_symbol(_with_column(rows, feature, owner), owner, symbol)
    chosen = str(rows["symbol"][0])
    sessions = rows["session"].to_numpy().astype("datetime64[D]")
    return FeatureLine(
        feature=feature,
        strategy=owner,
        symbol=chosen,
        scale_bars=declared.get("scale_bars"),
        sessions=sessions,
        close=_close_at(lake, inputs, chosen, sessions),
        values=rows[feature.name].cast(pl.Float64).fill_null(np.nan).to_numpy(),
    )


def draw_feature(line: FeatureLine) -> bytes:
    """Return the close and the feature below it as a PNG of 1200 x 760 pixels on white."""
    from matplotlib.figure import Figure

    feature = line.feature
    figure = Figure(figsize=(10.0, 6.334), facecolor="white")
    top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=(1.3, 1))
    figure.subplots_adjust(left=0.075, right=0.985, top=0.885, bottom=0.05, hspace=0.08)
    title = f"{feature.name} of {line.symbol}, strategy {line.strategy}"
    figure.text(0.012, 0.965, title, fontsize=12, color=_INK, parse_math=False)
    figure.text(0.012, 0.925, feature.formula, fontsize=9, color=_INK, parse_math=False)
    top.plot(line.sessions, line.close, color=_PRICE, linewidth=1.0)
    # Returns are ratios: equal moves are equally high on a logarithmic axis.
    top.set_yscale("log")
    _label_prices(top, line.close)
    top.set_ylabel("Total-return close, USD", color=_INK, fontsize=9)
    bottom.plot(line.sessions, line.values, color=_VALUE, linewidth=0.8)
    if feature.is_scaled:
        # It imports the compiler, which reading and refusing need not wait for.
        from trading_assets.features.compiled.scaling import CLIP

        bottom.set_ylim(-1.06 * CLIP, 1.06 * CLIP)
        bottom.axhline(0.0, color=_GRID, linewidth=0.7)
    scaled = "Scaled" if line.scale_bars is None else f"Scaled, {line.scale_bars} bars"
    unit = scaled if feature.is_scaled else f"Not scaled: {feature.unit}"
    bottom.set_ylabel(unit, color=_INK, fontsize=9)
    for axes in (top, bottom):
        _style(axes)
    figure.align_ylabels()
    return _png(figure)


def save_plot(image: bytes, path: Path) -> Path:
    """Write a picture and return its absolute path.

    Raises
    ------
    UserError
        If the file cannot be written.
    """
    try:
        path.write_bytes(image)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else None
        msg = (
            f"{shown(str(path))} could not be written ({reason or error}); expected a file in a"
            " folder that exists and may be written: name another with --out"
        )
        raise UserError(msg) from error
    return path.absolute()


def _strategy(assets: list[str], wanted: str | None) -> str:
    owners = [asset.removesuffix(_FEATURES) for asset in assets if asset.endswith(_FEATURES)]
    if not owners:
        msg = (
            "no strategy has features in the lake; expected one: store them with `trading-assets"
            f" run {wanted if wanted and wanted.isidentifier() else 'STRATEGY'} --only features`"
        )
        raise UserError(msg)
    if wanted is None and len(owners) > 1:
        msg = (
            f"{len(owners)} strategies have features in the lake; expected one of"
            f" {_some(owners)}: name it with --strategy"
        )
        raise UserError(msg)
    if wanted is not None and wanted not in owners:
        msg = (
            f"strategy {shown(wanted)} has no features in the lake; expected one of"
            f" {_some(owners)}: choose it, or store its own with `trading-assets run`"
        )
        raise UserError(msg)
    return wanted or owners[0]


def _with_column(rows: pl.DataFrame, feature: FeatureDefinition, owner: str) -> pl.DataFrame:
    if feature.name not in rows.columns:
        msg = (
            f"feature {feature.name} is not stored for {owner}; expected one that it declares: add"
            f" it to features.names, then run `trading-assets run {owner} --only features`"
        )
        raise UserError(msg)
    return rows.select("symbol", "session", feature.name)


def _of_symbol(rows: pl.DataFrame, owner: str, wanted: str | None) -> pl.DataFrame:
    symbols = sorted(set(rows["symbol"].to_list()))
    if wanted is None and not symbols:
        msg = f"features of {owner} hold no row; expected one symbol at least: add bars to its data"
        raise DataError(msg)
    if wanted is not None and wanted not in symbols:
        msg = f"symbol {shown(wanted)} has no features of {owner}; expected one of {_some(symbols)}"
        raise UserError(msg)
    return rows.filter(pl.col("symbol") == (wanted or symbols[0])).sort("session")


def _some(names: list[str]) -> str:
    more = f" and {len(names) - _MOST_SHOWN} more" if len(names) > _MOST_SHOWN else ""
    return ", ".join(names[:_MOST_SHOWN]) + more


def _close_at(
    lake: "LakeReader", inputs: set[str], symbol: str, sessions: NDArray[np.datetime64]
) -> Array:
    """Return the total-return close (T,) at some sessions, nan where no bar is stored."""
    close = np.full(len(sessions), np.nan)
    source = next((asset for asset in sorted(inputs) if asset.endswith(_BARS)), None)
    records = lake.records(source).values() if source else ()
    months = [record.partition for record in records if record.verdict == "passed"]
    if source is None or not months:
        return close
    bars = lake.read(source, months).filter(pl.col("symbol") == symbol).sort("session")
    actions = next((asset for asset in sorted(inputs) if asset.endswith(_ACTIONS)), None)
    entitled = list_actions(lake.read(actions, [None])).get(symbol, ()) if actions else ()
    if not len(bars):
        return close
    adjusted = adjust_forward(bars, entitled)
    rows = np.minimum(np.searchsorted(adjusted.sessions, sessions), len(bars) - 1)
    is_held = adjusted.sessions[rows] == sessions
    return np.where(is_held, adjusted.close[rows], np.nan)


def _label_prices(axes: "Axes", close: Array) -> None:
    from matplotlib.ticker import (
        LogLocator,
        MaxNLocator,
        NullFormatter,
        NullLocator,
        StrMethodFormatter,
    )

    known = close[~np.isnan(close)]
    is_small = len(known) > 0 and known.max() < _SMALL_SPAN * known.min()
    axes.yaxis.set_major_locator(MaxNLocator(5) if is_small else LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_minor_formatter(NullFormatter())


def _style(axes: "Axes") -> None:
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    locator = AutoDateLocator()
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator, show_offset=False))
    axes.grid(visible=True, axis="y", color=_GRID, linewidth=0.5, alpha=0.35)
    axes.tick_params(colors=_INK, labelsize=9, length=3)
    for side, spine in axes.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_color(_GRID)


def _png(figure: "Figure") -> bytes:
    buffer = io.BytesIO()
    # Empty metadata keeps versions out of the file.
    figure.savefig(buffer, format="png", dpi=120, metadata={"Software": None})
    return buffer.getvalue()
