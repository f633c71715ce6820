"""The mutants: what each breaks, in which lines, and the tests that have to see it."""

from dataclasses import dataclass

_PAPER = "trading_assets/paper"
_TESTS = "trading_assets_tests/paper"


@dataclass(frozen=True, slots=True)
class Mutant:
    """One broken rule.

    Attributes
    ----------
    name : str
        What the code does wrongly.
    file : str
        Where, from the repository's root.
    old, new : str
        Code that is there exactly once, and what stands in its place.
    tests : tuple of str
        Tests of which one has to fail.
    """

    name: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]


def _mutant(name: str, file: str, old: str, new: str, test: str) -> Mutant:
    return Mutant(name, f"{_PAPER}/{file}", old, new, (f"{_TESTS}/{test}",))


MUTANTS = (
    _mutant(
        "an order is not looked up",
        "order_desk.py",
        "            if self._find_out(order, answer):\n                return\n",
        "",
        "test_order_desk.py::test_a_lost_answer_is_looked_up_and_nothing_is_sent_again",
    ),
    _mutant(
        "a refusal is believed",
        "order_desk.py",
        '            if answer.outcome == "taken":\n                self._note_answer',
        '            if answer.outcome != "unclear":\n                self._note_answer',
        "test_order_desk.py::test_a_refusal_is_believed_only_of_an_order_that_is_not_there",
    ),
    _mutant(
        "an order is sent a third time",
        "order_desk.py",
        "MOST_SENDS = 2",
        "MOST_SENDS = 3",
        "test_order_desk.py::test_an_order_lost_twice_is_not_sent_a_third_time",
    ),
    _mutant(
        "a failed look-up denies an order",
        "order_desk.py",
        "        if failure is not None:\n",
        "        if failure is None and answer.outcome == '':\n",
        "test_order_desk.py::test_a_failed_look_up_is_no_denial",
    ),
    _mutant(
        "a later run sends without looking",
        "order_desk.py",
        "        if not is_first_try:\n",
        "        if not is_first_try and state.broker_order_id:\n",
        "test_order_desk.py::test_a_later_run_looks_up_before_it_sends",
    ),
    _mutant(
        "a write is not flushed to the disk",
        "log_folder.py",
        "        view = view[os.write(descriptor, view) :]\n    os.fsync(descriptor)\n",
        "        view = view[os.write(descriptor, view) :]\n",
        "test_audit.py::test_a_batch_is_one_write_and_on_disk_before_it_returns",
    ),
    _mutant(
        "an account has two writers",
        "audit_log.py",
        "            held.enter_context(self._folder.lock(self._lock))\n",
        "",
        "test_audit.py::test_a_second_writer_of_the_account_is_refused",
    ),
    _mutant(
        "a torn tail is dropped silently",
        "audit_log.py",
        "            self._seal(whole, torn)\n",
        "            self._folder.truncate(self._name, len(whole))\n",
        "test_audit.py::test_a_torn_last_line_is_sealed_and_named_even_if_it_is_the_first",
    ),
    _mutant(
        "a log may be shorter than its signed head",
        "audit_log.py",
        "        self._require_known(records)\n",
        "",
        "test_audit.py::test_a_log_that_does_not_reach_its_signed_head_is_not_continued",
    ),
    _mutant(
        "the hash of a record is not verified",
        "audit.py",
        '    if fields.get("hash") != record_hash(fields):\n',
        '    if fields.get("hash") is None:\n',
        "test_audit.py::test_every_flipped_byte_is_found_at_its_line",
    ),
    _mutant(
        "the chain of records is not verified",
        "audit.py",
        '    if fields.get("prev_hash") != previous:\n',
        '    if fields.get("prev_hash") is None:\n',
        "test_audit.py::test_a_session_goes_on_from_the_head_of_the_one_before",
    ),
    _mutant(
        "an execution id is ignored",
        "ledger.py",
        "            return False\n        self._booked.add(key)\n",
        "            pass\n        self._booked.add(key)\n",
        "test_session.py::test_an_execution_is_booked_once",
    ),
    _mutant(
        "cash is a float",
        "fills.py",
        "(self.signed_quantity * self.price_usd).quantize(",
        "Decimal(float(self.signed_quantity) * float(self.price_usd)).quantize(",
        "test_fills.py::test_cash_is_exact_to_the_sixth_decimal",
    ),
    _mutant(
        "a tie of cash is rounded up",
        "fills.py",
        "quantize(MONEY_STEP, ROUND_HALF_EVEN)",
        'quantize(MONEY_STEP, "ROUND_HALF_UP")',
        "test_fills.py::test_a_tie_of_cash_goes_to_the_even_millionth",
    ),
    _mutant(
        "a tie of shares is rounded up",
        "orders.py",
        "quantize(QUANTITY_STEP, ROUND_HALF_EVEN)",
        'quantize(QUANTITY_STEP, "ROUND_HALF_UP")',
        "test_fills.py::test_a_tie_of_shares_goes_to_the_even_billionth",
    ),
    _mutant(
        "an account books before its log is written",
        "journal.py",
        "        self._log.append_batch(noted)\n        for event, fields in noted:\n"
        '            self.account.apply({**fields, "event": event})\n',
        "        for event, fields in noted:\n"
        '            self.account.apply({**fields, "event": event})\n'
        "        self._log.append_batch(noted)\n",
        "test_order_desk.py::test_nothing_is_booked_or_sent_on_a_failed_write",
    ),
    _mutant(
        "an order leaves before its intent",
        "decision_records.py",
        "    journal.tell(\n",
        "    journal.note(\n",
        "test_session.py::test_the_log_has_one_intent_before_each_acceptance_and_one_fill",
    ),
    _mutant(
        "a session does not reconcile",
        "opening.py",
        "    differences = _reconcile_or_halt(inputs, journal)\n",
        "    differences: list[str] = []\n",
        "test_session.py::test_a_changed_broker_account_halts_the_next_session",
    ),
    _mutant(
        "a resumed session does not reconcile",
        "opening.py",
        "            _reconcile_unsent(inputs, journal)\n",
        "",
        "test_resumed_sessions.py::test_a_resumed_run_sends_nothing_once_the_broker_has_changed",
    ),
    _mutant(
        "the kill switch is not read before a send",
        "opening.py",
        "inputs.gateway.refusal(inputs.session) or why_halted(inputs.switch)",
        "inputs.gateway.refusal(inputs.session)",
        "test_resumed_sessions.py::test_a_switch_thrown_while_the_broker_is_asked_keeps_the_order",
    ),
    _mutant(
        "the kill switch is read before the broker is asked",
        "opening.py",
        "inputs.gateway.refusal(inputs.session) or why_halted(inputs.switch)",
        "why_halted(inputs.switch) or inputs.gateway.refusal(inputs.session)",
        "test_resumed_sessions.py::test_a_switch_thrown_while_the_broker_is_asked_keeps_the_order",
    ),
    _mutant(
        "any difference of cash is rounding",
        "reconciliation.py",
        "    if rounding and abs(rounding) <= gateway.cash_tolerance_usd:\n",
        "    if rounding:\n",
        "test_session.py::test_a_changed_broker_account_halts_the_next_session",
    ),
    _mutant(
        "a bust is ignored",
        "account.py",
        'elif event in ("BUST", "CORRECT"):',
        'elif event == "CORRECT":',
        "test_reconciliation.py::test_a_bust_that_is_listed_with_its_execution_leaves_nothing_booked",
    ),
    _mutant(
        "an execution that is listed no more is kept",
        "reconciliation.py",
        "    _take_back_unlisted(journal, activities, known)\n",
        "",
        "test_reconciliation.py::test_a_bust_that_nobody_tells_is_seen_by_the_orders_filled_quantity",
    ),
    _mutant(
        "a correction is booked in two sessions",
        "reconciliation.py",
        "        if order.client_order_id in journal.account.orders:\n            _note_change",
        "        if order.client_order_id:\n            _note_change",
        "test_reconciliation.py"
        "::test_a_correction_that_the_stream_repeats_in_a_later_session_is_not_booked_again",
    ),
    _mutant(
        "an ended log is written to",
        "settlement.py",
        '    if journal.has("STOP", session=record.session.isoformat(), status="settled"):\n',
        '    if journal.has("STOP", session="", status="settled"):\n',
        "test_resumed_sessions.py::test_a_log_that_has_ended_takes_no_later_bust",
    ),
    _mutant(
        "the last checkpoint is not written",
        "settlement.py",
        "        inputs.folder.checkpoint(record.session, journal.head, is_final=True)\n",
        "",
        "test_resumed_sessions.py::test_a_log_that_has_ended_takes_no_later_bust",
    ),
    _mutant(
        "an order of unknown fate is not open",
        "order_state.py",
        '("intended", "unknown", "accepted")',
        '("intended", "accepted")',
        "test_order_state.py::test_unknown_and_intended_orders_count_as_open",
    ),
    _mutant(
        "a status moves back",
        "order_state.py",
        "            status=status if is_further else self.status,\n",
        "            status=status,\n",
        "test_order_state.py::test_a_status_never_moves_back",
    ),
    _mutant(
        "a split does not restate an order",
        "gateways.py",
        "    restated = order.quantity * known.split_ratio\n",
        "    restated = order.quantity\n",
        "test_session.py::test_a_split_scales_the_position_and_the_order",
    ),
    _mutant(
        "a rename is applied twice",
        "simulated_broker/book.py",
        "        if known >= until.isoformat():\n            return\n",
        "",
        "test_fills.py::test_a_rename_that_is_said_again_changes_nothing",
    ),
    _mutant(
        "the message budget is off by one",
        "message_budget.py",
        "len(self._spent_ns) + 1 - (self._limit - kept)",
        "len(self._spent_ns) - (self._limit - kept)",
        "test_message_budget.py::test_no_minute_ever_holds_more_than_the_limit_nor_others_the_reserve",
    ),
    _mutant(
        "a missing marker lets orders pass",
        "kill_switch.py",
        "        if marker is None:\n            return _unreadable(",
        '        if marker is None:\n            return SwitchState("ACTIVE") or _unreadable(',
        "test_kill_switch.py::test_a_marker_that_is_torn_edited_or_gone_means_halted",
    ),
    _mutant(
        "a server error is a refusal",
        "alpaca_reply.py",
        'return Answer("unclear", ',
        'return Answer("refused", ',
        "test_alpaca_gateway.py"
        "::test_an_answer_that_proves_nothing_is_unclear_and_nothing_is_sent_again",
    ),
    Mutant(
        "no price collar is held",
        "trading_assets/risk/order_limits.py",
        "    price_collar_pct,\n    session_drift",
        "    session_drift",
        (
            "trading_assets_tests/risk/test_pretrade.py"
            "::test_a_limit_price_may_lie_on_the_collar_but_no_tick_beyond",
        ),
    ),
    Mutant(
        "stale data is accepted",
        "trading_assets/risk/order_form.py",
        "    max_data_age_sessions,\n",
        "",
        ("trading_assets_tests/risk/test_pretrade.py::test_stale_data_is_refused",),
    ),
)
