"""What each subcommand of `trading-assets` does; every function returns the exit status."""

from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from trading_assets.errors import UserError

if TYPE_CHECKING:
    from trading_assets.lake.store import Lake
    from trading_assets.plan import Target

FAILED = 1


def run(options: Namespace) -> int:
    """Bring a strategy's assets up to date."""
    from trading_assets.pipeline.driver import run_strategy, vary_strategy

    target = _target(options)
    strategy = vary_strategy(options.strategy, options.assignments, options.name)
    return 0 if run_strategy(strategy, target) else FAILED


def show_plan(options: Namespace) -> int:
    """Say what is missing or stale."""
    from trading_assets.pipeline.driver import print_plan

    print_plan(options.strategy, _target(options))
    return 0


def _target(options: Namespace) -> "Target":
    from trading_assets.plan import Target

    if options.first and options.last and options.last < options.first:
        msg = f"--to {options.last} is before --from {options.first}; expected it on or after"
        raise UserError(msg)
    return Target(options.first, options.last, frozenset(options.only))


def search(options: Namespace) -> int:
    """Try parameters of an agent."""
    from trading_assets.pipeline.parameter_search import search_parameters

    search_parameters(
        options.strategy, options.agent, options.fold, options.trials, options.storage
    )
    return 0


def show_report(options: Namespace) -> int:
    """Open a report, or compare two."""
    from trading_assets.pipeline.show_report import compare_reports, open_report

    if options.other is None:
        open_report(options.strategy)
    else:
        compare_reports(options.strategy, options.other)
    return 0


def rebuild(options: Namespace) -> int:
    """Make a stored report again and compare it."""
    from trading_assets.pipeline.rebuild import rebuild_report

    rebuilt = rebuild_report(options.report)
    print(rebuilt.sentence)
    return 0 if rebuilt.is_same else FAILED


def query(options: Namespace) -> int:
    """Answer a question in SQL."""
    from trading_assets.shown_tables import csv_text, print_table

    answer = _lake().query(options.query)
    if options.format == "csv":
        print(csv_text(answer), end="")
        return 0
    print_table(answer, options.rows)
    if len(answer) > options.rows:
        print(f"{options.rows} of {len(answer)} rows; --rows shows more, --format csv all")
    return 0


def stream(options: Namespace) -> int:
    """Store live bars while a session lasts."""
    from trading_assets.pipeline.live_bars import run_stream

    print(run_stream(options.market_data, options.minutes))
    return 0


def list_assets(options: Namespace) -> int:
    """List declarations and their assets."""
    from trading_assets.graph import market_data_graph, strategy_graph
    from trading_assets.pipeline.settings import read_settings

    declarations = read_settings().declarations()
    graphs = [market_data_graph(n, spec) for n, spec in declarations.market_data.items()]
    graphs += [
        strategy_graph(name, strategy, declarations.market_data_of(name))
        for name, strategy in declarations.strategies.items()
    ]
    for graph in graphs:
        print(f"{graph.owner}  ({declarations.files[graph.owner]})")
        for node in graph.nodes:
            print(f"  {node.key:<40} {node.stage:<11} {node.axis}")
    return 0


def list_features(options: Namespace) -> int:
    """List features."""
    from trading_assets.features import feature_list

    feature_list.print_sections(feature_list.list_features(options.group))
    return 0


def explain_feature(options: Namespace) -> int:
    """Say everything about a feature."""
    from trading_assets.features import explain

    spec = None
    if options.strategy is not None:
        from trading_assets.pipeline.settings import read_settings

        spec = read_settings().declarations().strategy(options.strategy).features
    print(explain.explain_feature(options.name, spec))
    return 0


def plot_feature(options: Namespace) -> int:
    """Draw a stored feature."""
    from trading_assets.features.feature_plot import draw_feature, read_feature_line, save_plot

    line = read_feature_line(_lake(), options.name, options.strategy, options.symbol)
    path = save_plot(draw_feature(line), options.out or Path(f"{line.feature.name}.png"))
    print(f"{line.feature.name} of {line.symbol}, {len(line.sessions)} bars, in {path}")
    return 0


def sweep(options: Namespace) -> int:
    """Mark runs failed whose process is gone."""
    from trading_assets.pipeline.instance import (
        open_instance,
        set_pool_limits,
        sweep_dead_runs,
    )
    from trading_assets.pipeline.settings import read_settings

    with open_instance(read_settings().data) as instance:
        set_pool_limits(instance)
        swept = sweep_dead_runs(instance)
    print(f"{len(swept)} dead runs marked failed", *swept, sep="\n")
    return 0


def clean(options: Namespace) -> int:
    """Remove files that nothing refers to."""
    lake = _lake()
    removed = [*lake.sweep().paths, *lake.clean().paths]
    print(f"{len(removed)} files removed", *removed, sep="\n")
    return 0


def serve_pages(options: Namespace) -> int:
    """Serve reports and Data Docs until interrupted."""
    from trading_assets.page_server import pages_server
    from trading_assets.pipeline.settings import read_settings

    with pages_server(read_settings().data, options.port) as server:
        print(f"Reports and Data Docs on http://127.0.0.1:{options.port}/, linked from the UI")
        server.serve_forever()
    return 0


def _lake() -> "Lake":
    from trading_assets.pipeline.settings import open_lake, read_settings

    return open_lake(read_settings())
