"""The asset by which a person kills, reduces or re-arms a paper account from the UI.

It is no part of a strategy's graph: nothing reads it, no plan makes it, and the lake keeps nothing
of it. What was done stands in the account's control log.
"""

from pathlib import Path
from typing import Any, Literal

import dagster as dg
from pydantic import Field

from trading_assets.pipeline.account_control import (
    AccountAccess,
    open_gateway,
    rearm_and_accept,
)
from trading_assets.pipeline.declared import Declared
from trading_assets.pipeline.resources import CredentialsResource, LakeResource

ACCOUNT_CONTROL = "account_control"
_NOBODY = "nobody named, from the UI"


class AccountAction(dg.Config):
    """What is to be done to the account."""

    action: Literal["show", "kill", "reduce", "rearm"] = Field(
        default="show",
        description="Say how it stands; halt and cancel; let positions only shrink; let it trade.",
    )
    by: str = Field(default="", description="Who does it; a rearming needs a name.")
    reason: str = Field(default="", description="Why; a rearming needs one.")
    accept_differences: bool = Field(
        default=False, description="Rearm with the broker's cash and shares taken for true."
    )


def account_control_assets(declared: Declared) -> list[dg.AssetsDefinition]:
    """Return the control of a strategy's paper account."""

    @dg.asset(
        key=dg.AssetKey([declared.name, ACCOUNT_CONTROL]),
        group_name="paper",
        description="Kill, reduce or re-arm the paper account, or say how it stands.",
        # Not the account's own pool: a session that hangs must not keep anybody from killing it.
        kinds={"json"},
        tags={"declaration": declared.name},
    )
    def account_control(
        context: dg.AssetExecutionContext,
        config: AccountAction,
        lake: LakeResource,
        credentials: CredentialsResource,
    ) -> dg.MaterializeResult:
        access = _access(declared, lake, credentials)
        done = _ACTIONS[config.action](access, config)
        standing = access.folder().switch.state()
        since = "" if standing.since is None else standing.since.isoformat(timespec="seconds")
        told = {"state": standing.state, "by": standing.by, "reason": standing.reason}
        context.log.info(f"{declared.name}: {standing.state} {standing.reason}")
        return dg.MaterializeResult(
            metadata={"action": config.action, **told, "since": since, **done}
        )

    return [account_control]


def account_control_job(declared: Declared) -> Any:
    """Return the job that the control is launched by."""
    key = dg.AssetKey([declared.name, ACCOUNT_CONTROL])
    return dg.define_asset_job(
        f"{declared.name}_{ACCOUNT_CONTROL}",
        selection=dg.AssetSelection.assets(key),
        description="Choose an action in the launchpad; without one, only the state is shown.",
    )


def _access(
    declared: Declared, lake: LakeResource, credentials: CredentialsResource
) -> AccountAccess:
    return AccountAccess(
        name=declared.name,
        trading=declared.trading,
        market_data=declared.market,
        root=Path(lake.root),
        open_lake=lake.open,
        now=lake.now,
        credentials=credentials.read(),
        permits_live=credentials.permits_live(declared.name),
        alpaca_url=credentials.alpaca_url(),
    )


def _show(access: AccountAccess, config: AccountAction) -> dict[str, Any]:
    return {"open_orders": _listed(_known_open(access))}


def _reduce(access: AccountAccess, config: AccountAction) -> dict[str, Any]:
    reason = config.reason or "reduced from the UI"
    access.folder().switch.reduce(config.by or _NOBODY, reason)
    return {}


def _rearm(access: AccountAccess, config: AccountAction) -> dict[str, Any]:
    from trading_assets.paper.kill import resume_broker
    from trading_assets.paper.kill_switch import require_person

    if config.accept_differences:
        return {"accepted": _listed(rearm_and_accept(access, config.by, config.reason))}
    require_person(config.by, config.reason)
    resume_broker(open_gateway(access))
    access.folder().switch.rearm(config.by, config.reason)
    return {}


def _kill(access: AccountAccess, config: AccountAction) -> dict[str, Any]:
    """Halt first, whatever can be reached; then cancel, and fail unless none is open."""
    from trading_assets.paper.clock import SystemClock
    from trading_assets.paper.kill import kill_account

    by, reason = config.by or _NOBODY, config.reason or "killed from the UI"
    switch = access.folder().switch
    switch.halt(by, reason)
    gateway = open_gateway(access)
    try:
        # By this machine's clock: a replayed moment stands still, and no deadline would come.
        found = kill_account(gateway, switch, SystemClock(), by, reason, _known_open(access))
    finally:
        gateway.close()
    if not found.is_verified:
        msg = (
            "the account is halted, but the broker did not say that no order is open"
            f" ({'; '.join(found.problems)}); cancel by hand or run it again"
        )
        raise dg.Failure(
            msg,
            metadata={"still_open": _listed(found.still_open), "unknown": _listed(found.unknown)},
            allow_retries=False,
        )
    return {
        "cancelled": _listed(found.cancelled),
        "ended_otherwise": _listed(found.ended_otherwise),
        "still_open": _listed(found.still_open),
        "broker_suspended": found.is_suspended,
        "problems": _listed(found.problems),
        "seconds": found.seconds,
    }


_ACTIONS = {"show": _show, "kill": _kill, "reduce": _reduce, "rearm": _rearm}


def _known_open(access: AccountAccess) -> tuple[str, ...]:
    from trading_assets.paper.account_folder import session_logs
    from trading_assets.paper.open_orders import open_order_ids

    return open_order_ids(session_logs(access.folder().logs).values())


def _listed(names: Any) -> Any:
    return dg.MetadataValue.json(list(names))
