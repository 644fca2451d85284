"""People made up from lists of names: the n-th is the same person every time, everywhere."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Final

from customers.files import Row, Table

Names = Mapping[str, Sequence[str]]  # {"name": […], "surname": […]}

OLDEST: Final = date(1935, 1, 1)
DAYS: Final = 70 * 365
COLUMNS: Final = ("id", "name", "surname", "dob", "document_number", "email")


def extras(number: int, countries: Mapping[str, Names]) -> Table:
    """Return ``number`` people; ``countries`` maps a country's code to its names."""
    return Table(COLUMNS, [_person(n, countries) for n in range(1, number + 1)], place="extra")


def _person(n: int, countries: Mapping[str, Names]) -> Row:
    # Seeded by n alone: a longer list begins with the shorter one.
    chance = random.Random(n)
    code = chance.choice(sorted(countries))
    names = countries[code]
    born = OLDEST + timedelta(days=chance.randrange(DAYS))
    return Row(
        n,
        {
            "id": str(n),
            "name": chance.choice(names["name"]),
            "surname": chance.choice(names["surname"]),
            "dob": born.isoformat(),
            "document_number": f"{code}{chance.randrange(10**8):08}",
            "email": f"extra{n}@example.org",
        },
    )
