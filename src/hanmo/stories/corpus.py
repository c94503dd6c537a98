"""A corpus from a recipe, or from a folder as it is, with its data card."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from hanmo import __version__
from hanmo.core.errors import ConfigError
from hanmo.core.files import check_replaceable
from hanmo.core.settings import apply_overrides, check_settings, load_settings
from hanmo.corpora.build import build_corpus
from hanmo.corpora.executors import Executor, Ray
from hanmo.corpora.report import CorpusReport
from hanmo.evaluation.corpus_card import write_corpus_card
from hanmo.stories.corpus_recipe import CorpusRecipe
from hanmo.stories.perplexity import load_scorer

__all__ = ["BuiltCorpus", "build", "read_recipe"]


@dataclass(frozen=True)
class BuiltCorpus:
    """Where a corpus is, and what came of its sources."""

    folder: Path
    report: CorpusReport

    @property
    def card(self) -> Path:
        """The data card."""
        return self.folder / "card.html"

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {"folder": str(self.folder), "card": str(self.card), **self.report.to_json()}

    def summary(self) -> str:
        """What to look at, and how to go on."""
        report = self.report
        characters = report.train.characters + report.heldout.characters
        lines = [
            f"{report.documents_kept:,} of {report.documents_read:,} documents, {characters:,} characters, "
            f"in {report.seconds:,.1f} s",
            f"  corpus     {self.folder / report.train.file}, {report.heldout.file}",
            f"  data card  {self.card}",
            f"  train      hanmo quickstart --corpus {self.folder}",
        ]
        return "\n".join(lines)


def read_recipe(source: str | Path, overrides: Sequence[str] = ()) -> CorpusRecipe:
    """Read a recipe (.toml); a folder, a file of text or "stdlib" becomes the recipe of a corpus of that alone.

    Raises:
        ConfigError: naming every problem, with file, line and key.
    """
    if Path(source).suffix == ".toml" and not Path(source).is_dir():
        return load_settings(CorpusRecipe, source, overrides)
    name = "".join(char if char.isalnum() or char in "_-." else "-" for char in Path(source).resolve().name)[:64]
    values = {"name": name or "corpus", "sources": [{"path": str(source)}]}
    return check_settings(CorpusRecipe, apply_overrides(values, overrides), overrides=overrides)


def build(
    source: str | Path,
    *,
    overrides: Sequence[str] = (),
    out: str | Path | None = None,
    n_workers: int | None = None,
    executor: Literal["local", "ray"] | Executor = "local",
    address: str = "auto",
    lang: Literal["en", "zh"] | None = None,
) -> BuiltCorpus:
    """Build a corpus and its data card; a build that was stopped goes on.

    Args:
        source: a recipe, or a folder or file of text.
        overrides: values of the recipe, `a.b=c`.
        out: folder of the corpus; corpora/NAME if not given.
        n_workers: processes of this machine; as many as there are cores if not given.
        executor: "local" for processes of this machine, "ray" for a cluster whose machines share the folder.
        address: of the cluster.
        lang: language of the data card, instead of the recipe's.

    Raises:
        ConfigError: for a recipe that cannot work, or a folder that holds something else.
        DataError: if nothing can be read, or too little is left.
        StorageError: if the disk is full or may not be written.
    """
    recipe = read_recipe(source, overrides)
    folder = Path(out) if out is not None else Path("corpora", recipe.name)
    if not (folder / ".work").is_dir():
        check_replaceable(folder, "corpus.json")
    if isinstance(executor, str):
        if executor not in ("local", "ray"):
            raise ConfigError(f"there is no executor {executor!r}", where="executor", remedy="Choose local or ray.")
        workers = Ray(address) if executor == "ray" else None
    else:
        workers = executor
    try:
        report = build_corpus(
            recipe.sources, folder, recipe.corpus, n_workers=n_workers, executor=workers, load_scorer=load_scorer
        )
    finally:
        if isinstance(executor, str) and workers is not None:
            workers.close()
    write_corpus_card(folder, title=recipe.name, lang=lang or recipe.lang, version=__version__)
    return BuiltCorpus(folder, report)
