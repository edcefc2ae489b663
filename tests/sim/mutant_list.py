"""The planted mistakes: each a small edit of the real service, and where it should show.

An edit replaces words in the source of one function. Words that are not there any more are an
error, so a mutant cannot quietly stop being one when the service changes. It never edits a file.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Edit:
    """Replace `old` by `new` in a function, named `module:function` or `module:Class.function`."""

    where: str
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Mutant:
    """One mistake. `scenarios`: where it is looked for, seed by seed in turn."""

    name: str
    what: str
    edits: tuple[Edit, ...]
    scenarios: tuple[str, ...] = ("crashes", "storm", "calm")


def _edit(where: str, old: str, new: str) -> tuple[Edit, ...]:
    return (Edit(f"warnsvc.{where}", old, new),)


_SEND = "        try:\n            said = await channel.send("
_TAKEN = 'Outcome(attempt.id, attempt.send_count, "accepted", now, channel.name)'
_LINES = "            await append_lines(unit, _lines(told, self._owner), now=now)\n"
_AFTERWARDS = "        if failed or answers or waited:\n            await self._ctx.store.wake"
_SECOND_UNIT = (
    "        async with self._ctx.store.unit() as unit:\n"
    "            await append_lines(unit, _lines(told, self._owner), now=now)\n"
)
_BORN = "        born = ctx.clock.__dict__.setdefault('born', ctx.clock.now())\n"
_HELD = "attempt.state = 'sending' AND attempt.lease_owner"

MUTANTS: tuple[Mutant, ...] = (
    # Row first, then act, then record ----------------------------------------------------------
    Mutant(
        "mark_before_send",
        "the outcome is recorded before the carrier is called",
        _edit(
            "outbox.lane:Lane._send",
            _SEND,
            f"        self._done(Sent(attempt, {_TAKEN}, channel.name))\n{_SEND}",
        ),
    ),
    Mutant(
        "no_lease_expiry",
        "sends of a process that died stay with it",
        (
            Edit(
                "warnsvc.service.sweep:reap",
                "reaped = await reap_leases(unit, now=now)",
                "reaped = []",
            ),
            Edit(
                "warnsvc.service.sweep:reap",
                "reaped += await take_from_the_silent(unit, owner=owner, now=now)",
                "pass",
            ),
        ),
        ("crashes", "two_workers"),
    ),
    Mutant(
        "claim_without_lease",
        "a claim does not say until when",
        _edit(
            "store.attempt:_claim_alone",
            "lease_until = $3,",
            "lease_until = CASE WHEN $3 = '' THEN $3 END,",
        ),
    ),
    Mutant(
        "blind_resend",
        "what nobody knows about is sent again, and again",
        _edit(
            "service.unknown:_settled",
            'if may_resend and wanted and row["send_count"] < RESEND_MAX:',
            "if wanted:",
        ),
        ("long_outage", "storm"),
    ),
    Mutant(
        "never_seen_counts_as_sent",
        "a look-up that finds nothing counts as found",
        (
            Edit("warnsvc.service.unknown:_settled", "    if seen:\n", "    if seen == []:\n"),
            Edit("warnsvc.service.unknown:_settled", "reference=seen[0].reference", "reference=''"),
        ),
        ("storm", "crashes"),
    ),
    Mutant(
        "unknown_forgotten",
        "unknowns are never looked up",
        _edit("outbox.outbox:Outbox.resolve", "limit=RESOLVE_BATCH", "limit=0"),
        ("storm", "crashes"),
    ),
    Mutant(
        "stale_owner_records",
        "whoever lost his lease records all the same",
        (
            Edit(
                "warnsvc.store.attempt:_record_taken",
                f'{_HELD} = $8"\n        " AND attempt.send_count = g.fence',
                "attempt.state IN ('sending', 'planned', 'unknown') AND $8 = $8",
            ),
            Edit(
                "warnsvc.store.attempt:record_outcomes",
                f'{_HELD} = $12"\n        " AND attempt.send_count = g.fence',
                "attempt.state IN ('sending', 'planned', 'unknown') AND $12 = $12",
            ),
        ),
        ("stalled",),
    ),
    Mutant(
        "sends_after_its_lease",
        "a paused process goes on with what it had claimed",
        _edit(
            "outbox.lane:Lane._settled",
            "if load.lease_until <= now or not self._alive(self._claimed_at(load)):",
            "if False:",
        ),
        ("stalled",),
    ),
    # Answers and receipts ----------------------------------------------------------------------
    Mutant(
        "ok_before_commit",
        "the carrier hears 2xx before the fact is durable",
        _edit("service.intake:Intake.accept", "        await done", "        return"),
        ("crashes",),
    ),
    Mutant(
        "receipt_stops_the_clock",
        "a phone that has the text counts as a person who has answered",
        (
            Edit(
                "warnsvc.service.inbound_receipt:_Rising._note",
                "if told.word is ReceiptWord.HEARD:",
                "if told.word in {ReceiptWord.HEARD, ReceiptWord.DELIVERED}:",
            ),
            Edit(
                "warnsvc.service.inbound_work:_heard",
                "if rule.closing_rung <= RUNG_HEARD:",
                "if True:",
            ),
            Edit(
                "warnsvc.service.inbound_work:_heard",
                "answer(AnswerKind.HEARD)",
                "answer(AnswerKind.RECEIVED)",
            ),
        ),
        ("calm",),
    ),
    Mutant(
        "a_mailbox_has_heard",
        "what was played to its end counts as heard, whoever picked up",
        _edit(
            "service.inbound_half:with_heard",
            "if other.dedupe_key not in missing}",
            "if other}",
        ),
        ("calm",),
    ),
    Mutant(
        "halves_do_not_meet",
        "two receipts that together say heard are not put together",
        _edit("service.inbound_half:with_heard", "if not others:", "if others or not others:"),
        ("calm",),
    ),
    Mutant(
        "receipt_lowers",
        "a receipt that comes late lowers what a later one has said",
        _edit(
            "service.inbound_receipt:_Rising._raises",
            "return RANK[told.state] > RANK[",
            "return RANK[told.state] != RANK[",
        ),
        ("storm", "long_outage", "shared_phones"),
    ),
    Mutant(
        "rung_falls",
        "the carrier's latest word sets a person's rung",
        _edit("store.attempt:raise_rungs", " AND callout.rung < g.rung", ""),
        ("calm", "storm"),
    ),
    Mutant(
        "answer_counts_once",
        "an answer is credited to one of the regions its person stands in",
        _edit(
            "core.move:Moves._spread",
            "in self._stands_in(callout_id):",
            "in self._stands_in(callout_id)[:1]:",
        ),
        ("shared_phones",),
    ),
    Mutant(
        "superior_counts_uncalled",
        "a superior's answer closes regions he was never called for",
        _edit("core.escalation:_first_met", "if counts and tier.met(", "if tier.met("),
        ("calm", "shared_phones", "officers"),
    ),
    Mutant(
        "late_answer_dropped",
        "an answer that comes when all windows have closed closes nothing",
        _edit(
            "core.escalation:_look",
            "if state.state not in OPEN and state.state is not EscalationState.EXHAUSTED:",
            "if state.state not in OPEN:",
        ),
        ("calm",),
    ),
    Mutant(
        "dedupe_per_delivery",
        "a callback that comes twice is two facts",
        _edit(
            "store.inbound:_dedupe_key",
            'key = f"{fact.carrier}:{fact.dedupe_key}"',
            'key = f"{fact.carrier}:{fact.dedupe_key}:{fact.received_at}"',
        ),
        ("storm", "shared_phones"),
    ),
    Mutant(
        "applied_twice",
        "a fact that was applied is taken as new once more",
        _edit(
            "store.inbound:mark",
            "zip(*states, strict=True)",
            "zip(*((i, 'new' if i % 3 == 0 else s, n) for i, s, n in states), strict=True)",
        ),
        ("calm",),
    ),
    Mutant(
        "answered_is_called_on",
        "what is planned for somebody goes out after he has answered",
        _edit("store.case_save:save_states", "if changes.cancel_unsent:", "if False:"),
        ("storm", "stalled"),
    ),
    # Time and tiers ----------------------------------------------------------------------------
    Mutant(
        "timers_in_memory",
        "deadlines set by an earlier process are forgotten",
        (
            Edit(
                "warnsvc.service.due:_found",
                "    async with ctx.store.view() as unit:\n",
                f"    async with ctx.store.view() as unit:\n{_BORN}",
            ),
            Edit(
                "warnsvc.service.due:_found",
                "due.found, ctx",
                "due.found.replace(' ORDER BY', f\" AND changed_at >= '{born:%Y-%m-%d %H:%M:%S.%f}'"
                '  ORDER BY", 1), ctx',
            ),
        ),
        ("crashes",),
    ),
    Mutant(
        "window_early",
        "a window is a second shorter than the rule says",
        _edit(
            "core.escalation:_next_tier",
            "timedelta(seconds=tier.window_seconds)",
            "timedelta(seconds=tier.window_seconds - 1)",
        ),
        ("calm",),
    ),
    Mutant(
        "window_late",
        "a window begins when the one before it should have ended, and is forgotten for a while",
        _edit(
            "worker.engine:Engine._pause",
            "return max(0.001, min(seconds, POLL_SECONDS))",
            "return POLL_SECONDS",
        ),
        ("calm",),
    ),
    Mutant(
        "window_from_the_plan",
        "the next window is counted from the instant planned, not from when its tier opened",
        _edit(
            "core.escalation:_next_tier",
            "deadline = now +",
            "deadline = (state.deadline_at or now) +",
        ),
        ("crashes", "calm"),
    ),
    Mutant(
        "tier_skipped",
        "after a window the next tier but one is called",
        _edit(
            "core.escalation:_next_tier",
            "state.tiers[state.tier :]",
            "state.tiers[state.tier + (why == 'window' and state.tier + 1 < len(state.tiers)) :]",
        ),
        ("calm",),
    ),
    Mutant(
        "empty_tier_waits",
        "a tier without anybody in it has its window all the same",
        (
            Edit(
                "warnsvc.core.plan:_tiers",
                "                continue\n            tiers.append(",
                "                pass\n            tiers.append(",
            ),
            Edit("warnsvc.core.escalation:_next_tier", "if not tier.members:", "if False:"),
        ),
        ("calm",),
    ),
    Mutant(
        "quiet_exhaustion",
        "nobody is told that nobody has answered",
        _edit(
            "core.move:Moves._exhausted",
            'self.changes.alarms.append(NewAlarm("exhausted", escalation_id=after.id))',
            "pass",
        ),
        ("calm",),
    ),
    Mutant(
        "nobody_knocks",
        "an exhausted region is nobody's task",
        _edit(
            "core.move:Moves._exhausted",
            'self.changes.tasks.append(NewTask("knock", escalation_id=after.id))',
            "pass",
        ),
        ("calm",),
    ),
    Mutant(
        "rounds_forgotten",
        "he is called once, and never again in his window",
        _edit(
            "core.callout:_step_due",
            "return replace(state, step=following, due_at=due_at), effects",
            "return replace(state, step=following, due_at=due_at), ()",
        ),
        ("calm",),
    ),
    Mutant(
        "never_expires",
        "a bulletin that has run out stays released",
        _edit("service.sweep:_expire_bulletins", "expires_at <= $1", "expires_at <= $1 AND id < 0"),
        ("calm",),
    ),
    # The end -----------------------------------------------------------------------------------
    Mutant(
        "lift_forgets_attempts",
        "what is planned is still sent after the warning was lifted",
        (
            Edit(
                "warnsvc.service.sweep:end_escalations",
                "\" AND state = 'planned'\"",
                "\" AND state = 'planned' AND id < 0\"",
            ),
            Edit(
                "warnsvc.core.callout:_stop", "return state, (CancelUnsent(),)", "return state, ()"
            ),
            Edit(
                "warnsvc.core.callout:_stop", "due_at=None), (CancelUnsent(),)", "due_at=None), ()"
            ),
        ),
        ("stalled",),
    ),
    Mutant(
        "stand_down_forgotten",
        "a superior is not told that the region has answered after all",
        _edit("core.move:Moves._stand_down", "for tier in tiers:", "for tier in ():"),
        ("calm",),
    ),
    Mutant(
        "drill_unmarked",
        "a drill's words do not say so",
        (
            Edit("warnsvc.render:Renderer._fields", '"drill": bulletin.is_drill', '"drill": False'),
            Edit(
                "warnsvc.render:Renderer._body",
                'bulletin.texts.get(language, "").strip()',
                'bulletin.texts.get(language, "").replace("演练", "").strip()',
            ),
        ),
        ("officers",),
    ),
    Mutant(
        "signs_his_own",
        "the author may sign what he has written",
        _edit(
            "core.bulletin:sign", "if two_person and officer == bulletin.drafted_by:", "if False:"
        ),
        ("officers",),
    ),
    # The ledger --------------------------------------------------------------------------------
    Mutant(
        "line_in_a_second_unit",
        "the ledger line follows in a transaction of its own",
        (
            Edit("warnsvc.outbox.record:Recorder._write", _LINES, ""),
            Edit(
                "warnsvc.outbox.record:Recorder._write", _AFTERWARDS, f"{_SECOND_UNIT}{_AFTERWARDS}"
            ),
        ),
    ),
    Mutant(
        "sequence_gap",
        "a place of the tree is left out now and then",
        _edit(
            "store.ledger:sequence",
            "rows.append((tree.size, line_id, leaf))",
            "rows.append((tree.size + (line_id > 40), line_id, leaf))",
        ),
        ("calm",),
    ),
    Mutant(
        "stale_leader",
        "a duty that changes hands keeps its fence",
        _edit("service.duty:hold", "THEN 0 ELSE 1 END", "THEN 0 ELSE 0 END"),
        ("crashes", "two_workers"),
    ),
    Mutant(
        "duty_robbed",
        "a duty is taken over while its leader is at work",
        _edit("service.duty:hold", "OR duty.lease_until <= $4", "OR duty.lease_until > $4 - 1"),
        ("two_workers",),
    ),
    # Pace and privacy --------------------------------------------------------------------------
    Mutant(
        "pace_ignored",
        "everything is claimed, and all slots are now",
        (
            Edit("warnsvc.outbox.door:Doors._units", "open_units(self.buckets_of(name), now)", "100"),
            Edit(
                "warnsvc.core.pace:take",
                "slots.append(begins + timedelta(seconds=used / slowest))",
                "slots.append(now)",
            ),
        ),
        ("stalled", "storm"),
    ),
    Mutant(
        "notices_first",
        "the least urgent goes first",
        _edit("store.attempt:_claim_alone", "ORDER BY priority,", "ORDER BY priority DESC,"),
        ("stalled",),
    ),
    Mutant(
        "number_logged",
        "a refusal is logged with the number it was about",
        _edit(
            "outbox.lane:Lane._send",
            _SEND,
            f"        log.info('outbox.sending', to=attempt.address)\n{_SEND}",
        ),
        ("calm",),
    ),
    # Routes ------------------------------------------------------------------------------------
    Mutant(
        "former_carriers_word_counts",
        "what a carrier says that no longer has it counts all the same",
        _edit("service.reroute:is_from_before", 'if state == "delivered":', "if True:"),
        ("routes",),
    ),
    Mutant(
        "only_the_last_carrier_counts",
        "that a former carrier brought it is not believed",
        _edit("service.reroute:is_from_before", 'if state == "delivered":', "if False:"),
        ("routes",),
    ),
    Mutant(
        "refused_together_counts_as_sent",
        "what was refused for one among them is said to be sent",
        _edit(
            "outbox.lane:Lane._ask",
            "            if one is None:\n                sent.append(None)\n                continue\n",
            "            if one is None:\n                one = SendOutcome(kind=__import__('channels.base')"
            ".base.OutcomeKind.ACCEPTED)\n",
        ),
        ("batches",),
    ),
    Mutant(
        "refusal_forgotten",
        "who would not take it is not written down",
        _edit(
            "outbox.reading:Reader._refused_by",
            "return with_refusal(attempt.refused_by, self._channel.name, why=why)",
            "return attempt.refused_by",
        ),
        ("routes",),
    ),
    Mutant(
        "call_placed_twice",
        "a call of which no receipt comes is placed by the next carrier too",
        (
            Edit(
                "warnsvc.outbox.reading:Reader.receipt_due_at",
                " and self._kind in TAKES_A_COPY",
                "",
            ),
        ),
        ("routes",),
    ),
    Mutant(
        "receipt_never_missed",
        "nobody looks whether receipts are missing",
        _edit(
            "service.reroute:reroute_missing",
            "if not any(rule.receipt_seconds for rule in ctx.fleet.routes):",
            "if ctx:",
        ),
        ("routes",),
    ),
    Mutant(
        "full_carrier_passed_over",
        "who is full is passed over as if he were broken",
        (
            Edit(
                "warnsvc.core.route:share",
                "(name for name in route if name in free)",
                "(name for name in route if free.get(name, 0) > 0)",
            ),
            Edit(
                "warnsvc.outbox.door:Doors._leader",
                "return {name: self._room[name]}",
                "return {n: self._room[n] for n in route if n in self._room}",
            ),
        ),
        ("routes",),
    ),
    Mutant(
        "most_urgent_finds_out",
        "the first and most urgent one is risked on a broken carrier",
        _edit("core.route:share", "reversed(range(len(routes)))", "range(len(routes))"),
        ("routes",),
    ),
    Mutant(
        "rerouted_after_the_end",
        "what one carrier would not bring goes to the next though nobody needs it any more",
        _edit("service.reroute:reroute_refused", "        and i in wanted\n", ""),
        ("routes",),
    ),
    Mutant(
        "early_refusal_ends_it",
        "a refusal that is quicker than our own record ends what another carrier may bring",
        _edit(
            "service.reroute:reroute_refused",
            'if row["state"] in _UNDER_WAY',
            'if row["state"] == "accepted"',
        ),
        ("routes",),
    ),
    Mutant(
        "asked_back_again",
        "that a call was asked back is not written down",
        _edit("outbox.recall:_recall", "SET recalled_at = $2", "SET ended_at = $2"),
        ("queues",),
    ),
    Mutant(
        "hung_up_for_being_late",
        "a call that is only late is ended while somebody listens to it",
        _edit("outbox.recall:_take_back", "live=reason.live", "live=True"),
        ("queues",),
    ),
    Mutant(
        "last_call_taken_back",
        "the last call to somebody who is silent is taken back",
        _edit("outbox.recall:_found", "reason.calls,", "reason.calls.replace('n.id >', 'n.id <>'),"),
        ("queues",),
    ),
    Mutant(
        "taken_back_in_time",
        "a call is taken back while it is valid",
        _edit("outbox.recall:_found", "reason.calls,", "reason.calls.replace('until <=', 'until >'),"),
        ("queues",),
    ),
    Mutant(
        "silence_passed_on_quietly",
        "the ledger does not say whose silence it was",
        _edit("service.unknown:_resolve", "if one.refused_by is not None", "if one.refused_by == ''"),
        ("silence",),
    ),
    Mutant(
        "courtesy_passed_on_quietly",
        "the ledger does not say who must not call that number again for a while",
        _edit("outbox.claim:Claimer._polite", "if back.refused_by is not None", "if not back.due_at"),
        ("routes",),
    ),
)
