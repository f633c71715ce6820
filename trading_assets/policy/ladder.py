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
BARS = {"full": MIN_SHARE_FULL, "declared": MIN_SHARE_DECLARED}
_LEARNT, _OPTIMUM, _LIMIT = "#2a6f97", "#444444", "#bc4749"


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
        PNG: curves of learning beside shares on fresh paths, and positions, by signal strength.
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
    shares = {name: median(rungs[name].shares) for name in BARS}
    position = median(rungs["zero"].mean_absolute_positions)
    too_low = [
        f"share of the optimum at {name} signal was {shares[name]:.3f}; expected at least {bound}"
        for name, bound in BARS.items()
        if not shares[name] >= bound
    ]
    limit = MAX_MEAN_ABSOLUTE_POSITION
    not_flat = [f"mean absolute position without a signal was {position:.3f}; expected <= {limit}"]
    return JudgedLadder(
        result=result,
        too_low=too_low,
        not_flat=[] if position <= limit else not_flat,
        figures={
            "share_full": shares["full"],
            "share_declared": shares["declared"],
            "mean_absolute_position_zero": position,
            "total_steps": float(result.total_steps),
        },
        plot=plot_ladder(result),
    )


def plot_ladder(result: LadderResult) -> bytes:
    """Return a PNG of what was learnt at each signal, by steps and in the end, and of positions."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rungs = [rung for rung in result.rungs if rung.shares]
    figure = Figure(figsize=(9, 3), layout="constrained")
    canvas = FigureCanvasAgg(figure)
    *learning, resting = figure.subplots(1, len(rungs) + 1)
    for axes, rung in zip(learning, rungs, strict=True):
        for curve, share in zip(rung.histories, rung.shares, strict=True):
            steps, scores = zip(*curve, strict=True)
            axes.plot(steps, [s / rung.optimum for s in scores], color=_LEARNT, alpha=0.5)
            axes.plot(result.total_steps, share, "o", color=_LEARNT)
        axes.axhline(1.0, color=_OPTIMUM, linewidth=1, label="optimum")
        axes.axhline(BARS[rung.name], color=_LIMIT, linewidth=1, label="asked for")
        if rung.name == "declared":
            axes.axhline(
                result.myopic_share, color=_LIMIT, linewidth=1, linestyle=":", label="myopic rule"
            )
        axes.set_title(f"{rung.name} signal, IC {rung.information_coefficient:g}", fontsize=9)
        axes.set_ylim(-0.1, 1.15)
        axes.locator_params(axis="x", nbins=4)
        axes.set_xlabel("steps (lines: validation; dots: fresh paths)", fontsize=8)
        axes.legend(frameon=False, fontsize=7, loc="lower right")
    learning[0].set_ylabel("share of the optimum")
    for place, rung in enumerate(result.rungs):
        positions = rung.mean_absolute_positions
        resting.plot([place] * len(positions), positions, "o", color=_LEARNT, alpha=0.7)
    limit = MAX_MEAN_ABSOLUTE_POSITION
    resting.axhline(limit, color=_LIMIT, linewidth=1, label="most without a signal")
    resting.set_xticks(range(len(result.rungs)), [rung.name for rung in result.rungs])
    resting.set_ylim(bottom=0.0)
    resting.set_title("mean absolute position", fontsize=9)
    resting.legend(frameon=False, fontsize=7)
    content = io.BytesIO()
    canvas.print_png(content, metadata={"Software": None})
    return content.getvalue()
