"""Synthetic people for benchmarks: invented names and offices, spread over the sample's segments."""

from __future__ import annotations

import csv
import random
from collections.abc import Iterator
from pathlib import Path

_FIRST = ["Ada", "Björn", "Chidi", "Dana", "Elif", "Farid", "Greta", "Omar", "Zoë"]
_LAST = ["Adler", "Bakker", "Costa", "Dubois", "Eriksen", "Fischer", "Kaya", "Núñez"]
_OFFICES = [  # (weight, role, department, seniorities)
    (22, "ml engineer", "ai", "junior senior lead"),
    (4, "ml security engineer", "ai", "senior lead"),
    (3, "chief ai officer", "ai", "c-level"),
    (20, "data engineer", "data", "junior senior lead"),
    (2, "chief data officer", "data", "c-level"),
    (5, "data scientist", "product", "junior senior"),
    (16, "product manager", "product", "junior senior lead"),
    (2, "chief product officer", "product", "c-level"),
    (12, "security analyst", "security", "junior senior lead"),
    (3, "ciso", "security", "c-level"),
    (2, "data engineer", "security", "senior"),
    (5, "cto", "management", "c-level"),
    (10, "backend developer", "engineering", "junior senior lead"),
    (4, "buyer", "procurement", "junior senior lead"),
]
_BUYERS = 0.14  # share of everybody who is in procurement by hand


def rows(number: int, seed: int = 48) -> Iterator[dict[str, str]]:
    """People on domains that no mail reaches; the same ones for the same seed."""
    chance = random.Random(seed)
    weights = [weight for weight, *_ in _OFFICES]
    for n in range(number):
        _, role, department, seniorities = chance.choices(_OFFICES, weights)[0]
        yield {
            "email": f"reader{n:06d}@company-{n % 500}.example",
            "name": f"{chance.choice(_FIRST)} {chance.choice(_LAST)}",
            "segments": "procurement" if chance.random() < _BUYERS else "",
            "status": "subscribed",
            "consent_at": f"2026-{chance.randint(1, 9):02d}-{chance.randint(1, 28):02d}T09:00:00+02:00",
            "consent_source": "website form",
            "language": "en",
            "role": role,
            "department": department,
            "seniority": chance.choice(seniorities.split()),
            "company": f"Company {n % 500}",
            "country": chance.choice(["DE", "NL", "GB", "IN", "PL"]),
        }


def write(path: Path, number: int) -> Path:
    """A CSV file of as many people, as `newsletter import` takes it."""
    with path.open("w", newline="", encoding="utf-8") as file:
        people = list(rows(number))
        writer = csv.DictWriter(file, list(people[0]))
        writer.writeheader()
        writer.writerows(people)
    return path
