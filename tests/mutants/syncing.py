"""Wrong turns on the way between locations: numbering, sending, applying, restoring."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

SEQUENCER, FEED = "events/tests/test_sequencer.py", "consumers/tests/test_kafka_feed.py"
APPLY, RECOVERY = "consumers/tests/test_apply.py", "consumers/tests/test_recovery.py"
DIGEST, HEADS = "consumers/tests/test_digest.py", "events/tests/test_heads.py"
FORKS = "consumers/tests/test_forks.py"

LOCATIONS = "events/tests/test_locations.py"

SYNCING = [
    Mutant(
        "a peer's word about another's key needs no proof",
        "events/locations.py",
        "                new = proven(name, mine.values(), new)\n",
        "                pass\n",
        f"{LOCATIONS}::test_of_whom_a_key_is_known_another_one_needs_proof_by_it",
        needs_django=True,
    ),
    Mutant(
        "a key that has ended proves another",
        "events/location_keys.py",
        "[key for key in trusted if key.until is None], list(offered)",
        "list(trusted), list(offered)",
        f"{LOCATIONS}::test_a_key_that_has_ended_proves_no_other",
        needs_django=True,
    ),
    Mutant(
        "the outbox is read on from the last id",
        "events/sequencer.py",
        "    rows = _whole(cursor.fetchall())\n",
        "    seen = vars(number_pass).setdefault('seen', [0])\n"
        "    rows = [row for row in _whole(cursor.fetchall()) if row[0] > seen[-1]]\n"
        "    seen += [row[0] for row in rows]\n",
        f"{SEQUENCER}::test_trap_01_late_committer_gets_a_later_number",
        needs_django=True,
    ),
    Mutant(
        "a transaction is split over two passes",
        "events/sequencer.py",
        "    return [row for entry in whole for row in entry]\n",
        "    return found[:PAGE]\n",
        f"{SEQUENCER}::test_trap_14_pass_takes_whole_transactions_of_at_most_1000_events",
        needs_django=True,
    ),
    Mutant(
        "what is sent counts as delivered",
        "events/relay.py",
        "        done = sent if acknowledged == len(records) else max(sent - 1, 0)\n",
        "        done = len(run.items)\n",
        f"{FEED}::test_trap_06_what_was_acknowledged_counts_and_another_producer_goes_on",
        needs_django=True,
    ),
    Mutant(
        "it is tried again with the producer that failed",
        "events/relay.py",
        "        sender, self._sender = self._sender, None\n",
        "        sender = self._sender\n",
        f"{FEED}::test_trap_06_what_was_acknowledged_counts_and_another_producer_goes_on",
        needs_django=True,
    ),
    Mutant(
        "the cursor moves before the transaction",
        "events/recorder.py",
        "    with recording():\n        if received.advance is not None:\n"
        "            cursors.fence(received.advance)  # 1\n",
        "    if received.advance is not None:\n        cursors.fence(received.advance)\n"
        "    with recording():\n",
        f"{APPLY}::test_trap_14_the_cursor_moves_with_the_rows_or_not_at_all",
        needs_django=True,
    ),
    Mutant(
        "the signature of a head is not looked at",
        "consumers/verify.py",
        "!= list(expected) or not is_signed(run.head):",
        "!= list(expected):",
        f"{APPLY}::test_head_signed_by_another_is_refused",
        needs_django=True,
    ),
    Mutant(
        "heads are locked in any order",
        "events/heads.py",
        "AS wanted (uid, kind) ORDER BY uid",
        "AS wanted (uid, kind)",
        f"{HEADS}::test_trap_16_writers_of_the_same_records_never_wait_in_a_circle",
        needs_django=True,
    ),
    Mutant(
        "a void before its target is forgotten",
        "events/refold.py",
        "if memo.is_deleted or head.has_open_voids or head.has_closing_conflicts:",
        "if memo.is_deleted or head.has_closing_conflicts:",
        "events/tests/test_refold.py::"
        "test_a_closed_record_or_one_with_voids_or_conflicts_starts_over",
        needs_django=True,
    ),
    Mutant(
        "no epoch is begun after a restore",
        "events/recovery.py",
        "        epoch = ended + 1\n",
        "        epoch = ended\n",
        f"{RECOVERY}::test_own_writes_come_back_and_each_peer_is_asked_first",
        needs_django=True,
    ),
    Mutant(
        "whoever speaks last takes a stream back",
        "events/forks.py",
        "    return (theirs.seq, theirs.chain) > (ours.seq, ours.chain)\n",
        "    return True\n",
        f"{FORKS}::test_the_shorter_branch_takes_nobody_back",
        needs_django=True,
    ),
    Mutant(
        "the digest is a XOR",
        "events/digest.py",
        "       sum(('x' || substr(h, 1, 8))::bit(32)::bigint),\n"
        "       sum(('x' || substr(h, 9, 8))::bit(32)::bigint),\n"
        "       sum(('x' || substr(h, 17, 8))::bit(32)::bigint),\n"
        "       sum(('x' || substr(h, 25, 8))::bit(32)::bigint)\n",
        "       bit_xor(('x' || substr(h, 1, 8))::bit(32)::bigint),\n"
        "       bit_xor(('x' || substr(h, 9, 8))::bit(32)::bigint),\n"
        "       bit_xor(('x' || substr(h, 17, 8))::bit(32)::bigint),\n"
        "       bit_xor(('x' || substr(h, 25, 8))::bit(32)::bigint)\n",
        f"{DIGEST}::test_trap_41_a_row_that_stands_three_times_does_not_cancel_out",
        needs_django=True,
    ),
]
