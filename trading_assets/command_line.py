"""The subcommands and options of `trading-assets`."""

import argparse
from datetime import date
from pathlib import Path

from trading_assets import commands, paper_commands
from trading_assets.errors import shown

DESCRIPTION = "Run a strategy, ask what is stale, query the lake."

_MOST_DIGITS = 9


def build_parser() -> argparse.ArgumentParser:
    """Return the parser; what it parsed has the function to call as `function`."""
    parser = argparse.ArgumentParser(prog="trading-assets", description=DESCRIPTION)
    subcommands = parser.add_subparsers(required=True, metavar="COMMAND")
    run = subcommands.add_parser("run", help="bring a strategy's assets up to date")
    _add_target(run)
    run.add_argument(
        "--set", dest="assignments", action="append", default=[], metavar="FIELD=VALUE"
    )
    run.add_argument("--as", dest="name", metavar="NAME", help="name of the varied declaration")
    run.set_defaults(function=commands.run)
    shown = subcommands.add_parser("plan", help="say what is missing or stale, launch nothing")
    _add_target(shown)
    shown.set_defaults(function=commands.show_plan)
    _add_search(
        subcommands.add_parser("search", help="try parameters of an agent on a stored fold")
    )
    opened = subcommands.add_parser("report", help="open a strategy's report, or compare two")
    opened.add_argument("strategy")
    opened.add_argument("--compare", dest="other", metavar="OTHER", help="a second strategy")
    opened.set_defaults(function=commands.show_report)
    rebuilt = subcommands.add_parser("rebuild", help="make a stored report again and compare it")
    rebuilt.add_argument("report", metavar="REPORT", help="a strategy, or a stored report.html")
    rebuilt.set_defaults(function=commands.rebuild)
    sql = subcommands.add_parser("sql", help="query the lake with DuckDB")
    sql.add_argument("query")
    sql.add_argument("--format", choices=("table", "csv"), default="table")
    sql.add_argument("--rows", type=_count, default=50, help="rows of the table that are shown")
    sql.set_defaults(function=commands.query)
    stream = subcommands.add_parser("stream", help="store Alpaca's live bars while a session lasts")
    stream.add_argument("market_data", metavar="DATA_SET")
    stream.add_argument("--minutes", type=float, help="end after so long, whatever the session")
    stream.set_defaults(function=commands.stream)
    listed = subcommands.add_parser("list", help="list declarations and their assets")
    listed.set_defaults(function=commands.list_assets)
    sweep = subcommands.add_parser("sweep", help="mark runs failed whose process is gone")
    sweep.set_defaults(function=commands.sweep)
    clean = subcommands.add_parser("clean", help="remove files that no stored partition refers to")
    clean.set_defaults(function=commands.clean)
    _add_features(subcommands.add_parser("features", help="list, explain or plot features"))
    _add_kill(subcommands.add_parser("kill", help="halt a paper account and cancel its orders"))
    _add_rearm(subcommands.add_parser("rearm", help="let a halted paper account trade again"))
    risk = subcommands.add_parser("risk", help="say whether an account may trade, and its limits")
    risk.add_argument("strategy")
    risk.add_argument("--rows", type=_count, default=10, help="changes of the switch shown")
    risk.set_defaults(function=paper_commands.show_risk)
    why = subcommands.add_parser("why", help="say why an order of a paper session was made")
    why.add_argument("strategy")
    why.add_argument("session", type=_day, metavar="YYYY-MM-DD")
    why.add_argument("symbol", metavar="SYMBOL")
    why.set_defaults(function=paper_commands.explain)
    _add_audit(subcommands.add_parser("audit", help="check the audit logs of a paper account"))
    pages = subcommands.add_parser("pages", help="serve reports and Data Docs to this machine")
    pages.add_argument("--port", type=_count, default=3070)
    pages.set_defaults(function=commands.serve_pages)
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
    parser.set_defaults(function=commands.search)


def _add_features(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    listed = actions.add_parser("list", help="list features, families and groups")
    listed.add_argument("--group")
    listed.set_defaults(function=commands.list_features)
    explained = actions.add_parser("explain", help="say everything about a feature")
    explained.add_argument("name", metavar="NAME")
    explained.add_argument("--strategy", help="whose scaling and own features count")
    explained.set_defaults(function=commands.explain_feature)
    plotted = actions.add_parser("plot", help="draw a stored feature of one symbol as PNG")
    plotted.add_argument("name", metavar="NAME")
    plotted.add_argument("--strategy", help="by default the only one that has features stored")
    plotted.add_argument("--symbol", help="by default the first by name")
    plotted.add_argument("--out", type=Path, metavar="FILE", help="by default NAME.png")
    plotted.set_defaults(function=commands.plot_feature)


def _add_kill(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("strategy")
    parser.add_argument("--by", default="the command line", metavar="NAME", help="who kills it")
    parser.add_argument("--reason", default="killed by hand", metavar="TEXT")
    parser.add_argument(
        "--flatten",
        choices=("no",),
        default="no",
        help="positions stay: selling them is a decision",
    )
    parser.set_defaults(function=paper_commands.kill)


def _add_rearm(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("strategy")
    parser.add_argument("--by", required=True, metavar="NAME", help="the person who allows it")
    parser.add_argument("--reason", required=True, metavar="TEXT", help="why it is safe again")
    parser.add_argument(
        "--accept-differences",
        action="store_true",
        help="take the broker's cash and shares for true where they differ from our books",
    )
    parser.set_defaults(function=paper_commands.rearm)


def _add_audit(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    verified = actions.add_parser("verify", help="hold logs against their chain and checkpoints")
    verified.add_argument("strategy")
    verified.add_argument("session", nargs="?", metavar="YYYY-MM-DD", help="by default all")
    verified.set_defaults(function=paper_commands.verify_logs)


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
