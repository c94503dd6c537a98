"""A model that answers in conversations, stage by stage."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hanmo.stories.decoder_model import build_decoder
from hanmo.stories.dialogue_recipe import DialogueRecipe
from hanmo.stories.task_story import Judged, Learning, TaskWork

if TYPE_CHECKING:
    from hanmo.tasks.chat_settings import ChatSettings
    from hanmo.tasks.dialogue_examples import Dialogue
    from hanmo.tasks.dialogue_learning import EncodedDialogue
    from hanmo.tasks.language_model import LanguageModel
    from hanmo.tasks.splits import Splits
    from hanmo.tokenizers.tokenizer import Tokenizer

__all__ = ["DialogueWork", "with_template"]


class DialogueWork(TaskWork[DialogueRecipe, "LanguageModel"]):
    """See above."""

    noun = "conversations"
    verb = "chat"
    example = "{model}"

    def read(self) -> Splits[Dialogue]:
        from hanmo.tasks.dialogue_examples import read_dialogues

        return read_dialogues(self.recipe.data, seed=self.recipe.seed)

    def build(self, splits: Splits[Dialogue]) -> LanguageModel:
        from hanmo.tasks.dialogue_learning import check_template, encode_dialogues, ends_of_answers
        from hanmo.tokenizers.default_templates import CHAT_TOKENS

        # with the roles, which a template writes once a turn: a Chinese tokenizer would spell "assistant" letter by letter
        texts = (
            text for example in splits.train for message in example.messages for text in (message.role, message.content)
        )
        lm = build_decoder(self.recipe.model, texts, special_tokens=CHAT_TOKENS, seed=self.recipe.seed)
        tokenizer = with_template(lm.tokenizer, self.recipe.chat)
        check_template(splits.train, tokenizer)
        some, _ = encode_dialogues(splits.train[:1], tokenizer, self.recipe.chat, max_len=None)
        return lm.with_chat(tokenizer, ends_of_answers(some, tokenizer))

    def learn(self, model: LanguageModel, splits: Splits[Dialogue]) -> Learning:
        from hanmo.batches.packed_rows import PACKED_FILLS, next_token_row, pack_rows
        from hanmo.batches.padded_rows import PaddedRows
        from hanmo.tasks.causal_lm import causal_lm_loss
        from hanmo.tasks.dialogue_figures import glance_at_answers
        from hanmo.tasks.dialogue_learning import ends_of_answers, shown_row

        recipe = self.recipe
        train, notes = self._encoded(model, splits.train)
        ends_of_answers(train, model.tokenizer)
        dev, of_dev = self._encoded(model, splits.dev)
        of_test = self._encoded(model, splits.test)[1] if splits.test else Counter[str]()
        notes.update(
            {f"{name}: {note}": n for name, found in (("dev", of_dev), ("test", of_test)) for note, n in found.items()}
        )
        rows = [next_token_row(one.row.ids, one.row.learned) for one in train]
        if recipe.chat.packed:
            rows = pack_rows(rows, max_len=self._max_len(model))
        fills = PACKED_FILLS | {"input_ids": model.fill_id}
        return Learning(
            batches=PaddedRows(rows, fills=fills, batch_size=recipe.batch_size, seed=recipe.seed),
            loss=causal_lm_loss,
            watch=lambda: glance_at_answers(model, dev),
            notes=notes,
            shown=shown_row(train[0], model.tokenizer),
            unit="tokens",
        )

    def opened(self, model: Any, where: object) -> LanguageModel:
        from hanmo.tasks.opened import as_language_model

        lm = as_language_model(model, where)
        if lm.tokenizer.chat_template is not None:
            return lm
        return lm.with_chat(with_template(lm.tokenizer, self.recipe.chat), ())

    def read_test(self, model: LanguageModel, notes: Counter[str]) -> list[Dialogue]:
        from hanmo.tasks.dialogue_examples import read_conversations

        assert self.recipe.data.test is not None
        return read_conversations(self.recipe.data, self.recipe.data.test, notes)

    def watched(self, splits: Splits[Dialogue]) -> tuple[str, ...]:
        return ("error", "perplexity")

    def classes(self, example: Dialogue) -> Iterable[str]:
        return [message.role for message in example.messages if message.role == "assistant"]

    def judge(self, model: LanguageModel, splits: Splits[Dialogue], name: str) -> Judged:
        from hanmo.tasks.dialogue_figures import answers_to_last, dialogue_figures, dialogue_records

        rows, _ = self._encoded(model, getattr(splits, name))
        asked = [one for one in rows if one.whole]
        rest = [one for one in rows if not one.whole]
        some = asked[: self.recipe.answers.n_answers]
        told = answers_to_last(model, some, self.recipe.answers, seed=self.recipe.seed) if some else []
        return Judged(
            figures=dialogue_figures(model, [*asked, *rest], told, other=self._other([*asked, *rest])),
            records=dialogue_records(some, told),
        )

    def _max_len(self, model: LanguageModel) -> int:
        return min(self.recipe.chat.max_len or model.config.max_len, model.config.max_len)

    def _encoded(self, model: LanguageModel, dialogues: list[Dialogue]) -> tuple[list[EncodedDialogue], Counter[str]]:
        from hanmo.tasks.dialogue_learning import encode_dialogues

        return encode_dialogues(dialogues, model.tokenizer, self.recipe.chat, max_len=self._max_len(model))

    def _other(self, rows: list[EncodedDialogue]) -> list[float] | None:
        """How likely for each byte another model finds the answers, in words of its own; None if there is none."""
        from hanmo.stories.decoder_model import open_decoder
        from hanmo.tasks.chat_settings import ChatSettings
        from hanmo.tasks.dialogue_figures import logprobs_per_byte
        from hanmo.tasks.dialogue_learning import encode_dialogues

        if self.recipe.answers.against is None:
            return None
        other = open_decoder(self.recipe.answers.against)
        tokenizer = with_template(other.tokenizer, ChatSettings())
        settings = ChatSettings(overlong="error")
        encoded, _ = encode_dialogues([one.dialogue for one in rows], tokenizer, settings, max_len=other.config.max_len)
        return logprobs_per_byte(other.with_chat(tokenizer, ()), encoded)


def with_template(tokenizer: Tokenizer, settings: ChatSettings) -> Tokenizer:
    """The same tokenizer with the chat template that was asked for, or one that fits it if it has none."""
    from hanmo.tokenizers.default_templates import DEFAULT_TEMPLATES, default_template

    name = settings.template
    if name is None and tokenizer.chat_template is not None:
        return tokenizer
    name = name or default_template(tokenizer)
    template = DEFAULT_TEMPLATES[name] if name in DEFAULT_TEMPLATES else Path(name).read_text(encoding="utf-8")
    return tokenizer.with_chat_template(template)
