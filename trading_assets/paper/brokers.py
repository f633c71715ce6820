"""Which broker a declaration chooses, and how it is reached."""

from collections.abc import Mapping
from dataclasses import dataclass

from trading_assets.bars.calendars.calendar import ExchangeCalendar
from trading_assets.paper.account_folder import AccountFolder
from trading_assets.paper.clock import Clock
from trading_assets.paper.gateways import Gateway
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
    """

    strategy: Strategy
    calendar: ExchangeCalendar
    account: AccountFolder
    credentials: Mapping[str, str]
    clock: Clock


def build_gateway(setup: BrokerSetup, market: Market) -> Gateway:
    """Return the gateway that the strategy declares; no request is sent yet.

    Parameters
    ----------
    setup : BrokerSetup
        Declaration and means.
    market : Market
        Bars known now; the embedded broker fills from them.

    Raises
    ------
    MissingKeyError
        If a key that the gateway needs is absent.
    """
    if setup.strategy.paper.gateway == "simulated":
        from trading_assets.paper.simulated_broker.gateway import open_simulated

        return open_simulated(setup.account.book_path, setup.strategy, market, setup.calendar)
    # Only this gateway needs an HTTP library.
    from trading_assets.paper.alpaca_gateway import open_alpaca

    return open_alpaca(setup.credentials, setup.calendar, setup.strategy.paper, setup.clock)
