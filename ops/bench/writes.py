"""Columns (a) and (b): what one changed detail costs."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Mapping
from itertools import count
from typing import Any
from uuid import UUID

from django.db import connection, models, transaction
from django.forms.models import model_to_dict

from customers import commands
from customers.models import EntityDetail
from events import guard, projection, sql
from events.fold import RowKey, Version
from events.stamp import to_micros, uuid7
from ops.bench import people
from ops.bench.rivals.models import OutboxRow, PgPerson, PlainPerson, SimplePerson
from ops.bench.timing import Variant

A_TRANSACTION = 100  # statements in one transaction for (a); (b) commits each


def objects(model: type[models.Model]) -> models.Manager[Any]:
    """Return the manager a rival's user would use."""
    return model.objects  # type: ignore[attr-defined, no-any-return]


def enter_rivals(numbers: list[int]) -> None:
    """Enter the same people in the tables of all rivals."""
    for model in (PlainPerson, SimplePerson, PgPerson):
        objects(model).bulk_create(
            [model(uid=people.uid(n), display_name=str(n), **people.values(n)) for n in numbers],
            batch_size=500,
        )


def projection_variants(numbers: list[int]) -> dict[str, Variant]:
    """Return (a): closing one version and opening the next, against a plain UPDATE."""
    picked = _picker(numbers)
    texts = _texts()

    def plain(_: int) -> int:
        with transaction.atomic(), connection.cursor() as cursor:
            for _n in range(A_TRANSACTION):
                cursor.execute(
                    "UPDATE rivals_plainperson SET phone = %s WHERE uid = %s",
                    [next(texts), people.uid(next(picked))],
                )
        return A_TRANSACTION

    def versioned(_: int) -> int:
        chosen = [next(picked) for _n in range(A_TRANSACTION)]
        begun = {
            uid: to_micros(valid_from)
            for uid, valid_from in EntityDetail.objects.filter(
                entity_uid__in=[people.uid(n) for n in chosen],
                detail_code="phone",
                valid_to__isnull=True,
            ).values_list("entity_uid", "valid_from")
        }
        return _apply_all(begun, texts)

    return {"plain UPDATE": plain, "projection statement": versioned}


def _apply_all(begun: Mapping[UUID, int], texts: Iterator[str]) -> int:
    with transaction.atomic(), sql.pipelined():
        sql.execute(guard.SET_MARK)
        for uid, since in begun.items():
            now = time.time_ns() // 1000
            difference = projection.Difference()
            difference.ended.append(((uid, "phone", since), now))
            version = Version(
                RowKey("detail", "phone"), now, None, {"value": {"value": next(texts)}}, uuid7(now)
            )
            difference.new.append((uid, version))
            projection.apply(EntityDetail, difference)
    return len(begun)


def command_variants(numbers: list[int], commits: int) -> dict[str, Variant]:
    """Return (b): one committed change of one detail, by each means."""
    picked, texts = _picker(numbers), _texts()

    def repeated(change: Callable[[int, str], None]) -> Variant:
        def variant(_: int) -> int:
            for _n in range(commits):
                change(next(picked), next(texts))
            return commits

        return variant

    return {
        "committed UPDATE": repeated(_update),
        "save(), no history": repeated(lambda n, text: _save(PlainPerson, n, text)),
        "save(), django-simple-history": repeated(lambda n, text: _save(SimplePerson, n, text)),
        "save(), django-pghistory + outbox": repeated(lambda n, text: _save(PgPerson, n, text)),
        "change_customer()": repeated(_change),
    }


def _update(n: int, text: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE rivals_plainperson SET phone = %s WHERE uid = %s", [text, people.uid(n)]
        )


def _save(model: type[models.Model], n: int, text: str) -> None:
    with transaction.atomic():
        person = objects(model).get(uid=people.uid(n))
        person.phone = text
        person.save()
        if model is PgPerson:
            objects(OutboxRow).create(payload=_payload(person))


def _payload(person: models.Model) -> dict[str, str]:
    return {name: str(value) for name, value in model_to_dict(person).items()}


def _change(n: int, text: str) -> None:
    commands.change_customer(people.uid(n), {"phone": text}, people.author())


def _picker(numbers: list[int]) -> Iterator[int]:
    rng = random.Random(7)
    return (rng.choice(numbers) for _ in count())


def _texts() -> Iterator[str]:
    start = time.time_ns()
    return (f"+{start + n}" for n in count())
