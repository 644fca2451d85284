"""Live = replay: what stands in the tables is what a fold of all events from scratch gives."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from uuid import UUID

from django.db.models import Model

from events import heads, log, projection
from events.conflicts import conflicts
from events.fold import Folded, Version, fold, is_deleted
from events.models import Conflict, EntityHead
from events.projection import Place
from events.refold import has_open_voids
from events.registry import Kind, kinds


def assert_replay_is_live() -> None:
    """Fold every entity anew and compare versions, memos, conflicts and derived rows."""
    by_kind: dict[str, list[UUID]] = defaultdict(list)
    for uid, name in EntityHead.objects.values_list("entity_uid", "kind"):
        by_kind[name].append(uid)
    for kind in kinds():
        _compare(kind, by_kind[kind.name])


def _compare(kind: Kind, uids: list[UUID]) -> None:
    live = heads.read(uids)
    wanted: dict[str, dict[Place, Version]] = defaultdict(dict)
    items: set[tuple[object, ...]] = set()
    for uid, events in log.load(uids).items():
        folded: Folded = fold(events, kind.rows)
        assert live[uid].memo == folded.memo
        for version in folded.versions:
            wanted[version.key.table][uid, version.key.code, version.valid_from] = version
        found = conflicts(events)
        assert live[uid].has_closing_conflicts == any(item.is_closing for item in found)
        assert live[uid].has_open_voids == has_open_voids(events)
        items |= {(uid, c.item_id, c.group, c.earlier, c.later, c.resolved_by) for c in found}
    for label, model in kind.tables.items():
        want = {place: (place[0], version) for place, version in wanted[label].items()}
        difference = projection.difference(projection.present(model, uids), want)
        assert (difference.gone, difference.ended, difference.new) == ([], [], []), label
    columns = ("entity_uid", "item_id", "group", "earlier", "later", "resolved_by")
    assert set(Conflict.objects.filter(entity_uid__in=uids).values_list(*columns)) == items
    for derived in kind.derived:
        _compare_derived(derived.model, {
            uid: [] if is_deleted(head.memo.state) else list(derived.rows(head.memo.state))
            for uid, head in live.items()
        })  # fmt: skip


def _compare_derived(model: type[Model], wanted: Mapping[UUID, Sequence[object]]) -> None:
    names = [c.column for c in model._meta.concrete_fields if c.column and c.column != "entity_uid"]
    stored: dict[UUID, list[dict[str, object]]] = {uid: [] for uid in wanted}
    for row in model._default_manager.filter(entity_uid__in=list(wanted)):
        stored[row.entity_uid].append({name: getattr(row, name) for name in names})  # type: ignore[attr-defined]
    for uid, rows in wanted.items():
        assert sorted(map(repr, stored[uid])) == sorted(map(repr, rows))
