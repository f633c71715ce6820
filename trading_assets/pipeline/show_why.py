"""The command `trading-assets why`: the card of one order of a stored paper session."""

from rich.console import Console
from rich.table import Table
from rich.text import Text

from trading_assets.errors import DataError, shown
from trading_assets.paper.why import OrderCard, explain_order
from trading_assets.pipeline.paper import read_session
from trading_assets.pipeline.paper_metadata import read_inputs
from trading_assets.pipeline.settings import open_lake, read_settings


def print_card(strategy: str, session: str, symbol: str, console: Console | None = None) -> None:
    """Print why a symbol was traded in a session, or was not.

    Raises
    ------
    UserError
        If there is no such strategy.
    DataError
        If the session is not stored or nothing was decided on the symbol.
    """
    settings = read_settings()
    settings.declarations().strategy(strategy)
    lake = open_lake(settings)
    asset = f"{strategy}/paper_session"
    try:
        stored = lake.records(asset)
        if session not in stored:
            msg = f"session {shown(session)} of {strategy} is not stored; {_known(list(stored))}"
            raise DataError(msg)
        record = read_session(lake, asset, session)
        card = explain_order(record, symbol, read_inputs(lake, asset, session))
    finally:
        lake.close()
    _print(card, console or Console())


def _print(card: OrderCard, console: Console) -> None:
    console.print(f"{card.symbol}, session {card.session} of {card.strategy}", markup=False)
    said = Table(show_header=False)
    for name, text in card.lines():
        said.add_row(Text(name), Text(text))
    console.print(said)
    chain = Table("seq", "UTC", "event", "hash", "what")
    for link in card.chain:
        what = "\n".join(f"{name} {text}" for name, text in link.told.items())
        cells = (link.seq, link.ts_utc, link.event, link.hash[:12], what)
        chain.add_row(*(Text(cell) for cell in cells))
    console.print(chain)


def _known(sessions: list[str]) -> str:
    if not sessions:
        return "expected a strategy whose paper sessions have run here"
    return f"expected one from {min(sessions)} to {max(sessions)}"
