from __future__ import annotations

from hanmo.corpora.documents import Document
from hanmo.corpora.samples import Samples


def test_those_with_the_smallest_hashes_are_held_and_no_other_is_asked_for() -> None:
    asked: list[int] = []
    noted: list[int] = []
    samples = Samples(3)

    def document(rank: int) -> Document:
        asked.append(rank)
        return Document(text="书", id=str(rank), source="甲")

    def note(rank: int) -> str:
        noted.append(rank)
        return f"near {rank}"

    for rank in [5, 2, 9, *range(10, 1000), 1]:
        samples.offer("near-duplicate", rank, lambda rank=rank: document(rank), note_of=lambda rank=rank: note(rank))
    assert [(row["id"], row["note"]) for row in samples.to_json()["near-duplicate"]] == [
        ("1", "near 1"), ("2", "near 2"), ("5", "near 5"),
    ]  # fmt: skip
    assert asked == noted == [5, 2, 9, 1]
    samples.offer("plain", 4, lambda: document(4))
    assert samples.to_json()["plain"][0]["note"] == ""
