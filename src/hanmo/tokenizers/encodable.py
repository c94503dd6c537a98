"""What can be encoded: strings of whole characters."""

from __future__ import annotations

from hanmo.core.errors import DataError

__all__ = ["is_encodable", "not_encodable"]


def is_encodable(text: object) -> bool:
    """Whether this is a string without half a surrogate pair."""
    if not isinstance(text, str):
        return False
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def not_encodable(number: int | None) -> DataError:
    """For a text, by its number, that is none."""
    return DataError(
        "cannot encode what is not a string, or a string with half a surrogate pair",
        where=f"text {number}",
        remedy="Repair it first, for instance with text.encode('utf-8', 'replace').decode().",
    )
