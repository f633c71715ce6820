"""What an agent's trained policies reach by their preferences, as files and a table."""

import io
import json
from collections.abc import Sequence
from dataclasses import dataclass

from trading_assets.forecast.windows import WindowLike
from trading_assets.market_data import MarketDataSpec
from trading_assets.policy.fold import TrainingTables, market_of, validation_days
from trading_assets.policy.networks import TrainedPolicy
from trading_assets.policy.pareto import ParetoSet, preference_grid, reach_preferences
from trading_assets.policy.rollout import build_task, decision_range
from trading_assets.reward_specs import MultiObjectiveSpec
from trading_assets.strategy import Strategy

# From 11 to 20 preferences: enough to see a front, and each trades the validation window once.
_STEPS = {2: 10, 3: 4, 4: 3}


@dataclass(frozen=True, slots=True)
class ParetoReport:
    """Compromises between objectives, and how to look at them.

    Attributes
    ----------
    reached : ParetoSet
        What was reached by each preference.
    plot : bytes
        PNG of the first objective against each other one.
    """

    reached: ParetoSet
    plot: bytes

    def to_files(self) -> dict[str, bytes]:
        """Return `pareto.json` and `pareto.png`."""
        found = self.reached
        values = {
            "objectives": list(found.objectives),
            "preferences": found.preferences.tolist(),
            "points": found.points.tolist(),
            "is_efficient": found.is_efficient.tolist(),
            "reference": found.reference.tolist(),
            "hypervolume": found.hypervolume,
        }
        text = json.dumps(values, sort_keys=True, allow_nan=False)
        return {"pareto.json": text.encode(), "pareto.png": self.plot}

    @property
    def table(self) -> str:
        """Return a Markdown table of preferences and what each reached, in 1e-4 a bar."""
        found, names = self.reached, self.reached.objectives
        head = [f"weight of {name}" for name in names] + [f"{name}, 1e-4" for name in names]
        lines = ["| " + " | ".join([*head, "efficient"]) + " |", "|---" * (len(head) + 1) + "|"]
        rows = zip(found.preferences, found.points, found.is_efficient, strict=True)
        for weights, point, is_efficient in rows:
            cells = [f"{weight:.2f}" for weight in weights] + [f"{1e4 * v:.3f}" for v in point]
            lines.append("| " + " | ".join([*cells, "yes" if is_efficient else ""]) + " |")
        return "\n".join(lines)


def report_pareto(
    policies: Sequence[TrainedPolicy],
    tables: TrainingTables,
    window: WindowLike,
    strategy: Strategy,
    market_data: MarketDataSpec,
) -> ParetoReport | None:
    """Trade the validation window by the mean action of all seeds, once for each preference.

    Parameters
    ----------
    policies : sequence of TrainedPolicy
        All seeds of an agent.
    tables, window, strategy, market_data
        As they were trained by `train_seeds`.

    Returns
    -------
    ParetoReport or None
        None where the reward has no preferences.
    """
    if not isinstance(strategy.policy.reward, MultiObjectiveSpec):
        return None
    market = market_of(tables, market_data)
    task = build_task(market, tables.features, tables.forecasts, strategy)
    rows = decision_range(market, validation_days(market, window)[:-1])
    n_objectives = len(strategy.policy.reward.preference)
    grid = preference_grid(n_objectives, _STEPS[n_objectives])
    reached = reach_preferences(policies, task, rows, grid)
    return ParetoReport(reached, _plot(reached))


def _plot(reached: ParetoSet) -> bytes:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    n_panels = len(reached.objectives) - 1
    figure = Figure(figsize=(1.0 + 3.2 * n_panels, 3), layout="constrained")
    canvas = FigureCanvasAgg(figure)
    best, first = reached.is_efficient, reached.objectives[0]
    points = 1e4 * reached.points
    panels = figure.subplots(1, n_panels, squeeze=False)[0]
    for place, (axes, name) in enumerate(zip(panels, reached.objectives[1:], strict=True), 1):
        for which, color, label in (
            (~best, "#999999", "dominated"),
            (best, "#2a6f97", "efficient"),
        ):
            axes.plot(points[which, place], points[which, 0], "o", color=color, label=label)
        axes.set_xlabel(f"{name}, 1e-4 a bar")
    panels[0].set_ylabel(f"{first}, 1e-4 a bar")
    panels[0].legend(frameon=False)
    content = io.BytesIO()
    canvas.print_png(content, metadata={"Software": None})
    return content.getvalue()
