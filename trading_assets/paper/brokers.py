"""Which broker a declaration chooses, and how it is reached."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from random import Random

from trading_assets.bars.calendars.calendar import ExchangeCalendar
from trading_assets.errors import DataError
from trading_assets.paper.account_folder import AccountFolder
from trading_assets.paper.clock import Clock
from trading_assets.paper.gateways import Gateway
from trading_assets.paper.message_budget import SECOND_NS, MessageBudget
from trading_assets.simulation.market import Market
from trading_assets.strategy import Strategy


@dataclass(frozen=True, slots=True)
class BrokerSetup:
    """What a gateway is built from.

    Attributes
    ----------
    strategy : Strategy
        Gateway, costs, sizing and initial cash.
    calendar : ExchangeCalendar
        Opening times.
    account : AccountFolder
        Where the embedded broker keeps its book.
    credentials : mapping
        `ALPACA_API_KEY` and `ALPACA_SECRET_KEY` for Alpaca.
    clock : Clock
        For waits between reads.
    permits_live : bool
        Whether the environment permits this strategy to trade real money.
    alpaca_url : str
        Another address of Alpaca's dialect on this machine; empty for Alpaca itself.
    """

    strategy: Strategy
    calendar: ExchangeCalendar
    account: AccountFolder
    credentials: Mapping[str, str]
    clock: Clock
    permits_live: bool = False
    alpaca_url: str = ""


def build_gateway(setup: BrokerSetup, market: Market | None) -> Gateway:
    """Return the gateway that the strategy declares; no request is sent yet.

    Parameters
    ----------
    setup : BrokerSetup
        Declaration and means.
    market : Market
        Bars known now; the embedded broker fills from them, another needs none.

    Raises
    ------
    MissingKeyError
        If a key that the gateway needs is absent.
    UserError
        If a live account is declared and the environment does not permit it, or the embedded broker
        is to be reached without bars.
    """
    if setup.strategy.paper.gateway == "simulated":
        from trading_assets.paper.simulated_broker.gateway import open_simulated

        if market is None:
            msg = "the embedded broker was given no bars; expected those known now, to fill from"
            raise DataError(msg)
        return open_simulated(setup.account.book_path, setup.strategy, market, setup.calendar)
    return _open_alpaca(setup)


def _open_alpaca(setup: BrokerSetup) -> Gateway:
    # Only this gateway needs an HTTP library.
    from trading_assets.paper.alpaca_account import LIVE_URL, PAPER_URL, choose_account
    from trading_assets.paper.alpaca_gateway import AlpacaGateway
    from trading_assets.paper.alpaca_hours import DecisionWindow
    from trading_assets.paper.alpaca_session import AlpacaSession

    paper = setup.strategy.paper
    url = LIVE_URL if paper.alpaca_account == "live" else PAPER_URL
    window = DecisionWindow(timedelta(minutes=paper.decision_minutes_before_open))
    account = choose_account(
        setup.credentials, setup.alpaca_url or url, permits_live=setup.permits_live
    )
    budget = MessageBudget(
        setup.strategy.risk.orders, lambda: int(setup.clock.monotonic() * SECOND_NS)
    )
    spread = Random()  # noqa: S311  only spreads waits
    session = AlpacaSession(account, clock=setup.clock, rng=spread, budget=budget)
    return AlpacaGateway(session, setup.calendar, window)
