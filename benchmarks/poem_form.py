"""Quatrains of a poem model: form, rhyme, copies, with the form held to and without.

    python benchmarks/poem_form.py runs/poems [N]

First lines are those of held-out poems of one length. Without the form a text is cut after its fourth line, since poems of the
training text are of any length.
"""

from __future__ import annotations

import platform
import sys
from pathlib import Path

import torch

import hanmo
from hanmo.corpora.documents import read_documents
from hanmo.evaluation.written_texts import text_figures, verse_lines


def first_lines(run: Path, length: int) -> list[str]:
    """Of held-out poems whose lines all have this length."""
    poems = [document.text for document in read_documents(run / "corpus" / "heldout.jsonl.gz")]
    regular = [text for text in poems if {len(line) for line in verse_lines(text)} == {length}]
    return sorted({verse_lines(text)[0] + "，" for text in regular})


def cut(text: str) -> str:
    """The first two couplets."""
    return "\n".join(text.split("\n")[:2])


def main() -> None:
    """Print the figures."""
    run, n = Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 100
    lm = hanmo.load(run / "model", device="cpu")
    documents = read_documents(run / "corpus" / "train.jsonl.gz")
    known = {line for document in documents for line in verse_lines(document.text)}
    print(f"{platform.processor() or platform.machine()}, torch {torch.__version__}, {len(known):,} lines in training")
    for length in (5, 7):
        begun = first_lines(run, length)
        prompts = [begun[number % len(begun)] for number in range(n)]
        for form in (f"{length}x4", None):
            texts = [
                cut(lm.generate(prompt, form=form, seed=seed, temperature=0.8, top_p=0.95, max_new_tokens=90))
                for seed, prompt in enumerate(prompts)
            ]
            found = text_figures(texts, prompts=prompts, form=f"{length}x4", known_lines=known)
            told = ", ".join(f"{name} {value:.3f}" for name, value in found.items() if name != "texts")
            print(f"{length} characters, {len(begun)} first lines, {'held to' if form else 'free'}: {told}")
            print("\n".join(prompt + text for prompt, text in zip(prompts[:2], texts[:2], strict=True)))


if __name__ == "__main__":
    main()
