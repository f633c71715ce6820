"""What the subcommands on paper accounts do; every function returns the exit status.

Halting needs neither the lake's database nor a readable declaration of the strategy.
"""

from argparse import Namespace
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from trading_assets.errors import DataError, UserError, shown

if TYPE_CHECKING:
    from trading_assets.paper.gateways import Gateway
    from trading_assets.paper.kill import KillResult
    from trading_assets.paper.kill_switch import KillSwitch, SwitchState
    from trading_assets.pipeline.settings import Settings

FAILED = 1

# From a strategy's name; raises UserError if its broker cannot be reached from here.
GatewayBuilder = Callable[[str], "Gateway"]


def kill(options: Namespace, build_gateway: GatewayBuilder | None = None) -> int:
    """Halt an account and cancel its open orders; fails unless the broker says none is open."""
    from trading_assets.paper.account_folder import account_folder, session_logs
    from trading_assets.paper.clock import SystemClock
    from trading_assets.paper.kill import kill_account
    from trading_assets.paper.open_orders import open_order_ids

    settings, strategy = _settings_of_account(options.strategy)
    switch = _switch(settings, strategy)
    # The marker stands before a log is read or the broker is looked for.
    is_recorded = _halt(switch, options.by, options.reason)
    known_open = open_order_ids(session_logs(account_folder(settings.data, strategy)).values())
    try:
        gateway = (build_gateway or _open_gateway)(strategy)
    except UserError as error:
        _print_state(switch.state())
        print(f"{error}; cancel open orders at the broker by hand")
        _print_ids("open as far as the audit log knows", known_open)
        return FAILED
    try:
        result = kill_account(
            gateway, switch, SystemClock(), options.by, options.reason, known_open
        )
    finally:
        gateway.close()
    _print_result(result)
    return 0 if is_recorded and result.is_verified else FAILED


def rearm(options: Namespace, build_gateway: GatewayBuilder | None = None) -> int:
    """Allow an account to trade again, under a name and with a reason."""
    from trading_assets.paper.kill import resume_broker
    from trading_assets.paper.kill_switch import require_person

    settings, strategy = _settings_of_account(options.strategy)
    if options.accept_differences:
        from trading_assets.pipeline.account_control import access_of, rearm_and_accept

        accepted = rearm_and_accept(access_of(settings, strategy), options.by, options.reason)
        print(f"{len(accepted)} differences accepted", *accepted, sep="\n  ")
        _print_state(_switch(settings, strategy).state())
        return 0
    require_person(options.by, options.reason)
    try:
        resume_broker((build_gateway or _open_gateway)(strategy))
    except UserError as error:
        print(f"{error}; the broker was not told to take orders again")
    _print_state(_switch(settings, strategy).rearm(options.by, options.reason))
    return 0


def show_risk(options: Namespace) -> int:
    """Say how the switch stands, what is open, and which limits hold."""
    from trading_assets.paper.account_folder import account_folder, session_logs
    from trading_assets.paper.open_orders import open_order_ids

    settings, strategy = _settings_of_account(options.strategy)
    switch = _switch(settings, strategy)
    _print_state(switch.state())
    known_open = open_order_ids(session_logs(account_folder(settings.data, strategy)).values())
    _print_ids("open as far as the audit log knows", known_open)
    print("limits declared:")
    for name, value in _limits(settings.declarations().strategy(strategy).risk.model_dump()):
        print(f"  {name}: {value}")
    print("trips and rearmings, newest last:")
    for record in switch.history()[-options.rows :] if options.rows else []:
        print(
            f"  {record['ts_utc']} {record['event']} by {record.get('by') or 'nobody named'}:"
            f" {record.get('reason', '')}"
        )
    return 0


def explain(options: Namespace) -> int:
    """Print the card of one order: what it was decided on, and its records back to the bars."""
    from trading_assets.pipeline.show_why import print_card

    print_card(options.strategy, options.session.isoformat(), options.symbol)
    return 0


def verify_logs(options: Namespace) -> int:
    """Hold an account's audit logs against their chain and their checkpoints."""
    from trading_assets.paper.account_folder import account_folder, session_logs
    from trading_assets.paper.audit_verification import unsigned_count, verify_account
    from trading_assets.paper.witness import read_heads
    from trading_assets.pipeline.settings import open_lake

    settings, strategy = _settings_of_account(options.strategy)
    lake = open_lake(settings)
    try:
        heads = read_heads(lake.signed_heads, strategy)
    finally:
        lake.close()
    logs = session_logs(account_folder(settings.data, strategy))
    wanted = options.session
    if wanted is not None and wanted not in {*logs, *(head.session for head in heads)}:
        msg = f"session {shown(wanted)} of {strategy} has no audit log; {_known(logs)}"
        raise DataError(msg)
    trusted = _trusted_keys(settings) or {head.public_key for head in heads[:1]}
    problems = [
        problem
        for problem in verify_account(logs, heads, trusted)
        if wanted is None or problem.startswith(f"{wanted}: ")
    ]
    for session, log in logs.items():
        if wanted in (None, session):
            own = [head for head in heads if head.session == session]
            n_records = len(log.splitlines())
            print(
                f"{session}: {n_records} records, {len(own)} checkpoints,"
                f" {unsigned_count(log, own)} records after the last one"
            )
    print(*(problems or ["intact"]), sep="\n")
    return FAILED if problems else 0


def _settings_of_account(strategy: str) -> "tuple[Settings, str]":
    """Return the settings and the name, if there is or can be such an account."""
    from trading_assets.paper.account_folder import account_path
    from trading_assets.pipeline.settings import read_settings

    settings = read_settings()
    if not account_path(settings.data, strategy).is_dir():
        settings.declarations().strategy(strategy)
    return settings, strategy


def _open_gateway(strategy: str) -> "Gateway":
    from trading_assets.pipeline.account_control import access_of, open_gateway
    from trading_assets.pipeline.settings import read_settings

    return open_gateway(access_of(read_settings(), strategy))


def _switch(settings: "Settings", strategy: str) -> "KillSwitch":
    from trading_assets.paper.account_folder import account_folder
    from trading_assets.paper.clock import SystemClock
    from trading_assets.paper.kill_switch import KillSwitch

    return KillSwitch(account_folder(settings.data, strategy), SystemClock())


def _halt(switch: "KillSwitch", by: str, reason: str) -> bool:
    try:
        switch.halt(by, reason)
    except DataError as error:
        print(error)
        return False
    return True


def _trusted_keys(settings: "Settings") -> set[str]:
    """Return the public key of this machine's signing key, if it has one; none is made."""
    from trading_assets.paper.account_folder import signing_key_path
    from trading_assets.paper.signing_keys import load_signer, signer_of
    from trading_assets.pipeline.settings import SIGNING_KEY, read_signing_key

    given = read_signing_key()
    if given is not None:
        return {signer_of(given, SIGNING_KEY).public_key}
    path: Path = signing_key_path(settings.data)
    return {load_signer(path).public_key} if path.exists() else set()


def _known(logs: Mapping[str, bytes]) -> str:
    if not logs:
        return "expected a strategy that has traded on paper from this data folder"
    return f"expected one from {min(logs)} to {max(logs)}"


def _limits(declared: Mapping[str, object], prefix: str = "") -> Iterator[tuple[str, object]]:
    for name, value in declared.items():
        if isinstance(value, Mapping):
            yield from _limits(value, f"{prefix}{name}.")
        elif value is not None:
            yield f"{prefix}{name}", value


def _print_state(state: "SwitchState") -> None:
    print(state.state, end="")
    if state.since is not None:
        print(f" since {state.since.isoformat(timespec='seconds')}", end="")
    print(f" by {state.by or 'nobody named'}: {state.reason}" if state.reason else "")


def _print_ids(what: str, client_order_ids: Sequence[str]) -> None:
    print(f"{len(client_order_ids)} orders {what}", *client_order_ids, sep="\n  ")


def _print_result(result: "KillResult") -> None:
    _print_state(result.switch)
    _print_ids("cancelled", result.cancelled)
    for what, found in (
        ("ended before they could be cancelled", result.ended_otherwise),
        ("still open", result.still_open),
        ("of which the broker did not tell", result.unknown),
    ):
        if found:
            _print_ids(what, found)
    print("the broker says that no order is open" if result.is_verified else "not verified")
    print("the broker takes no more orders" if result.is_suspended else "not suspended")
    print(*result.problems, f"{result.seconds:.1f} s", sep="\n")
