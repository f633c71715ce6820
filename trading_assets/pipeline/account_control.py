"""Reaches a strategy's paper account outside its sessions: to kill, reduce or re-arm it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trading_assets.errors import DataError
from trading_assets.lake.store import Lake
from trading_assets.market_data import MarketDataSpec
from trading_assets.pipeline.paper import read_session
from trading_assets.pipeline.settings import (
    Settings,
    open_lake,
    permits_live,
    read_alpaca_url,
    read_credentials,
)
from trading_assets.strategy import Strategy

if TYPE_CHECKING:
    from trading_assets.paper.account_folder import AccountFolder
    from trading_assets.paper.gateways import Gateway
    from trading_assets.simulation.market import Market

# Months of bars that the embedded broker is given: more than an account's last session is ago.
_MONTHS = 27
_LAST_DAY = "9999-12-31"


@dataclass(frozen=True, slots=True)
class AccountAccess:
    """What an account is reached by.

    Attributes
    ----------
    name : str
        The strategy.
    trading : Strategy
        Its declaration.
    market_data : MarketDataSpec
        That of its data set.
    root : Path
        The data folder.
    open_lake : callable
        Returns the lake; asked only where bars or records are needed.
    now : callable
        Returns the moment.
    credentials : mapping of str to str
        Keys that the environment has.
    permits_live : bool
        Whether the environment permits this strategy to trade real money.
    alpaca_url : str
        Another address of Alpaca's dialect on this machine; empty for Alpaca itself.
    """

    name: str
    trading: Strategy
    market_data: MarketDataSpec
    root: Path
    open_lake: Callable[[], Lake]
    now: Callable[[], datetime]
    credentials: Mapping[str, str]
    permits_live: bool = False
    alpaca_url: str = ""

    def folder(self) -> "AccountFolder":
        """Return the account's folder."""
        from trading_assets.paper.account_folder import AccountFolder, account_path
        from trading_assets.paper.clock import SystemClock

        return AccountFolder.on_disk(account_path(self.root, self.name), SystemClock(self.now))


def open_gateway(access: AccountAccess) -> "Gateway":
    """Return the account's broker as it can be reached now; no request is sent yet.

    Raises
    ------
    UserError
        If a key is missing, or the embedded broker has no bars to know its market by.
    """
    from trading_assets.bars.calendars.calendar import get_calendar
    from trading_assets.paper.brokers import BrokerSetup, build_gateway
    from trading_assets.paper.clock import SystemClock

    setup = BrokerSetup(
        access.trading,
        get_calendar(access.market_data.calendar),
        access.folder(),
        access.credentials,
        SystemClock(access.now),
        access.permits_live,
        access.alpaca_url,
    )
    # A broker elsewhere has to be reachable while the lake is not.
    is_embedded = access.trading.paper.gateway == "simulated"
    return build_gateway(setup, _market_now(access) if is_embedded else None)


def find_differences_now(access: AccountAccess, gateway: "Gateway") -> tuple[Any, ...]:
    """Return where the newest session's books and the broker differ; see `paper.acceptance`.

    Raises
    ------
    DataError
        If no session is stored that knows its account, or the broker has blocked it.
    """
    from trading_assets.bars.calendars.calendar import get_calendar
    from trading_assets.paper.acceptance import read_differences
    from trading_assets.paper.inputs import session_orders_since

    lake, asset = access.open_lake(), f"{access.name}/paper_session"
    newest = lake.latest_before(asset, _LAST_DAY, allow_failed=True)
    record = None if newest is None else read_session(lake, asset, newest.partition)
    if record is None or not record.knows_account:
        msg = f"{access.name} has no session with books of its own; expected one to differ from"
        raise DataError(msg)
    calendar = get_calendar(access.market_data.calendar)
    until: date = record.session
    if record.status == "settled":
        until = calendar.next_session(record.session)
    today = access.now().date()
    if not gateway.is_simulated and until < today:
        until = calendar.next_session(calendar.previous_session(today))
    if gateway.is_simulated:
        # Its market has moved on since: it books what happened up to the close before.
        gateway.refusal(until)
    as_of = record.latest_state.as_of
    return read_differences(record, gateway, until, session_orders_since(calendar, as_of, until))


def access_of(settings: Settings, name: str) -> AccountAccess:
    """Return what the environment reaches a declared strategy's account by.

    Raises
    ------
    UserError
        If a declaration cannot be read or there is no such strategy.
    """
    declarations = settings.declarations()
    trading = declarations.strategy(name)
    return AccountAccess(
        name=name,
        trading=trading,
        market_data=declarations.market_data[trading.market_data],
        root=settings.data,
        open_lake=lambda: open_lake(settings),
        now=settings.now,
        credentials=read_credentials(),
        permits_live=permits_live(name),
        alpaca_url=read_alpaca_url(),
    )


def rearm_and_accept(access: AccountAccess, by: str, reason: str) -> tuple[str, ...]:
    """Take the broker's cash and shares for true and let the account trade; say what differed.

    Raises
    ------
    UserError
        If name or reason is empty, the account trades already, or the broker does not answer; then
        nothing is accepted and the account stays as it is.
    """
    from trading_assets.paper.gateways import BrokerError
    from trading_assets.paper.kill import resume_broker
    from trading_assets.paper.kill_switch import require_person

    require_person(by, reason)
    resume_broker(open_gateway(access))
    gateway = open_gateway(access)
    try:
        found = find_differences_now(access, gateway)
    except BrokerError as error:
        msg = f"the broker did not answer ({error}); expected it to: run the command again"
        raise DataError(msg) from error
    finally:
        gateway.close()
    access.folder().switch.rearm(by, reason, [each.fields() for each in found])
    return tuple(each.difference for each in found)


def _market_now(access: AccountAccess) -> "Market":
    from trading_assets.bars.actions.companies import actions_by_company, require_by_company
    from trading_assets.paper.trading import market_until

    lake, data = access.open_lake(), access.trading.market_data
    stored = lake.records(f"{data}/validated_bars")
    usable = [key for key, record in stored.items() if record.verdict == "passed"]
    if not usable:
        msg = (
            f"no bars of {data} are stored; expected some, by which the embedded broker knows its"
            f" market: trading-assets run {access.name}"
        )
        raise DataError(msg)
    bars = lake.read(f"{data}/validated_bars", usable[-_MONTHS:])
    actions = lake.read(f"{data}/corporate_actions", [""])
    require_by_company(bars, actions)
    newest: date = bars["session"].sort().to_list()[-1]
    return market_until(newest, bars, actions_by_company(actions), access.market_data)
