"""Assets of the stage policy: one trained agent each, and the ladder that proves it can learn."""

from dataclasses import dataclass
from pathlib import Path
from shutil import rmtree
from typing import Any

import dagster as dg
from pydantic import Field

from trading_assets.agent_specs import DeclaredAgent
from trading_assets.asset_nodes import AssetNode
from trading_assets.backtest.folds import get_fold
from trading_assets.cores import usable_cores
from trading_assets.pipeline.checks import check, check_spec
from trading_assets.pipeline.declared import Declared, declare_asset
from trading_assets.pipeline.instance import TRAINING_POOL
from trading_assets.pipeline.made_with import MADE_WITH, made_with
from trading_assets.pipeline.market_tables import read_market
from trading_assets.pipeline.progress import watch_training
from trading_assets.pipeline.resources import LakeResource, TrackingResource
from trading_assets.pipeline.task import Task, report_partitions
from trading_assets.pipeline.trials import Trained, count_policy
from trading_assets.strategy import with_sizes


class AgentSizes(dg.Config):
    """Sizes of one launch; those left out are the declared ones."""

    total_steps: int | None = Field(None, description="Environment steps of one training.")
    seeds: int | None = Field(None, description="Independent trainings.")

    def over(self, agent: DeclaredAgent) -> DeclaredAgent:
        """Return the agent's specification with these sizes."""
        sizes = {"total_steps": self.total_steps, "seeds": self.seeds}
        return with_sizes(agent, {name: size for name, size in sizes.items() if size is not None})


def policy_assets(declared: Declared) -> list[dg.AssetsDefinition]:
    """Return an asset for each agent and, in a world with a known optimum, its oracle ladder."""
    agents = declared.trading.policy.agents
    policies = [_policy(declared, agent) for agent in agents]
    if not declared.trading.is_oracle_world:
        return policies
    return [*policies, *(_oracle_ladder(declared, agent) for agent in agents)]


def _policy(declared: Declared, agent: str) -> dg.AssetsDefinition:
    node = declared.node(f"policy/{agent}")
    name = "policies_are_finite_and_deterministic"
    strategy = declared.trading

    @declare_asset(
        declared,
        node,
        None,
        description=f"The agent {agent}, trained on the fold's train window, one policy a seed.",
        kinds={"stablebaselines3", "torch", "mlflow"},
        pool=TRAINING_POOL,
        check_specs=[
            check_spec(
                node,
                name,
                "A policy read back from its files decides as the trained one, in finite weights.",
                blocks=True,
            )
        ],
    )
    def policy(
        context: dg.AssetExecutionContext,
        config: AgentSizes,
        lake: LakeResource,
        tracking: TrackingResource,
    ) -> dg.MaterializeResult:
        from trading_assets.policy.fold import train_seeds
        from trading_assets.policy.pareto_report import report_pareto

        task = Task.begin(context, lake, declared, f"policy/{agent}")
        fold = get_fold(task.key, strategy.folds)
        spec = config.over(strategy.policy.agents[agent])
        tags = {
            "dagster_run_id": context.run.run_id,
            "partition": task.key,
            "declaration": declared.name,
        }
        # Kept until what was trained is committed, so that a run that was killed goes on. One of
        # other code is not gone on with.
        kept = Path(lake.root) / "training" / node.key / task.key

        with tracking.follow(
            f"{declared.name}/policy/{agent}", f"fold {task.key}", spec.model_dump(), tags
        ) as run:
            tables = training_tables(task)
            trained = train_seeds(
                tables,
                fold,
                strategy,
                declared.market,
                spec,
                watch_training(context, run, kept / node.code_version, spec.total_steps),
                usable_cores(),
            )
            pareto = report_pareto(trained.policies, tables, fold, strategy, declared.market)
            files = {**trained.to_files(), **(pareto.to_files() if pareto else {})}
            run.finish(files)
        depends_on = {**node.depends_on, "agent": spec.model_dump(mode="json")}
        record = task.commit(
            [
                task.write(
                    task.key,
                    {},
                    files,
                    verdict="failed" if trained.problems else "passed",
                    reasons=trained.problems,
                )
            ],
            depends_on,
            {MADE_WITH: made_with(declared, node)},
        )
        report_partitions(context, record)
        count_policy(task.lake, declared, agent, Trained(record[0], len(trained.policies)))
        rmtree(kept, ignore_errors=True)
        scores = dict(enumerate(trained.validation_scores))
        return dg.MaterializeResult(
            metadata={
                "validation_score": sum(scores.values()) / len(scores),
                "seeds": len(scores),
                "total_steps": spec.total_steps,
                "curves": dg.MetadataValue.md(_curves(trained.policies)),
                "mlflow_run": run.run_id,
                **_constraint_kept(trained.policies),
                **(_pareto_metadata(pareto) if pareto else {}),
            },
            check_results=[check(name, trained.problems)],
        )

    return policy


def _oracle_ladder(declared: Declared, agent: str) -> dg.AssetsDefinition:
    node = declared.node(f"oracle_ladder/{agent}")
    capture, flat = "agent_captures_its_share_of_the_optimum", "agent_stays_flat_without_a_signal"

    @declare_asset(
        declared,
        node,
        None,
        description=f"Share of the known optimum that {agent} reaches at three signal strengths.",
        kinds={"stablebaselines3"},
        pool=TRAINING_POOL,
        check_specs=[
            check_spec(
                node, capture, "Shares at full and realistic signal reach the bars.", blocks=True
            ),
            check_spec(node, flat, "With no signal the mean position is near zero.", blocks=True),
        ],
    )
    def oracle_ladder(
        context: dg.AssetExecutionContext, config: AgentSizes, lake: LakeResource
    ) -> dg.MaterializeResult:
        from trading_assets.policy.ladder import judge_ladder

        task = Task.begin(context, lake, declared, f"oracle_ladder/{agent}")
        spec = config.over(declared.trading.policy.agents[agent])
        judged = judge_ladder(declared.trading, declared.market, spec)
        problems = [*judged.too_low, *judged.not_flat]
        record = task.commit(
            [
                task.write(
                    "",
                    {},
                    {"summary.json": judged.to_json(), "ladder.png": judged.plot},
                    verdict="failed" if problems else "passed",
                    reasons=problems,
                )
            ],
            {**node.depends_on, "agent": spec.model_dump(mode="json")},
        )
        report_partitions(context, record)
        return dg.MaterializeResult(
            metadata={**judged.figures, "ladder": png_metadata(judged.plot)},
            check_results=[check(capture, judged.too_low), check(flat, judged.not_flat)],
        )

    return oracle_ladder


def training_tables(task: Task) -> Any:
    """Read what agents are trained on or traded with, in one piece."""
    from trading_assets.policy.fold import TrainingTables

    name = task.declared.name
    bars, actions = read_market(task)
    return TrainingTables(
        bars=bars,
        actions=actions,
        features=task.read(f"{name}/features"),
        forecasts=task.read(f"{name}/forecasts"),
    )


@dataclass(frozen=True, slots=True)
class StoredEnsembles:
    """Trained seeds by agent, and what is traded together, by portfolio."""

    policies: Any
    ensembles: Any


def read_ensembles(task: Task) -> StoredEnsembles:
    """Read a fold's trained seeds, and put them together as its strategy declares."""
    from trading_assets.policy.ensemble import traded_ensembles
    from trading_assets.policy.fold import read_seeds, read_tracks

    nodes = agent_nodes(task.declared)
    stored = {a: task.lake.read_blobs(policy.key, task.key) for a, policy in nodes.items()}
    policies = {agent: read_seeds(files) for agent, files in stored.items()}
    rule = task.declared.trading.policy.ensemble
    is_weighted = rule.rule != "mean_action"
    tracks = {a: read_tracks(files) for a, files in stored.items()} if is_weighted else {}
    return StoredEnsembles(policies, traded_ensembles(rule, policies, tracks))


def png_metadata(png: bytes) -> dg.MarkdownMetadataValue:
    """Return a small picture as metadata that the UI shows."""
    import base64

    return dg.MetadataValue.md(f"![plot](data:image/png;base64,{base64.b64encode(png).decode()})")


def agent_nodes(declared: Declared) -> dict[str, AssetNode]:
    """Return the policy asset of each agent by the agent's name."""
    return {agent: declared.node(f"policy/{agent}") for agent in declared.trading.policy.agents}


def _pareto_metadata(pareto: Any) -> dict[str, Any]:
    return {
        "hypervolume": pareto.reached.hypervolume,
        "pareto_set": dg.MetadataValue.md(pareto.table),
        "pareto": png_metadata(pareto.plot),
    }


def _curves(policies: Any) -> str:
    lines = [
        "| seed | steps | validation score | share of limit | multiplier | kept |",
        "|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {policy.seed} | {point.steps} | {point.score:.3e} | {_shown(point.constraint_share)} |"
        f" {_shown(point.multiplier)} | {'yes' if point.steps == policy.selected_steps else ''} |"
        for policy in policies
        for point in policy.history
    ]
    return "\n".join(lines)


def _shown(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


def _constraint_kept(policies: Any) -> dict[str, str]:
    """Say of each seed whether its kept checkpoint keeps the constraint, if there is one."""
    said: list[str] = []
    for policy in policies:
        kept = policy.kept_checkpoint
        if kept is None or kept.constraint_share is None:
            continue
        verb = "kept" if kept.keeps_constraint else "broken by every checkpoint, least"
        said.append(f"seed {policy.seed}: {verb} at {kept.constraint_share:.3f} of the limit")
    return {"constraint": "; ".join(said)} if said else {}
