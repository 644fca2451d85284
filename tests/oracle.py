"""A second fold and a second finder of conflicts, in SQL: the oracle of the tests.

Written from the protocol, not from the Python: window functions and laterals over a temporary
table of the events of many histories at once. It knows two kinds: the customers' (a narrow row and
a row per detail) and the sample's (one wide row).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple
from uuid import UUID

from django.db import connection

from events.envelope import Event

CUSTOMER, OFFER = "customer", "offer"

# The events of all histories, each as often as it arrived.
_TABLE = """
CREATE TEMPORARY TABLE oracle_arrived (
    history int, kind text, event_id uuid, origin text COLLATE "C", ts bigint, effective bigint,
    sets jsonb, base jsonb, voids jsonb, resolves jsonb
)
"""
_FILL = """
INSERT INTO oracle_arrived SELECT * FROM json_to_recordset(%s) AS e (
    history int, kind text, event_id uuid, origin text, ts bigint, effective bigint,
    sets jsonb, base jsonb, voids jsonb, resolves jsonb)
"""

# §4: each event once; those not withdrawn; what withdraws cannot be withdrawn.
_LIVE = """
CREATE TEMPORARY VIEW oracle_live AS
SELECT DISTINCT ON (history, event_id) * FROM oracle_arrived e
WHERE jsonb_array_length(voids) > 0 OR NOT EXISTS (
    SELECT FROM oracle_arrived v, jsonb_array_elements_text(v.voids) AS target
    WHERE v.history = e.history AND target::uuid = e.event_id)
ORDER BY history, event_id
"""

_VERSIONS = """
WITH floored AS (  -- §4: effective is never later than ts, nor before that of the smallest stamp
    SELECT *, first_value(least(effective, ts)) OVER (
        PARTITION BY history ORDER BY ts, origin, event_id) AS floor
    FROM oracle_live
), ordered AS (
    SELECT history, kind, event_id, sets, begins, row_number() OVER (
        PARTITION BY history ORDER BY begins, ts, origin, event_id) AS place
    FROM floored, LATERAL (SELECT greatest(least(effective, ts), floor)) AS b (begins)
), instant AS (
    SELECT history, kind, begins, max(place) AS last_place,
           dense_rank() OVER (PARTITION BY history ORDER BY begins) AS n,
           lead(begins) OVER (PARTITION BY history ORDER BY begins) AS ends
    FROM ordered GROUP BY history, kind, begins
), said AS (
    SELECT DISTINCT ON (i.history, i.n, g.key) i.history, i.n, g.key AS grp, g.value AS fields
    FROM instant i
    JOIN ordered o ON o.history = i.history AND o.place <= i.last_place
    CROSS JOIN LATERAL jsonb_each(o.sets) AS g
    ORDER BY i.history, i.n, g.key, o.place DESC
), state AS (
    SELECT history, n, jsonb_object_agg(grp, fields) AS state FROM said GROUP BY history, n
), shown AS (  -- while deleted nothing is open
    SELECT i.*, s.state FROM instant i JOIN state s USING (history, n)
    WHERE state #> '{deleted,value}' IS DISTINCT FROM 'true'
), row AS (
    SELECT history, n, begins, ends, 'entity' AS tbl, '' AS code,
           ARRAY['type', 'display_name', 'merged_into', 'name', 'surname', 'company',
                 'document_number', 'email', 'phone'] AS groups,
           jsonb_build_object(
               'entity_type', coalesce(nullif(state #>> '{type,value}', ''), 'PERSON'),
               'merged_into', state #>> '{merged_into,value}',
               'display_name', coalesce(
                   nullif(state #>> '{display_name,value}', ''),
                   nullif(concat_ws(' ', nullif(state #>> '{name,value}', ''),
                                         nullif(state #>> '{surname,value}', '')), ''),
                   nullif(state #>> '{company,value}', ''),
                   nullif(state #>> '{document_number,value}', ''),
                   nullif(state #>> '{email,value}', ''),
                   nullif(state #>> '{phone,value}', ''),
                   '')) AS vals
    FROM shown WHERE kind = 'customer'
    UNION ALL
    SELECT history, n, begins, ends, 'detail', g.key, ARRAY[g.key],
           jsonb_build_object('value', g.value)
    FROM shown, jsonb_each(state) AS g
    WHERE kind = 'customer'
      AND g.key NOT IN ('type', 'display_name', 'deleted', 'merged_into')
      AND EXISTS (SELECT FROM jsonb_each(g.value) AS f WHERE f.value <> 'null')
    UNION ALL
    SELECT history, n, begins, ends, 'offer', '', ARRAY['title', 'price', 'note'],
           jsonb_build_object('title', state #>> '{title,title}',
                              'amount', state #>> '{price,amount}',
                              'currency', state #>> '{price,currency}',
                              'note', state #>> '{note,note}')
    FROM shown WHERE kind = 'offer' AND state ?| ARRAY['title', 'price', 'note']
), changed AS (  -- equal neighbours are one version
    SELECT *, lag(n) OVER w IS DISTINCT FROM n - 1 OR lag(vals) OVER w <> vals AS is_start
    FROM row WINDOW w AS (PARTITION BY history, tbl, code ORDER BY n)
), island AS (
    SELECT *, count(*) FILTER (WHERE is_start) OVER (
        PARTITION BY history, tbl, code ORDER BY n) AS version
    FROM changed
), version AS (
    SELECT history, tbl, code, version, min(n) AS n, min(begins) AS valid_from,
           (array_agg(ends ORDER BY n DESC))[1] AS valid_to,
           (array_agg(vals))[1] AS vals, groups
    FROM island GROUP BY history, tbl, code, version, groups
)
-- Within the instant, the last event that set one of the row's groups; else the last of all.
SELECT DISTINCT ON (v.history, v.tbl, v.code, v.version)
       v.history, v.tbl, v.code, v.valid_from, v.valid_to, v.vals, o.event_id
FROM version v JOIN ordered o ON o.history = v.history AND o.begins = v.valid_from
ORDER BY v.history, v.tbl, v.code, v.version, o.sets ?| v.groups DESC, o.place DESC
"""

# §5. A stamp is the row (ts, origin, event_id); a base that is null lies before every stamp. A
# base that names a withdrawn event stands for that event's own base.
_CONFLICTS = """
WITH RECURSIVE live AS (
    SELECT * FROM oracle_live
), withdrawn AS (
    SELECT DISTINCT ON (history, event_id) * FROM oracle_arrived a
    WHERE NOT EXISTS (SELECT FROM live l
                      WHERE (l.history, l.event_id) = (a.history, a.event_id))
), chain AS (
    SELECT history, event_id, b.key AS grp, b.value AS base FROM live, jsonb_each(live.base) AS b
    UNION ALL
    SELECT c.history, c.event_id, c.grp, coalesce(w.base -> c.grp, 'null')
    FROM chain c JOIN withdrawn w ON w.history = c.history AND w.event_id = (c.base ->> 2)::uuid
), based AS (
    SELECT history, event_id, jsonb_object_agg(grp, base) AS base FROM chain c
    WHERE NOT EXISTS (SELECT FROM withdrawn w
                      WHERE w.history = c.history AND w.event_id = (c.base ->> 2)::uuid)
    GROUP BY history, event_id
), setter AS (
    SELECT e.history, e.event_id, e.ts, e.origin, b.base, s.key AS grp, s.value AS fields
    FROM live e LEFT JOIN based b USING (history, event_id)
    CROSS JOIN LATERAL jsonb_each(e.sets) AS s
), seen AS (
    SELECT history, grp, (base #>> ARRAY[grp, '2'])::uuid AS event_id FROM setter
), plain AS (
    SELECT a.history, a.grp, a.event_id AS earlier, b.event_id AS later, false AS is_closing
    FROM setter a JOIN setter b USING (history, grp)
    WHERE (a.ts, a.origin, a.event_id) < (b.ts, b.origin, b.event_id) AND a.fields <> b.fields
      AND pg_temp.oracle_is_before(b.base -> grp, a.ts, a.origin, a.event_id)
      AND NOT EXISTS (SELECT FROM seen s
                      WHERE (s.history, s.grp, s.event_id) = (a.history, a.grp, a.event_id))
), closing AS (
    SELECT e.history, e.grp, c.event_id AS c_id, e.event_id AS e_id,
           (c.ts, c.origin, c.event_id) < (e.ts, e.origin, e.event_id) AS is_c_first
    FROM setter c JOIN setter e ON e.history = c.history AND e.event_id <> c.event_id
    WHERE c.grp IN ('deleted', 'merged_into') AND e.grp NOT IN ('deleted', 'merged_into')
      AND coalesce(c.fields -> 'value', 'null') NOT IN ('null', 'false')
      AND pg_temp.oracle_is_before(c.base -> e.grp, e.ts, e.origin, e.event_id)
      AND pg_temp.oracle_is_before(e.base -> c.grp, c.ts, c.origin, c.event_id)
      AND NOT EXISTS (SELECT FROM seen s
                      WHERE (s.history, s.grp, s.event_id) = (e.history, e.grp, e.event_id))
), found AS (
    SELECT history, grp, earlier, later, bool_or(is_closing) AS is_closing FROM (
        SELECT * FROM plain
        UNION ALL
        SELECT history, grp, CASE WHEN is_c_first THEN c_id ELSE e_id END,
               CASE WHEN is_c_first THEN e_id ELSE c_id END, true
        FROM closing) AS f
    GROUP BY history, grp, earlier, later
), item AS (
    SELECT *, encode(sha256(uuid_send(earlier) || uuid_send(later)
                            || convert_to(grp, 'UTF8')), 'hex') AS item_id
    FROM found
)
SELECT history, item_id, grp, earlier, later, is_closing, (
    SELECT event_id FROM live r WHERE r.history = item.history AND r.resolves ? item_id
    ORDER BY ts, origin, event_id LIMIT 1)
FROM item
"""
_IS_BEFORE = """
CREATE FUNCTION pg_temp.oracle_is_before(base jsonb, ts bigint, origin text, event_id uuid)
RETURNS boolean LANGUAGE sql IMMUTABLE AS $$
    SELECT coalesce(base, 'null') = 'null' OR
        ((base ->> 0)::bigint, (base ->> 1) COLLATE "C", (base ->> 2)::uuid)
        < (ts, origin COLLATE "C", event_id)
$$
"""


class VersionRow(NamedTuple):
    """One version as the oracle sees it; ``values`` as canonical JSON."""

    table: str
    code: str
    valid_from: int
    valid_to: int | None
    values: str
    event_id: UUID | None


class Item(NamedTuple):
    """One conflict as the oracle sees it."""

    item_id: str
    group: str
    earlier: UUID
    later: UUID
    is_closing: bool
    resolved_by: UUID | None


class Verdict(NamedTuple):
    """What the oracle says of one history."""

    versions: set[VersionRow]
    items: set[Item]


def plain(values: Any) -> str:
    """Return values as text that is equal for equal JSON."""
    return json.dumps(values, sort_keys=True)


def verdicts(histories: Sequence[tuple[str, Iterable[Event]]]) -> list[Verdict]:
    """Return the versions and conflicts of each ``(kind, events)``."""
    found = [Verdict(set(), set()) for _ in histories]
    rows = [_row(n, kind, e) for n, (kind, events) in enumerate(histories) for e in events]
    with connection.cursor() as cursor:
        cursor.execute(_TABLE)
        try:
            cursor.execute(_LIVE)
            cursor.execute(_IS_BEFORE)
            cursor.execute(_FILL, [json.dumps(rows)])
            cursor.execute("ANALYZE oracle_arrived")
            cursor.execute(_VERSIONS)
            for history, table, code, begins, ends, values, event_id in cursor.fetchall():
                document = json.loads(values) if isinstance(values, str) else values
                version = VersionRow(table, code, begins, ends, plain(document), event_id)
                found[history].versions.add(version)
            cursor.execute(_CONFLICTS)
            for history, *item in cursor.fetchall():
                found[history].items.add(Item(*item))
        finally:
            cursor.execute("DROP TABLE oracle_arrived CASCADE")
            cursor.execute("DROP FUNCTION IF EXISTS pg_temp.oracle_is_before")
    return found


def _row(history: int, kind: str, event: Event) -> dict[str, object]:
    return {
        "history": history,
        "kind": kind,
        "event_id": str(event.event_id),
        "origin": event.origin,
        "ts": event.ts,
        "effective": event.ts if event.effective is None else event.effective,
        "sets": {group: dict(fields) for group, fields in event.set.items()},
        "base": {g: None if s is None else s.to_json() for g, s in event.base.items()},
        "voids": [str(target) for target in event.voids],
        "resolves": list(event.resolves),
    }
