"""What the core is told of customers: their events, and the rows that a state makes."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from functools import cache
from typing import Any

from customers.models import DetailType, Entity, EntityDetail, EntityType, SearchKey
from customers.normalize import SEARCHED_CODES, fold_text
from events.fold import DELETED, Row, RowKey, State
from events.registry import (
    STRUCTURAL_GROUPS,
    Derived,
    GenesisEntity,
    Kind,
    register,
    wide_rows,
)
from events.versions import BOOLEAN, DATE, INTEGER, TEXT, UID

ENTITY_TYPES = {"PERSON": "Person", "INSTITUTION": "Institution"}

# code: (label, type of value, searchable, genesis number for ever)
DETAIL_TYPES = {
    "surname": ("Surname", "text", True, 1),
    "name": ("Name", "text", True, 2),
    "dob": ("Date of birth", "date", True, 3),
    "document_number": ("Document number", "document_number", True, 4),
    "phone": ("Phone", "phone", False, 5),
    "email": ("E-mail", "email", False, 6),
    "company": ("Company", "text", False, 7),
    "notes": ("Notes", "text", False, 8),
    "owner": ("Owner", "member", False, 9),
}

# The form of a detail's value, by the type of its detail type; the others are text.
_FORMS = {"date": DATE, "member": UID}

_ENTITY = RowKey("entity", "")
_NAMED_BY = ("name", "surname", "company", "document_number", "email", "phone")
_NAMING = frozenset({"type", "display_name", "merged_into", *_NAMED_BY})
_NOT_DETAILS = STRUCTURAL_GROUPS | {"display_name"}


def display_name(state: State) -> str:
    """Return the name set by hand, else one made of name and surname, company or number."""

    def value(group: str) -> str:
        return str(state.get(group, {}).get("value") or "")

    return (
        value("display_name")
        or " ".join(part for part in (value("name"), value("surname")) if part)
        or value("company")
        or value("document_number")
        or value("email")
        or value("phone")
    )


def entity_rows(state: State, groups: Collection[str] | None = None) -> Iterable[Row]:
    """Return the narrow row, and a row for each detail that has a value."""
    if groups is None or not _NAMING.isdisjoint(groups):
        yield _narrow_row(state)
    for group, fields in state.items():
        if group in _NOT_DETAILS or (groups is not None and group not in groups):
            continue
        if fields.get("value") is not None:
            key, feeding = _detail(group)
            yield Row(key, feeding, {"value": fields})


def _narrow_row(state: State) -> Row:
    return Row(
        _ENTITY,
        _NAMING,
        {
            "entity_type": state.get("type", {}).get("value") or "PERSON",
            "display_name": display_name(state),
            "merged_into": state.get("merged_into", {}).get("value"),
        },
    )


@cache
def _detail(code: str) -> tuple[RowKey, frozenset[str]]:
    return RowKey("detail", code), frozenset({code})


def search_keys(state: State) -> Iterable[Mapping[str, Any]]:
    """Return the present values of the searched details, folded."""
    for code in SEARCHED_CODES:
        value = state.get(code, {}).get("value")
        if value is not None:
            yield {"detail_code": code, "folded": fold_text(code, str(value))}


def _coded_rows(table: str, columns: tuple[str, ...]) -> Any:
    return wide_rows(table, {"definition": columns})


ENTITY = Kind(
    name="customers.entity",
    event_types={
        "customers.entity_created": 1,
        "customers.details_changed": 1,
        "customers.entity_deleted": 1,
        "customers.entity_restored": 1,
        "customers.conflict_resolved": 1,
    },
    tables={"entity": Entity, "detail": EntityDetail},
    rows=entity_rows,
    derived=(Derived(SearchKey, frozenset({*SEARCHED_CODES, DELETED}), search_keys),),
    groups={
        "type": {"value": TEXT},
        "display_name": {"value": TEXT},
        **{
            code: {"value": _FORMS.get(value_type, TEXT)}
            for code, (_, value_type, *_) in DETAIL_TYPES.items()
        },
    },
)

ENTITY_TYPE = Kind(
    name="customers.entity_type",
    event_types={"customers.entity_type_defined": 1},
    tables={"entity_type": EntityType},
    rows=_coded_rows("entity_type", ("code", "label")),
    clear_groups=STRUCTURAL_GROUPS | {"definition"},
    genesis=tuple(
        GenesisEntity(n, code, {"definition": {"code": code, "label": ENTITY_TYPES[code]}})
        for n, code in ((1, "PERSON"), (2, "INSTITUTION"))
    ),
    genesis_type="customers.entity_type_defined",
    groups={"definition": {"code": TEXT, "label": TEXT}},
)

DETAIL_TYPE = Kind(
    name="customers.detail_type",
    event_types={"customers.detail_type_defined": 1},
    tables={"detail_type": DetailType},
    rows=_coded_rows(
        "detail_type",
        ("code", "label", "value_type", "is_personal", "is_searchable", "position"),
    ),
    clear_groups=STRUCTURAL_GROUPS | {"definition"},
    genesis=tuple(
        GenesisEntity(
            n,
            code,
            {
                "definition": {
                    "code": code,
                    "label": label,
                    "value_type": value_type,
                    "is_personal": True,
                    "is_searchable": searchable,
                    "position": n,
                }
            },
        )
        for code, (label, value_type, searchable, n) in DETAIL_TYPES.items()
    ),
    genesis_type="customers.detail_type_defined",
    groups={
        "definition": {
            "code": TEXT,
            "label": TEXT,
            "value_type": TEXT,
            "is_personal": BOOLEAN,
            "is_searchable": BOOLEAN,
            "position": INTEGER,
        }
    },
)


def register_kinds() -> None:
    """Register the kinds of this module, once, when Django has loaded it."""
    for kind in (ENTITY, ENTITY_TYPE, DETAIL_TYPE):
        register(kind)
