"""Named mutants: the mistakes that would cost a user most, each with the check that notices it.

A mutant is a cut into the real source (old text → new text). The killer is a test of the suite, or a check
of `killers.py`; `given` are arguments of a parametrised one.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

SYNC = "isthmus.hub.sync.algorithm"
COUNTER = "tests.sync.test_counter_examples"
SYSTEMS = "tests.sync.test_two_systems"
HERE = "tests.mutants.killers"


@dataclass(frozen=True, kw_only=True)
class Mutant:
    """`harm` says in a sentence what a user would see."""

    name: str
    harm: str
    target: str
    edits: tuple[tuple[str, str], ...]
    killer: str
    given: dict[str, Any] = field(default_factory=dict)
    also: tuple[tuple[str, str, str], ...] = ()
    """Further cuts (target, old, new), where a second guard stands behind the first."""


MUTANTS = (
    # Synchronisation
    Mutant(
        name="forget_the_order_guard",
        harm="A replayed old webhook puts an old value back, everywhere.",
        target=f"{SYNC}.admission:admit",
        edits=(("if not rules.ordered:", "if True:"),),
        killer=f"{COUNTER}:test_r4_a_replayed_old_webhook_reverts_nothing",
    ),
    Mutant(
        name="drop_the_fence",
        harm="Of two overlapping reads the older data wins.",
        target=f"{SYNC}.admission:_admit_read",
        edits=(("if start > link.fence or (", "if True or ("),),
        killer=f"{COUNTER}:test_r4b_of_two_overlapping_reads_the_older_data_loses",
    ),
    Mutant(
        name="advance_the_base_on_a_bare_2xx",
        harm="A partner that answers 200 and stores nothing reverts everybody's edit.",
        target=f"{SYNC}.settling:mark_acked",
        edits=(("if not context.rules.observed_base or (", "if True or ("),),
        killer=f"{COUNTER}:test_r2_a_lying_200_does_not_revert_everyone",
    ),
    Mutant(
        name="merge_while_a_write_is_open",
        harm="The state before our write comes in as somebody's edit.",
        target=f"{SYNC}.admission:admit",
        edits=(("if link.operation is not None and rules.hold_while_open:", "if False:"),),
        killer=f"{COUNTER}:test_r3_the_webhook_of_our_own_write_before_its_response_is_not_merged",
    ),
    Mutant(
        name="skip_the_look_up_before_create",
        harm="A timeout after the commit makes a duplicate ticket.",
        target=f"{SYNC}.stepping:_unknown",
        edits=(("if not context.rules.look_up:", "if True:"),),
        killer=f"{COUNTER}:test_r6_a_timeout_after_commit_makes_no_duplicate",
    ),
    Mutant(
        name="look_up_without_waiting_out",
        harm="A request that lands late makes a twin.",
        target=f"{SYNC}.stepping:_unknown",
        edits=(("if context.rules.wait_out and context.now < until:", "if False:"),),
        killer=f"{COUNTER}:test_r6b_a_request_that_lands_late_makes_no_twin",
    ),
    Mutant(
        name="count_writes_that_never_arrived",
        harm="Three time-outs park a field that nobody refuses: it never reaches the partner.",
        target=f"{SYNC}.settling:_tries",
        edits=(("if counted or not context.rules.count_arrived else before", "if True else before"),),
        killer=f"{COUNTER}:test_r7b_writes_that_never_arrived_park_nothing",
    ),
    Mutant(
        name="settle_todays_ours",
        harm="An edit made while a write was under way never goes out.",
        target=f"{SYNC}.settling:_base",
        edits=(("if context.rules.base_is_sent", "if False"),),
        killer=f"{HERE}:an_edit_during_the_flight_goes_out",
    ),
    Mutant(
        name="replace_the_full_set",
        harm="A tag that somebody added meanwhile is deleted.",
        target="isthmus.connectors.jira.connector:Jira.write",
        edits=(
            (
                "for each in delta.remove)",
                'for each in held["fields"]["labels"] if each not in delta.add and not each.startswith("isthmus-"))',
            ),
        ),
        killer=f"{HERE}:a_tag_that_somebody_adds_there_survives_our_write",
    ),
    Mutant(
        name="import_our_own_comment",
        harm="A comment of ours comes back as a new one, and goes round for ever.",
        target=f"{SYNC}.comments:map_sent",
        edits=(("if context.rules.own_comments:", "if False:"),),
        also=(
            (f"{SYNC}.comments:_own", "if not context.rules.own_comments or", "if True or"),
            (f"{SYNC}.comments:_add", "if marked:", "if False:"),
        ),
        killer=f"{COUNTER}:test_r11_our_own_comment_is_mapped_never_imported",
    ),
    Mutant(
        name="write_without_the_version_planned_on",
        harm="An edit that we had not seen is overwritten and gone.",
        target="isthmus.hub.lanes.calls:_write",
        edits=(("deltas, operation.version_before)", 'deltas, "")'),),
        killer=f"{HERE}:an_edit_that_nobody_told_us_is_not_overwritten",
    ),
    Mutant(
        name="send_before_the_intent_is_durable",
        harm="A crash after the call leaves no trace of it: the ticket is made again.",
        target="isthmus.hub.lanes.turns:_advance",
        edits=(
            (
                "recording.record(work, loaded, replace(outcome, link=mark_sent(outcome.link)))",
                "loaded.state = mark_sent(outcome.link)",
            ),
        ),
        killer=f"{SYSTEMS}:test_a_crash_between_send_and_commit_leaves_one_object",
    ),
    Mutant(
        name="breaker_never_opens",
        harm="A sick partner is called without end.",
        target="isthmus.hub.lanes.limits:Breaker.failed",
        edits=((" and failures < BREAKER_FAILURES", ""),),
        killer="tests.hub.lanes.test_limits:test_the_breaker_opens_probes_and_closes",
    ),
    Mutant(
        name="take_an_authority_field_by_merge",
        harm="A partner's 'approved' opens the gate.",
        target="isthmus.kernel.merge:shapes_of",
        edits=((" or field.authority", ""),),
        killer="tests.kernel.test_merge:test_authority_never_takes_part_in_merging",
    ),
    # The door and the pump
    Mutant(
        name="answer_202_before_it_is_durable",
        harm="An acknowledged alert is lost when the disk is full.",
        target="isthmus.hub.intake.door:Door._judge",
        edits=(("position = await self._appender().submit(", "position = 0; self._appender().submit("),),
        killer="tests.hub.intake.test_door:test_a_full_disk_is_a_503_and_what_came_before_is_kept",
    ),
    Mutant(
        name="skip_the_fsync_of_the_log",
        harm="An acknowledged alert is lost when the power goes.",
        target="isthmus.hub.intake.segment_writer:SegmentWriter._write",
        edits=(("os.fdatasync(self._file)", "pass"),),
        killer=f"{HERE}:an_append_returns_only_after_the_disk_has_it",
    ),
    Mutant(
        name="commit_before_the_offset",
        harm="After a crash the same messages are taken again.",
        target="isthmus.hub.pump.deciding:_close",
        edits=(
            ("work.change(offset, moved, why=_READ)", "pass"),
            (
                "        work.create(\n            IntakeOffset,",
                "        dict(\n            model=IntakeOffset,",
            ),
        ),
        killer="tests.hub.test_pump:test_each_message_has_its_effect_and_the_offset_follows",
    ),
    Mutant(
        name="move_the_offset_unconditionally",
        harm="Two pumps take the same message twice.",
        target="isthmus.hub.pump.deciding:decide",
        edits=(("!= batch.after:", "== -1:"),),
        killer=f"{HERE}:a_pump_that_fell_behind_takes_nothing",
    ),
    Mutant(
        name="give_absence_at_a_creation_no_base",
        harm="What was written during a creation conflicts with an emptiness that nobody chose.",
        target=f"{SYNC}.settling:settle",
        edits=(('if operation.kind == "create":', "if False:"),),
        killer=f"{COUNTER}:test_what_was_empty_at_the_creation_is_nobodys_edit",
    ),
    Mutant(
        name="park_a_set_whose_write_was_lost",
        harm="A tag added beside a lost write keeps ours out for hours.",
        target=f"{SYNC}.settling:_settle_set",
        edits=(("missing and unknown and _acknowledged(operation)", "missing and unknown"),),
        killer=f"{COUNTER}:test_a_tag_added_beside_a_write_that_never_arrived_is_no_spelling_of_ours",
    ),
    Mutant(
        name="skip_the_event_id_check",
        harm="A sender that repeats itself is counted and acted on again.",
        target="isthmus.hub.pump.events:Taken.before",
        edits=(("return position if content == found.content else None", "return None"),),
        killer="tests.hub.test_pump:test_the_same_event_a_hundred_times_has_one_effect",
    ),
    Mutant(
        name="finish_a_lost_claim",
        harm="A wait that somebody else took over is handled twice.",
        target="isthmus.hub.due:finish",
        edits=(('{"id": row.id, "epoch": row.epoch}', '{"id": row.id}'),),
        killer="tests.hub.test_due:test_a_claim_that_was_lost_finishes_nothing",
    ),
    # The book
    Mutant(
        name="drop_the_version_check_in_update",
        harm="Of two edits at once one is overwritten in silence.",
        target="isthmus.ledger.flush:_write",
        edits=(('AND "version" = {one}', "AND ({one} IS NOT NULL)"),),
        also=(
            (
                "isthmus.ledger.flush:_write_entries",
                "INSERT INTO ledger_entry",
                "INSERT OR REPLACE INTO ledger_entry",
            ),
        ),
        killer="tests.ledger.test_work:test_a_stale_version_runs_the_act_again",
    ),
    Mutant(
        name="drop_the_fence_of_side_rows",
        harm="Whoever lost a lease goes on writing.",
        target="isthmus.ledger.flush:_write_side",
        edits=(("if group.exact and raw.rowcount != len(group.rows):", "if False:"),),
        killer="tests.ledger.test_work:test_a_lost_fence_aborts_everything",
    ),
    Mutant(
        name="seal_by_sequence",
        harm="An entry that committed late is never sealed: it can be edited unnoticed.",
        target="isthmus.ledger.sealer:_queued",
        edits=(
            (
                "        seqs.extend(found)",
                "        known = (struct.unpack(f'>{len(each) // 8}q', each) for each in map(bytes, Seal.objects.values_list('seqs', flat=True)))\n        last = max((each for some in known for each in some), default=0)\n        seqs.extend(each for each in found if each > last)",
            ),
        ),
        killer=f"{HERE}:a_late_committer_is_sealed_too",
    ),
    Mutant(
        name="skip_the_unsealed_queue",
        harm="Entries stay outside the chain.",
        target="isthmus.ledger.sealer:_queued",
        edits=(("        seqs.extend(found)", "        seqs.extend(found[1:])"),),
        killer="tests.ledger.test_sealer:test_each_organisation_has_its_own_gap_free_chain",
    ),
    Mutant(
        name="forget_the_epoch_of_the_sealer",
        harm="Two sealers write two chains.",
        target="isthmus.ledger.sealer:_advance",
        edits=((", position=old.position, epoch=old.epoch, epoch__lte=new.epoch", ""),),
        killer="tests.ledger.test_sealer:test_a_sealer_that_lost_its_lease_without_noticing_is_fenced",
    ),
    Mutant(
        name="forget_the_organisation_scope",
        harm="A customer sees another customer's incidents.",
        target="isthmus.ledger.records:RecordManager.get_queryset",
        edits=(
            (
                'return found if visible is None else found.filter(scope.owned_or_shared(visible, "id"))',
                "return found",
            ),
        ),
        killer="tests.ledger.test_reading:test_two_organisations_see_their_own_only",
    ),
    # Change and approval
    Mutant(
        name="gate_decides_from_the_projection",
        harm="Whoever can edit the store opens the gate.",
        target="isthmus.practices.change.proof:proven",
        edits=(
            (
                "values=told,",
                "values=told if row is None else {**told, **{each.name: getattr(row, each.name) for each in CHANGE.fields}},",
            ),
            ("differs=differs,", "differs=[],"),
        ),
        killer="tests.practices.change.test_gate_tampering:test_an_edited_projection_does_not_open_the_gate",
    ),
    # Problem
    Mutant(
        name="close_a_problem_without_an_action",
        harm="A cause is found, nothing is done about it, and nobody looks at it again.",
        target="isthmus.practices.problem.rules.closing:missing",
        edits=(("if not actions:", "if False:"),),
        killer="tests.practices.problem.test_rules:test_a_problem_closes_with_a_cause_and_an_action_and_with_nothing_less",
    ),
    Mutant(
        name="a_broken_condition_stops_the_incident",
        harm="Somebody's known error keeps every incident of the organisation from opening.",
        target="isthmus.practices.problem.rules.matching:Published.find",
        edits=(("except Rejected as refusal:", "except ZeroDivisionError as refusal:"),),
        killer="tests.practices.problem.test_rules:test_a_condition_that_cannot_be_evaluated_fits_nothing_and_stops_nothing",
    ),
    # Mail
    Mutant(
        name="move_the_watermark_before_the_page_is_kept",
        harm="A hub that is killed while it reads a mailbox never sees that mail again.",
        target="isthmus.hub.polling:_keep",
        edits=(
            ("    pages.append(log, connection, kind, page)\n", ""),
            (
                "        now=now,\n    )\n",
                "        now=now,\n    )\n    pages.append(log, connection, kind, page)\n",
            ),
        ),
        killer="tests.hub.test_messages_of_polls:test_a_hub_killed_between_log_and_watermark_reads_again_and_doubles_nothing",
    ),
    Mutant(
        name="answer_250_before_the_disk_has_it",
        harm="The mail server forgets a mail that the hub never kept.",
        target="isthmus.hub.intake.mail_handover:Handover.handle_DATA",
        edits=(("await self._appender().submit(", "self._appender().submit("),),
        killer="tests.hub.intake.test_mails:test_a_full_disk_leaves_the_mail_with_its_sender",
    ),
    Mutant(
        name="allow_self_approval",
        harm="Somebody approves the change that they raised.",
        target="isthmus.practices.approval.rules:may_decide",
        edits=(("if who.person in {*requesters, fact.requester}:", "if False:"),),
        killer="tests.practices.change.test_gate_story:test_neither_the_requester_nor_a_viewer_approves",
        given={"who": "ada"},
    ),
    Mutant(
        name="approval_survives_an_edit",
        harm="What goes in is not what was approved.",
        target="isthmus.practices.approval.rules:standing",
        edits=(("if fact.content_hash == content_hash and fact.state != State.VOID", ""),),
        killer="tests.practices.approval.test_rules:test_standing_is_approved_only_by_different_others_about_exactly_this_content",
    ),
)
