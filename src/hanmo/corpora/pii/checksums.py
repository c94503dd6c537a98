"""Checksums and dates that tell a number of a person from any other number of the same length."""

from __future__ import annotations

import calendar

__all__ = ["is_date", "luhn_holds", "resident_id_holds"]

_DIVISIONS = "11 12 13 14 15 21 22 23 31 32 33 34 35 36 37 41 42 43 44 45 46 50 51 52 53 54 61 62 63 64 65 71 81 82 83"
_PROVINCES = frozenset(_DIVISIONS.split())  # the first two digits of the codes of GB/T 2260
_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_CHECK_CHARACTERS = "10X98765432"


def luhn_holds(digits: str) -> bool:
    """Whether the last digit is the check digit of the others (ISO/IEC 7812-1, annex B).

    Args:
        digits: ASCII digits only.
    """
    total = sum(map(int, digits[-1::-2]))
    for digit in digits[-2::-2]:
        total += sum(divmod(2 * int(digit), 10))
    return total % 10 == 0


def is_date(year: int, month: int, day: int) -> bool:
    """Whether the calendar has this day, in a year in which somebody alive may have been born."""
    return 1880 <= year <= 2099 and 1 <= month <= 12 and 1 <= day <= calendar.monthrange(year, month)[1]


def resident_id_holds(number: str) -> bool:
    """Whether this is a resident identity number: division, date of birth and check character (GB 11643-1999).

    Args:
        number: 18 characters, or the 15 digits of the form without century and check character that was issued until 1999.
    """
    if number[:2] not in _PROVINCES:
        return False
    if len(number) == 15:
        return is_date(1900 + int(number[6:8]), int(number[8:10]), int(number[10:12]))
    if not is_date(int(number[6:10]), int(number[10:12]), int(number[12:14])):
        return False
    total = sum(weight * int(digit) for weight, digit in zip(_WEIGHTS, number[:17], strict=True))
    return _CHECK_CHARACTERS[total % 11] == number[17].upper()
