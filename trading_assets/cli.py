"""The command `trading-assets`: run a strategy, ask what is stale, query the lake."""

import argparse
import os
import select
import sys
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from trading_assets.errors import UserError, shown

if TYPE_CHECKING:
    from trading_assets.lake.store import Lake
    from trading_assets.plan import Target

FAILED = 1
MISTAKEN = 2
INTERRUPTED = 130

_MOST_DIGITS = 9


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return 0, 1 if a run failed, or 2 for a mistake a user can mend."""
    options = _parser().parse_args(arguments)
    try:
        code: int = options.function(options)
        sys.stdout.flush()
        return code
    except BrokenPipeError:
        if not _is_reader_gone():
            raise
        # Closing standard output at the end would complain once more.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except UserError as error:
        print(f"trading-assets: {error}", file=sys.stderr)
        return MISTAKEN
    except KeyboardInterrupt:
        print("trading-assets: interrupted; the same command goes on from here", file=sys.stderr)
        return INTERRUPTED
    except PermissionError as error:
        print(
            f"trading-assets: {error.filename} cannot be written; expected a data folder that this"
            " user may write, see TRADING_ASSETS_DATA",
            file=sys.stderr,
        )
        return MISTAKEN


def _is_reader_gone() -> bool:
    output = select.poll()
    output.register(sys.stdout.fileno(), 0)
    return any(events & select.POLLERR for _, events in output.poll(0))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="trading-assets", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    run = commands.add_parser("run", help="bring a strategy's assets up to date")
    _add_target(run)
    run.add_argument(
        "--set", dest="assignments", action="append", default=[], metavar="FIELD=VALUE"
    )
    run.add_argument("--as", dest="name", metavar="NAME", help="name of the varied declaration")
    run.set_defaults(function=_run)
    shown = commands.add_parser("plan", help="say what is missing or stale, launch nothing")
    _add_target(shown)
    shown.set_defaults(function=_plan)
    _add_search(commands.add_parser("search", help="try parameters of an agent on a stored fold"))
    opened = commands.add_parser("report", help="open a strategy's report, or compare two")
    opened.add_argument("strategy")
    opened.add_argument("--compare", dest="other", metavar="OTHER", help="a second strategy")
    opened.set_defaults(function=_report)
    rebuilt = commands.add_parser("rebuild", help="make a stored report again and compare it")
    rebuilt.add_argument("report", metavar="REPORT", help="a strategy, or a stored report.html")
    rebuilt.set_defaults(function=_rebuild)
    sql = commands.add_parser("sql", help="query the lake with DuckDB")
    sql.add_argument("query")
    sql.add_argument("--format", choices=("table", "csv"), default="table")
    sql.add_argument("--rows", type=_count, default=50, help="rows of the table that are shown")
    sql.set_defaults(function=_sql)
    stream = commands.add_parser("stream", help="store Alpaca's live bars while a session lasts")
    stream.add_argument("market_data", metavar="DATA_SET")
    stream.add_argument("--minutes", type=float, help="end after so long, whatever the session")
    stream.set_defaults(function=_stream)
    listed = commands.add_parser("list", help="list declarations and their assets")
    listed.set_defaults(function=_list)
    sweep = commands.add_parser("sweep", help="mark runs failed whose process is gone")
    sweep.set_defaults(function=_sweep)
    clean = commands.add_parser("clean", help="remove files that no stored partition refers to")
    clean.set_defaults(function=_clean)
    _add_features(commands.add_parser("features", help="list, explain or plot features"))
    pages = commands.add_parser("pages", help="serve reports and Data Docs to this machine")
    pages.add_argument("--port", type=_count, default=3070)
    pages.set_defaults(function=_pages)
    return parser


def _add_target(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("strategy")
    parser.add_argument("--from", dest="first", type=_day, metavar="YYYY-MM-DD")
    parser.add_argument("--to", dest="last", type=_day, metavar="YYYY-MM-DD")
    parser.add_argument("--only", action="append", default=[], metavar="ASSET")


def _add_search(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("strategy")
    parser.add_argument("--agent", help="by default the only one whose search is declared")
    parser.add_argument("--fold", metavar="YYYY-MM-DD", help="by default the first")
    parser.add_argument("--trials", type=_count, help="of this call; by default as declared")
    parser.add_argument("--storage", metavar="URL", help="by default a file in the data folder")
    parser.set_defaults(function=_search)


def _add_features(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    listed = actions.add_parser("list", help="list features, families and groups")
    listed.add_argument("--group")
    listed.set_defaults(function=_list_features)
    explained = actions.add_parser("explain", help="say everything about a feature")
    explained.add_argument("name", metavar="NAME")
    explained.add_argument("--strategy", help="whose scaling and own features count")
    explained.set_defaults(function=_explain_feature)
    plotted = actions.add_parser("plot", help="draw a stored feature of one symbol as PNG")
    plotted.add_argument("name", metavar="NAME")
    plotted.add_argument("--strategy", help="by default the only one that has features stored")
    plotted.add_argument("--symbol", help="by default the first by name")
    plotted.add_argument("--out", type=Path, metavar="FILE", help="by default NAME.png")
    plotted.set_defaults(function=_plot_feature)


def _day(text: str) -> date:
    try:
        if len(text) == len("YYYY-MM-DD") and text.isascii() and "W" not in text:
            return date.fromisoformat(text)
    except ValueError:
        pass
    msg = f"{shown(text)} is no date; expected YYYY-MM-DD"
    raise argparse.ArgumentTypeError(msg)


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS):
        msg = f"{shown(text)} is no count; expected 0 or more"
        raise argparse.ArgumentTypeError(msg)
    return int(text)


def _run(options: argparse.Namespace) -> int:
    from trading_assets.pipeline.driver import run_strategy, vary_strategy

    target = _target(options)
    strategy = vary_strategy(options.strategy, options.assignments, options.name)
    return 0 if run_strategy(strategy, target) else FAILED


def _plan(options: argparse.Namespace) -> int:
    from trading_assets.pipeline.driver import print_plan

    print_plan(options.strategy, _target(options))
    return 0


def _target(options: argparse.Namespace) -> "Target":
    from trading_assets.plan import Target

    if options.first and options.last and options.last < options.first:
        msg = f"--to {options.last} is before --from {options.first}; expected it on or after"
        raise UserError(msg)
    return Target(options.first, options.last, frozenset(options.only))


def _search(options: argparse.Namespace) -> int:
    from trading_assets.pipeline.parameter_search import search_parameters

    search_parameters(
        options.strategy, options.agent, options.fold, options.trials, options.storage
    )
    return 0


def _report(options: argparse.Namespace) -> int:
    from trading_assets.pipeline.show_report import compare_reports, open_report

    if options.other is None:
        open_report(options.strategy)
    else:
        compare_reports(options.strategy, options.other)
    return 0


def _rebuild(options: argparse.Namespace) -> int:
    from trading_assets.pipeline.rebuild import rebuild_report

    rebuilt = rebuild_report(options.report)
    print(rebuilt.sentence)
    return 0 if rebuilt.is_same else FAILED


def _sql(options: argparse.Namespace) -> int:
    from trading_assets.shown_tables import csv_text, print_table

    answer = _lake().query(options.query)
    if options.format == "csv":
        print(csv_text(answer), end="")
        return 0
    print_table(answer, options.rows)
    if len(answer) > options.rows:
        print(f"{options.rows} of {len(answer)} rows; --rows shows more, --format csv all")
    return 0


def _stream(options: argparse.Namespace) -> int:
    from trading_assets.pipeline.live_bars import run_stream

    print(run_stream(options.market_data, options.minutes))
    return 0


def _list(options: argparse.Namespace) -> int:
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


def _list_features(options: argparse.Namespace) -> int:
    from trading_assets.features.feature_list import list_features, print_sections

    print_sections(list_features(options.group))
    return 0


def _explain_feature(options: argparse.Namespace) -> int:
    from trading_assets.features.explain import explain_feature

    spec = None
    if options.strategy is not None:
        from trading_assets.pipeline.settings import read_settings

        spec = read_settings().declarations().strategy(options.strategy).features
    print(explain_feature(options.name, spec))
    return 0


def _plot_feature(options: argparse.Namespace) -> int:
    from trading_assets.features.feature_plot import draw_feature, read_feature_line, save_plot

    line = read_feature_line(_lake(), options.name, options.strategy, options.symbol)
    path = save_plot(draw_feature(line), options.out or Path(f"{line.feature.name}.png"))
    print(f"{line.feature.name} of {line.symbol}, {len(line.sessions)} bars, in {path}")
    return 0


def _sweep(options: argparse.Namespace) -> int:
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


def _clean(options: argparse.Namespace) -> int:
    lake = _lake()
    removed = [*lake.sweep().paths, *lake.clean().paths]
    print(f"{len(removed)} files removed", *removed, sep="\n")
    return 0


def _pages(options: argparse.Namespace) -> int:
    from trading_assets.page_server import pages_server
    from trading_assets.pipeline.settings import read_settings

    with pages_server(read_settings().data, options.port) as server:
        print(f"Reports and Data Docs on http://127.0.0.1:{options.port}/, linked from the UI")
        server.serve_forever()
    return 0


def _lake() -> "Lake":
    from trading_assets.pipeline.settings import open_lake, read_settings

    return open_lake(read_settings())


if __name__ == "__main__":
    sys.exit(main())
