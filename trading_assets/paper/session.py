"""One paper session: decide before the open, send orders, settle and mark after the close.

`run_session` can be called again at any time: a finished session is returned as it is, an
interrupted one goes on where its audit log ends, and an order reaches the broker once. How a
champion decides is not known here; the decision function is passed in.
"""

from dataclasses import replace

from trading_assets.errors import DataError
from trading_assets.paper.inputs import SessionInputs
from trading_assets.paper.opening import open_session
from trading_assets.paper.record import SessionRecord
from trading_assets.paper.settlement import settle_session


def run_session(inputs: SessionInputs) -> SessionRecord:
    """Do what can be done of a session now, and return its record.

    A settled session is returned as it is and nothing is sent. A session that was decided is
    settled once its bar is known. Otherwise an earlier session that is still open is settled
    first, and this one is decided on what was known before its open.

    Raises
    ------
    DataError
        If the session before cannot be settled yet, the decision breaks a limit, or its data
        reaches past the open.
    BrokerError
        If the broker could not be reached or an order's fate is unknown; run the session again.
    """
    stored = inputs.stored
    if stored is not None and stored.status == "settled":
        return stored
    if stored is not None and stored.status == "awaiting_fill":
        return settle_session(inputs, stored)
    previous, settled_previous = inputs.previous, None
    if previous is not None and previous.status == "awaiting_fill":
        previous = settled_previous = settle_session(inputs, previous)
        if previous.status != "settled":
            msg = (
                f"the session of {previous.session} is not settled: its bar or a fill is not known"
                " yet; run this session again once it is"
            )
            raise DataError(msg)
    record = open_session(replace(inputs, previous=previous))
    if record.status == "awaiting_fill":
        record = settle_session(inputs, record)
    return replace(record, settled_previous=settled_previous)
