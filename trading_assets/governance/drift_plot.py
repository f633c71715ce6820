"""The picture of a drift report: every feature's index beside its own alarm level."""

# matplotlib's signatures are typed in part only.
# pyright: reportUnknownMemberType=false

import io

import polars as pl
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

_WITHIN, _BEYOND, _LEVEL = "#4c72b0", "#c44e52", "#333333"


def plot_drift(table: pl.DataFrame) -> bytes:
    """Return a PNG of the stability index and alarm level of each feature.

    Parameters
    ----------
    table : DataFrame
        Table `drift`.
    """
    features = table["feature"].to_list()
    rows = range(len(features))
    figure = Figure(figsize=(8, 1.2 + 0.22 * len(features)), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    colours = [_BEYOND if drifted else _WITHIN for drifted in table["is_drifted"]]
    axes.barh(rows, table["psi"].to_list(), color=colours, height=0.6)
    axes.scatter(table["threshold_psi"].to_list(), rows, color=_LEVEL, marker="|", s=80)
    axes.set_yticks(rows, features, fontsize=7)
    axes.invert_yaxis()
    axes.set_xlabel("population stability index; the mark is the feature's alarm level")
    axes.set_title(f"{table['is_drifted'].sum()} of {len(features)} features drifted", fontsize=9)
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=100, metadata={"Software": None})
    return picture.getvalue()
