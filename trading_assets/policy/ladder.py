"""Judges an agent's oracle ladder: that the machinery learns, and invents nothing."""

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import median

from trading_assets.agent_specs import DeclaredAgent
from trading_assets.errors import DeclarationError
from trading_assets.market_data import MarketDataSpec
from trading_assets.policy.oracle import LadderResult, climb_oracle_ladder
from trading_assets.source_specs import WorldSource
from trading_assets.strategy import Strategy

# A rule that looks one bar ahead reaches 0.768 of W1's optimum: the bars lie above it.
MIN_SHARE_FULL = 0.85
MIN_SHARE_DECLARED = 0.80
MAX_MEAN_ABSOLUTE_POSITION = 0.05


@dataclass(frozen=True, slots=True)
class JudgedLadder:
    """A climbed ladder with its verdict.

    Attributes
    ----------
    result : LadderResult
        Shares and positions, seed by seed.
    too_low, not_flat : list of str
        What contradicts 'captures its share' and 'stays flat'.
    figures : mapping of str to float
        Medians over seeds.
    plot : bytes
        PNG of shares by signal strength.
    """

    result: LadderResult
    too_low: list[str]
    not_flat: list[str]
    figures: Mapping[str, float]
    plot: bytes

    def to_json(self) -> bytes:
        """Return the result with its figures as canonical JSON."""
        values = {"figures": dict(self.figures), **self.result.to_card()}
        return json.dumps(values, sort_keys=True).encode()


def judge_ladder(
    strategy: Strategy, market_data: MarketDataSpec, agent: DeclaredAgent
) -> JudgedLadder:
    """Climb the ladder with every seed of an agent and judge the medians.

    Raises
    ------
    DeclarationError
        If the data set is not a synthetic world.
    """
    source = market_data.source
    if not isinstance(source, WorldSource):
        msg = f"is_oracle_world was set on a {source.kind} source; expected a synthetic one"
        raise DeclarationError(msg)
    result = climb_oracle_ladder(strategy, agent, source, range(agent.seeds))
    rungs = {rung.name: rung for rung in result.rungs}
    full, declared = (median(rungs[name].shares) for name in ("full", "declared"))
    position = median(rungs["zero"].mean_absolute_positions)
    too_low = [
        f"share of the optimum at {name} signal was {share:.3f}; expected at least {bound}"
        for name, share, bound in (
            ("full", full, MIN_SHARE_FULL),
            ("declared", declared, MIN_SHARE_DECLARED),
        )
        if not share >= bound
    ]
    limit = MAX_MEAN_ABSOLUTE_POSITION
    not_flat = [f"mean absolute position without a signal was {position:.3f}; expected <= {limit}"]
    return JudgedLadder(
        result=result,
        too_low=too_low,
        not_flat=[] if position <= limit else not_flat,
        figures={
            "share_full": full,
            "share_declared": declared,
            "mean_absolute_position_zero": position,
            "total_steps": float(result.total_steps),
        },
        plot=_plot(result),
    )


def _plot(result: LadderResult) -> bytes:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5, 3), layout="constrained")
    canvas = FigureCanvasAgg(figure)
    axes = figure.subplots()
    rungs = [rung for rung in result.rungs if rung.shares]
    for place, rung in enumerate(rungs):
        axes.plot([place] * len(rung.shares), rung.shares, "o", color="#2a6f97", alpha=0.7)
    axes.axhline(1.0, color="#444444", linewidth=1, label="optimum")
    axes.axhline(result.myopic_share, color="#bc4749", linewidth=1, linestyle="--", label="myopic")
    axes.set_xticks(
        range(len(rungs)), [f"{r.name}\nIC {r.information_coefficient:g}" for r in rungs]
    )
    axes.set_ylabel("share of the optimum")
    axes.set_ylim(min(0.0, axes.get_ylim()[0]), 1.1)
    axes.legend(frameon=False)
    content = io.BytesIO()
    canvas.print_png(content, metadata={"Software": None})
    return content.getvalue()
