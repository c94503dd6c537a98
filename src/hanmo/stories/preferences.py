"""A model that learns from preferences, stage by stage."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from hanmo.core.files import read_json, sha256_file, sha256_text, write_json
from hanmo.stories.decoder_model import open_decoder
from hanmo.stories.dialogue import with_template
from hanmo.stories.preferences_recipe import PreferencesRecipe
from hanmo.stories.task_story import Judged, Learning, TaskWork

if TYPE_CHECKING:
    from hanmo.tasks.language_model import LanguageModel
    from hanmo.tasks.preference_examples import PreferencePair
    from hanmo.tasks.preference_learning import EncodedPair
    from hanmo.tasks.splits import Splits

__all__ = ["PreferencesWork"]

_REFERENCE = "reference.json"
"""Log-probabilities before training, in the run folder: a session that goes on must not take them of a trained model."""


class PreferencesWork(TaskWork[PreferencesRecipe, "LanguageModel"]):
    """See above."""

    noun = "pairs"
    verb = "chat"
    example = "{model}"

    def read(self) -> Splits[PreferencePair]:
        from hanmo.tasks.preference_examples import read_preferences

        return read_preferences(self.recipe.data, seed=self.recipe.seed)

    def build(self, splits: Splits[PreferencePair]) -> LanguageModel:
        from hanmo.core.seeds import seed_everything
        from hanmo.tasks.chat_settings import ChatSettings

        seed_everything(self.recipe.seed)
        lm = open_decoder(self.recipe.model.checkpoint)
        if all(isinstance(pair.prompt, str) for pair in splits.train):
            return lm
        return lm.with_chat(with_template(lm.tokenizer, ChatSettings(template=self.recipe.model.template)), ())

    def learn(self, model: LanguageModel, splits: Splits[PreferencePair]) -> Learning:
        from hanmo.batches.padded_rows import PaddedRows
        from hanmo.tasks.preference_figures import glance_at_preferences
        from hanmo.tasks.preference_learning import preference_fills, preference_loss, preference_rows, score_pairs

        recipe = self.recipe
        encoded: dict[str, list[EncodedPair]] = {}
        notes: Counter[str] = Counter()
        for name in ("train", "dev", "test"):
            if getattr(splits, name):
                encoded[name], found = self._encoded(model, splits, name)
                notes.update({(note if name == "train" else f"{name}: {note}"): n for note, n in found.items()})
        known = self._reference(model, encoded)
        rows = preference_rows(encoded["train"], known["train"])
        return Learning(
            batches=PaddedRows(
                rows, fills=preference_fills(model.fill_id), batch_size=recipe.batch_size, seed=recipe.seed
            ),
            loss=preference_loss(recipe.preferences),
            watch=lambda: glance_at_preferences(
                score_pairs(model.model, encoded["dev"]), known["dev"], recipe.preferences
            ),
            notes=notes,
            unit="pairs",
        )

    def opened(self, model: Any, where: object) -> LanguageModel:
        from hanmo.tasks.opened import as_language_model

        return as_language_model(model, where)

    def read_test(self, model: LanguageModel, notes: Counter[str]) -> list[PreferencePair]:
        from hanmo.tasks.preference_examples import read_test_preferences

        return read_test_preferences(self.recipe.data, notes)

    def watched(self, splits: Splits[PreferencePair]) -> tuple[str, ...]:
        return ("error", "accuracy", "margin")

    def classes(self, example: PreferencePair) -> Iterable[str]:
        return ("chosen",)

    def judge(self, model: LanguageModel, splits: Splits[PreferencePair], name: str) -> Judged:
        from hanmo.tasks.preference_figures import preference_figures, preference_records
        from hanmo.tasks.preference_learning import score_pairs

        settings = self.recipe.preferences
        pairs, _ = self._encoded(model, splits, name)
        reference = self._reference(None, {name: pairs})[name]
        scores = score_pairs(model.model, pairs)
        return Judged(
            figures=preference_figures(scores, reference, settings),
            records=preference_records(pairs, scores, reference, settings),
        )

    def _encoded(
        self, model: LanguageModel, splits: Splits[PreferencePair], name: str
    ) -> tuple[list[EncodedPair], Counter[str]]:
        from hanmo.tasks.preference_learning import encode_pairs

        return encode_pairs(getattr(splits, name), model, self.recipe.preferences)

    def _reference(
        self, untrained: LanguageModel | None, encoded: dict[str, list[EncodedPair]]
    ) -> dict[str, list[tuple[float, float]]]:
        """Log-probabilities of both answers before training: those that the run folder has, else computed and kept there.

        Args:
            untrained: the model as it was opened; opened again if None and something is missing.
            encoded: pairs by the name of their split.
        """
        from hanmo.core.devices import pick_device
        from hanmo.core.progress import say
        from hanmo.models.adapters import adapter_sets
        from hanmo.tasks.preference_learning import score_pairs

        file = None if self.folder is None else self.folder / _REFERENCE
        held: dict[str, Any] = read_json(file) if file is not None and file.exists() else {}
        identity = {name: self._identity(pairs) for name, pairs in encoded.items()}
        missing = [name for name in encoded if held.get(name, {}).get("identity") != identity[name]]
        if missing:
            before = untrained or open_decoder(self.recipe.model.checkpoint)
            before.model.to(pick_device(self.recipe.device))
            with ExitStack() as stack:
                for adapters in adapter_sets(before.model):  # virtual tokens change what is said, fresh as they are
                    stack.enter_context(adapters.disabled())
                for name in missing:
                    say(f"{len(encoded[name]):,} {name} pairs: how likely their answers are before training")
                    held[name] = {"identity": identity[name], "logprobs": score_pairs(before.model, encoded[name])}
            if file is not None:
                write_json(file, held)
        return {name: [(pair[0], pair[1]) for pair in held[name]["logprobs"]] for name in encoded}

    def _identity(self, pairs: list[EncodedPair]) -> str:
        """What the log-probabilities depend on: weights and ids."""
        from hanmo.models.hub import find_model

        folder = find_model(self.recipe.model.checkpoint)
        weights = [sha256_file(path) for path in sorted(folder.glob("*.safetensors"))]
        ids = [(one.chosen.ids, one.chosen.learned, one.rejected.ids, one.rejected.learned) for one in pairs]
        return sha256_text(f"{weights} {ids}")
