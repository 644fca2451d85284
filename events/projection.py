"""Making the stored rows equal to what fold says: the only writer of versioned rows."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from uuid import UUID

from django.db import connection, models

from events import sql
from events.envelope import Fields
from events.fold import Version
from events.keys import hashdiff
from events.models import Versioned
from events.stamp import to_datetime, to_micros

Place = tuple[UUID, str, int]  # entity, code, valid_from: one version of one table


@dataclass(slots=True)
class Difference:
    """What has to change in one table: versions gone, ends moved, versions new."""

    gone: list[Place] = field(default_factory=list)
    ended: list[tuple[Place, int | None]] = field(default_factory=list)
    new: list[tuple[UUID, Version]] = field(default_factory=list)


# What stands becomes what should: delete, then move ends, then insert, so that no constraint ever
# sees two versions of one instant; valid_from is never updated. The rows come as JSON, typed by the
# column list: the same statement for one and for thousands, and no temporary table.
_DELETE = "DELETE FROM {table} t USING json_to_recordset(%s) AS d ({place}) WHERE {same}"
_END = """
UPDATE {table} t SET valid_to = d.valid_to
FROM json_to_recordset(%s) AS d ({place}, valid_to timestamptz) WHERE {same}
"""
_INSERT = """
INSERT INTO {table} ({columns}) SELECT {columns} FROM json_to_recordset(%s) AS d ({typed})
"""

# The versions an entity has now, without their values: the hash tells whether those differ.
_PRESENT = """
SELECT entity_uid, {code}, valid_from, valid_to, event_id, hashdiff FROM {table}
WHERE entity_uid = ANY(%s)
"""

# How many rows of each entity differ between what stands and what should, as the state digest sees
# them: the whole row as text. Taking away one of two equal rows leaves the other.
_DIFFERING = """
WITH stands AS (
    SELECT entity_uid, (to_jsonb(t) - 'is_current')::text AS said FROM {table} t
    WHERE entity_uid = ANY(%s)
), wanted AS (
    SELECT entity_uid, to_jsonb(d)::text AS said FROM json_to_recordset(%s) AS d ({typed})
)
SELECT entity_uid, greatest(count(*) FILTER (WHERE stands), count(*) FILTER (WHERE NOT stands))
FROM (SELECT *, true AS stands FROM (TABLE stands EXCEPT ALL TABLE wanted) AS surplus
      UNION ALL SELECT *, false FROM (TABLE wanted EXCEPT ALL TABLE stands) AS lacking) AS either
GROUP BY entity_uid
"""


@cache
def _statements(model: type[Versioned]) -> tuple[str, str, str]:
    types = column_types(model)
    key = ["entity_uid", *([model.code_column] if model.code_column else []), "valid_from"]
    names = {
        "table": model._meta.db_table,
        "place": ", ".join(f"{column} {types[column]}" for column in key),
        "same": " AND ".join(f"t.{column} = d.{column}" for column in key),
        "columns": ", ".join(types),
        "typed": ", ".join(f"{column} {kind}" for column, kind in types.items()),
    }
    return _DELETE.format(**names), _END.format(**names), _INSERT.format(**names)


@cache
def column_types(model: type[models.Model]) -> dict[str, str]:
    """Return ``{column: its PostgreSQL type}`` of the columns that are written."""
    return {
        str(column.column): str(column.db_type(connection))
        for column in model._meta.concrete_fields
        if not isinstance(column, models.GeneratedField | models.CompositePrimaryKey)
    }


def apply(model: type[Versioned], difference: Difference) -> None:
    """Write the difference of one table."""
    delete, end, insert = _statements(model)
    code = model.code_column
    if difference.gone:
        sql.execute(delete, [json.dumps([_place(code, place) for place in difference.gone])])
    if difference.ended:
        ended = [{**_place(code, place), "valid_to": _time(to)} for place, to in difference.ended]
        sql.execute(end, [json.dumps(ended)])
    if difference.new:
        sql.execute(insert, [json.dumps([_row(code, uid, new) for uid, new in difference.new])])


def present(model: type[Versioned], uids: Iterable[UUID]) -> dict[Place, tuple[object, ...]]:
    """Return ``{place: (valid_to, event_id, hashdiff)}`` of the versions now stored."""
    query = _PRESENT.format(table=model._meta.db_table, code=model.code_column or "''")
    return {
        (uid, code, to_micros(begun)): (end and to_micros(end), event_id, hashed)
        for uid, code, begun, end, event_id, hashed in sql.execute(query, [list(uids)]).rows()
    }


def difference(
    have: Mapping[Place, tuple[object, ...]], want: Mapping[Place, tuple[UUID, Version]]
) -> Difference:
    """Return what turns the versions ``have`` into ``want``."""
    result = Difference(gone=[place for place in have if place not in want])
    for place, (uid, version) in want.items():
        if place not in have:
            result.new.append((uid, version))
            continue
        end, event_id, hashed = have[place]
        if event_id != version.event_id or hashed != hashdiff(version.values):
            result.gone.append(place)
            result.new.append((uid, version))
        elif end != version.valid_to:
            result.ended.append((place, version.valid_to))
    return result


def differing(
    model: type[models.Model], uids: Iterable[UUID], want: Mapping[UUID, Sequence[Fields]]
) -> dict[UUID, int]:
    """Return ``{entity: rows that differ}`` where other rows stand than ``want``.

    Compared value by value: ``difference`` takes a row's word, its hash, for what it holds; one
    that was changed by hand lies.
    """
    query = _DIFFERING.format(table=model._meta.db_table, typed=_typed(model))
    return dict(sql.execute(query, [list(uids), json.dumps(_flat(want))]).rows())


def replace_rows(model: type[models.Model], rows: Mapping[UUID, Sequence[Fields]]) -> None:
    """Put ``rows`` in place of all rows these entities have in ``model``."""
    table, new = model._meta.db_table, _flat(rows)
    sql.execute(f"DELETE FROM {table} WHERE entity_uid = ANY(%s)", [list(rows)])
    if new:
        names = ", ".join(f'"{name}"' for name in column_types(model))
        insert = _INSERT.format(table=table, columns=names, typed=_typed(model))
        sql.execute(insert, [json.dumps(new)])


def row_of(model: type[Versioned], uid: UUID, version: Version) -> Fields:
    """Return the row that a version is in ``model``."""
    return _row(model.code_column, uid, version)


def _typed(model: type[models.Model]) -> str:
    return ", ".join(f'"{name}" {kind}' for name, kind in column_types(model).items())


def _flat(rows: Mapping[UUID, Sequence[Fields]]) -> list[Fields]:
    return [{"entity_uid": str(uid), **row} for uid, wanted in rows.items() for row in wanted]


def _place(code: str, place: Place) -> dict[str, object]:
    named = {code: place[1]} if code else {}
    return {"entity_uid": str(place[0]), **named, "valid_from": _time(place[2])}


def _row(code: str, uid: UUID, version: Version) -> dict[str, object]:
    return {
        **_place(code, (uid, version.key.code, version.valid_from)),
        "valid_to": _time(version.valid_to),
        "event_id": str(version.event_id),
        "hashdiff": "\\x" + hashdiff(version.values).hex(),
        **version.values,
    }


def _time(micros: int | None) -> str | None:
    return None if micros is None else to_datetime(micros).isoformat()
