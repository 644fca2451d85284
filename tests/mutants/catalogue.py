"""The wrong turns, and who notices each."""

from __future__ import annotations

from tests.mutants.mutant import Mutant
from tests.mutants.syncing import SYNCING

FOLD, CONFLICTS = "events/tests/test_fold.py", "events/tests/test_conflicts.py"
DRAFTING, REFOLD = "events/tests/test_drafting.py", "events/tests/test_refold.py"
RECORDER = "tests/test_recorder_laws.py"
PARALLEL = "events/tests/test_parallel.py"

MUTANTS = [
    Mutant(
        "ties are left to chance",
        "events/fold.py",
        "key=lambda event: (begins(event), event.stamp)",
        "key=lambda event: (begins(event), event.ts)",
        f"{FOLD}::test_trap_17_equal_time_is_decided_by_origin",
    ),
    Mutant(
        "ties within one origin are left to chance",
        "events/fold.py",
        "key=lambda event: (begins(event), event.stamp)",
        "key=lambda event: (begins(event), event.stamp[:2])",
        f"{FOLD}::test_equal_time_and_origin_are_decided_by_the_event",
    ),
    Mutant(
        "effective is ignored",
        "events/envelope.py",
        "return self.ts if self.effective is None else min(self.effective, self.ts)",
        "return self.ts",
        f"{FOLD}::test_a_backdated_change_stands_where_it_took_effect",
    ),
    Mutant(
        "versions are cut at the stamp",
        "events/fold.py",
        "        yield instant, list(together)",
        "        kept = list(together)\n        yield kept[-1].ts, kept",
        f"{FOLD}::test_a_backdated_change_cuts_at_its_effect_not_at_its_stamp",
    ),
    Mutant(
        "nothing is clipped to the record's beginning",
        "events/fold.py",
        "        return max(event.effective_at, floor)",
        "        return event.effective_at",
        f"{FOLD}::test_effect_before_the_record_began_is_clipped",
    ),
    Mutant(
        "the whole row of the last writer wins",
        "events/fold.py",
        "            state.update(event.set)\n            stamp",
        "            state = dict(event.set)\n            stamp",
        f"{FOLD}::test_a_row_keeps_the_groups_an_event_does_not_set",
    ),
    Mutant(
        "delete is a group like any other",
        "events/fold.py",
        "return {} if not state or is_deleted(state) else {",
        "return {} if not state else {",
        f"{FOLD}::test_deleting_closes_every_row",
    ),
    Mutant(
        "what withdraws can be withdrawn",
        "events/fold.py",
        "if e.voids or e.event_id not in voided]",
        "if e.event_id not in voided]",
        f"{FOLD}::test_trap_24_what_withdraws_cannot_be_withdrawn",
    ),
    Mutant(
        "equal neighbours stay apart",
        "events/fold.py",
        "        if key not in before or before[key].values != row.values:",
        "        if key not in before or not row.groups.isdisjoint(together[-1].set):",
        f"{FOLD}::test_equal_neighbours_are_one_version_and_their_stamp_is_kept",
    ),
    Mutant(
        "an event that does not set the group ends its conflict",
        "events/conflicts.py",
        "for event in kept for g in event.set}",
        "for event in kept for g in event.base}",
        f"{CONFLICTS}::test_only_an_event_that_sets_the_group_ends_its_conflict",
    ),
    Mutant(
        "what was seen is a conflict",
        "events/conflicts.py",
        "base < other.stamp)",
        "base <= other.stamp)",
        f"{CONFLICTS}::test_an_edit_that_knew_the_delete_is_no_conflict",
    ),
    Mutant(
        "a withdrawn basis hides what was lost",
        "events/conflicts.py",
        "base is not None and base.event_id in self._voided",
        "base is None and base in self._voided",
        f"{CONFLICTS}::test_a_value_overwritten_on_a_withdrawn_basis_is_in_the_inbox",
    ),
    Mutant(
        "what was seen is marked parallel",
        "events/conflicts.py",
        "bisect_right(stamps, known)",
        "bisect_right(stamps, known) - 1",
        f"{PARALLEL}::test_what_its_author_had_seen_is_not",
    ),
    Mutant(
        "who does not tell what they knew is marked parallel",
        "events/conflicts.py",
        "begin = place if known is None",
        "begin = 0 if known is None",
        f"{PARALLEL}::test_an_event_that_does_not_tell_what_its_author_knew_is_not_marked",
    ),
    Mutant(
        "the last change its author knew is not in the base",
        "events/drafting.py",
        "seen | {g: stamps",
        "{g: stamps",
        f"{DRAFTING}::test_base_names_the_last_change_its_author_knew_whatever_its_group",
    ),
    Mutant(
        "a stale form is taken, with the head as its base",
        "events/drafting.py",
        "    refuse_stale(draft, changed, head)\n",
        "",
        f"{DRAFTING}::test_a_stale_form_is_refused_with_both_values",
    ),
    Mutant(
        "an equal value makes an event",
        "events/drafting.py",
        " if not _is_so(state, g, fields)}",
        "}",
        f"{DRAFTING}::test_what_is_so_already_makes_no_event",
    ),
    Mutant(
        "the wall clock decides, not what was seen",
        "events/drafting.py",
        "        ts = next_ts(ts, memo.last_ts)\n",
        "        ts = max(ts, 0)\n",
        f"{DRAFTING}::test_a_write_wins_over_what_it_was_based_on_even_after_a_fast_clock",
    ),
    Mutant(
        "a missing key folds to nothing",
        "events/keys.py",
        "    if ct is None or wrapped is None:\n        raise MissingKey",
        "    if ct is None or wrapped is None:\n        return event",
        "events/tests/test_keys.py::test_a_missing_key_is_said_never_folded_to_nothing",
        needs_django=True,
    ),
    Mutant(
        "the fast path takes a late event",
        "events/refold.py",
        "event.effective_at != event.ts or event.ts <= last or event.voids",
        "event.effective_at != event.ts or event.voids",
        f"{REFOLD}::test_a_late_event_starts_over",
        needs_django=True,
    ),
    Mutant(
        "a receiver drops what is so already",
        "events/recorder.py",
        "        fresh = {",
        "        there = heads.read(item.event.entity_uid for item in arrived)\n"
        "        arrived = [\n"
        "            item\n"
        "            for item in arrived\n"
        "            for head in [there.get(item.event.entity_uid)]\n"
        "            if head is None\n"
        "            or any(head.memo.state.get(g) != f for g, f in item.event.set.items())\n"
        "        ]\n"
        "        fresh = {",
        f"{RECORDER}::test_trap_19_an_equal_value_from_elsewhere_is_kept",
        needs_django=True,
    ),
    Mutant(
        "what is settled is settled again",
        "events/recorder.py",
        "        items.refuse_settled(drafts)  # 2\n",
        "",
        "customers/tests/test_items.py::"
        "test_the_write_path_itself_refuses_to_settle_what_is_not_open",
        needs_django=True,
    ),
    *SYNCING,
]
