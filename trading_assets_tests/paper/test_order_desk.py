"""An order reaches the broker once, whatever the answers are."""

import pytest

from trading_assets.paper.gateways import Answer, BrokerError, OrderConflictError
from trading_assets.paper.journal import Journal
from trading_assets.paper.order_desk import LOOKUP_WAITS_SECONDS, OrderDesk
from trading_assets_tests.paper.scripted import (
    ListedLog,
    ScriptedGateway,
    StillClock,
    broker_order,
    make_order,
    opened_journal,
)

UNCLEAR = Answer("unclear", reason="time-out")
AAA, BBB = make_order("AAA"), make_order("BBB")


def send(
    gateway: ScriptedGateway, *orders, is_first_try: bool = True, why_not=lambda: ""
) -> tuple[Journal, ListedLog, StillClock]:
    journal, log = opened_journal(*orders)
    clock = StillClock()
    desk = OrderDesk(journal, gateway, clock, why_not)  # type: ignore[arg-type]
    desk.send_all(list(orders), is_first_try=is_first_try)
    return journal, log, clock


def statuses(journal: Journal) -> list[str]:
    return [state.status for state in journal.account.orders.values()]


def test_an_order_that_is_taken_is_sent_once_and_not_looked_up() -> None:
    gateway = ScriptedGateway()
    journal, _, clock = send(gateway, AAA, BBB)
    assert gateway.sent == [AAA.client_order_id, BBB.client_order_id]
    assert (gateway.asked, clock.slept) == ([], [])
    assert statuses(journal) == ["accepted", "accepted"]


def test_a_lost_answer_is_looked_up_and_nothing_is_sent_again() -> None:
    gateway = ScriptedGateway()
    gateway.answers = [gateway.take_and_lose_the_answer]
    journal, log, _ = send(gateway, AAA)
    assert gateway.sent == [AAA.client_order_id]
    assert [r["event"] for r in log.records()][-2:] == ["UNKNOWN", "RESOLVED"]
    assert statuses(journal) == ["accepted"]


def test_unknown_is_durable_before_the_first_look_up() -> None:
    gateway = ScriptedGateway()
    gateway.answers = [gateway.take_and_lose_the_answer]
    journal, log = opened_journal(AAA)
    seen: list[str] = []
    look_up = gateway.look_up
    gateway.look_up = lambda key: (seen.append(log.records()[-1]["event"]), look_up(key))[1]  # type: ignore[method-assign]
    OrderDesk(journal, gateway, StillClock(), lambda: "").send_all([AAA], is_first_try=True)  # type: ignore[arg-type]
    assert seen == ["UNKNOWN"]


def test_an_order_that_the_broker_denies_again_and_again_is_sent_once_more() -> None:
    gateway = ScriptedGateway(answers=[UNCLEAR])
    journal, _, clock = send(gateway, AAA)
    assert gateway.sent == [AAA.client_order_id] * 2
    assert clock.slept == list(LOOKUP_WAITS_SECONDS)
    assert statuses(journal) == ["accepted"]


def test_an_order_lost_twice_is_not_sent_a_third_time() -> None:
    gateway = ScriptedGateway(answers=[UNCLEAR, UNCLEAR])
    journal, _, _ = send(gateway, AAA)
    assert len(gateway.sent) == 2
    assert statuses(journal) == ["not_sent"]


def test_an_order_is_not_sent_again_once_it_may_not_be() -> None:
    gateway = ScriptedGateway(answers=[UNCLEAR])
    reasons = iter(["", "the window closed"])
    journal, log, _ = send(gateway, AAA, why_not=lambda: next(reasons))
    assert len(gateway.sent) == 1
    assert statuses(journal) == ["not_sent"]
    assert log.records()[-1]["reason"] == "not sent: the window closed"


def test_nothing_is_sent_after_the_switch_was_thrown_between_two_orders() -> None:
    gateway = ScriptedGateway()
    journal, _, _ = send(gateway, AAA, BBB, why_not=lambda: "halted" if gateway.sent else "")
    assert gateway.sent == [AAA.client_order_id]
    assert statuses(journal) == ["accepted", "not_sent"]


def test_an_order_whose_fate_stays_unknown_stops_the_rest() -> None:
    gateway = ScriptedGateway(answers=[UNCLEAR], look_ups=["no answer"] * 4)
    journal, log = opened_journal(AAA, BBB)
    desk = OrderDesk(journal, gateway, StillClock(), lambda: "")  # type: ignore[arg-type]
    with pytest.raises(BrokerError, match=r"could not be found out .*; run the session again"):
        desk.send_all([AAA, BBB], is_first_try=True)
    assert gateway.sent == [AAA.client_order_id]
    assert statuses(journal) == ["unknown", "intended"]
    again = Journal(log)
    gateway.known[AAA.client_order_id] = broker_order(AAA)
    desk = OrderDesk(again, gateway, StillClock(), lambda: "")  # type: ignore[arg-type]
    desk.send_all([AAA, BBB], is_first_try=False)
    assert gateway.sent == [AAA.client_order_id, BBB.client_order_id]
    assert statuses(again) == ["accepted", "accepted"]


def test_a_failed_look_up_is_no_denial() -> None:
    gateway = ScriptedGateway(answers=[UNCLEAR], look_ups=[None, None, None, "no answer"])
    with pytest.raises(BrokerError):
        send(gateway, AAA)
    assert len(gateway.sent) == 1


def test_a_later_run_looks_up_before_it_sends() -> None:
    gateway = ScriptedGateway()
    gateway.known[AAA.client_order_id] = broker_order(AAA, "filled", 10)
    journal, _, _ = send(gateway, AAA, BBB, is_first_try=False)
    assert gateway.sent == [BBB.client_order_id]
    assert statuses(journal) == ["filled", "accepted"]


def test_a_refused_order_is_rejected_with_the_brokers_words() -> None:
    gateway = ScriptedGateway(answers=[Answer("refused", reason="insufficient buying power")])
    journal, _, _ = send(gateway, AAA, BBB)
    assert statuses(journal) == ["rejected", "accepted"]
    assert journal.account.orders[AAA.client_order_id].reason == "insufficient buying power"


def test_a_refusal_is_believed_only_of_an_order_that_is_not_there() -> None:
    gateway = ScriptedGateway()

    def take_and_refuse(order) -> Answer:
        gateway.take(order)
        return Answer("refused", reason="client_order_id must be unique")

    gateway.answers = [take_and_refuse]
    journal, _, _ = send(gateway, AAA)
    assert statuses(journal) == ["accepted"]
    assert gateway.sent == [AAA.client_order_id]


def test_an_id_at_the_broker_with_other_terms_is_a_conflict() -> None:
    gateway = ScriptedGateway(answers=[UNCLEAR])
    gateway.known[AAA.client_order_id] = broker_order(make_order("AAA", 11))
    with pytest.raises(OrderConflictError, match="is at the broker as buy 11 AAA, not buy 10 AAA"):
        send(gateway, AAA)


def test_nothing_is_booked_or_sent_on_a_failed_write() -> None:
    journal, log = opened_journal()
    log.fails = True
    from trading_assets.paper.order_records import order_fields

    journal.note("INTENT", **order_fields(AAA))
    with pytest.raises(OSError, match="No space"):
        journal.flush()
    assert journal.account.orders == {}
