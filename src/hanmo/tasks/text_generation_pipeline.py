"""`pipeline("text-generation")`: texts that go on, and conversations that are answered."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hanmo.core.errors import ConfigError, DataError
from hanmo.tasks.language_model import LanguageModel
from hanmo.tasks.pipeline import Pipeline, read_text
from hanmo.tokenizers.chat import chat_ids

__all__ = ["TextGenerationPipeline"]


class TextGenerationPipeline(Pipeline):
    """A prompt, or a conversation as a list of `{"role", "content"}`; lists of either; as `transformers` has it."""

    answer_key = "generated"

    def __init__(self, lm: LanguageModel):
        self.lm = lm

    def __call__(self, inputs: Any, **options: Any) -> Any:
        """Write.

        Args:
            inputs: a text; a conversation that ends with the user; a list of either; or a stream of them.
            options: `return_full_text` (True: prompt and text, or the conversation with the answer; False: what is new),
                `num_return_sequences`, `do_sample` (False takes the most probable token each time), `stop_sequence`, and the
                fields of `GenerationSettings` or `BeamSettings`; else as generation_config.json says.

        Returns:
            For one: a list with a `{"generated_text": …}` for each sequence. For a list: a list of these.
        """
        if isinstance(inputs, list) and inputs and all(_is_message(item) for item in inputs):
            return self.answers([self.read(inputs)], **self.checked(options))[0]
        return super().__call__(inputs, **options)

    def read(self, item: Any) -> Any:
        """A text or a conversation.

        Raises:
            DataError: if it is neither, or the conversation ends with an answer.
        """
        if isinstance(item, Mapping) and "messages" in item:
            item = item["messages"]
        if not isinstance(item, list):
            return read_text(item)
        messages = [dict(message) if isinstance(message, Mapping) else message for message in item]
        ids = chat_ids(self.lm.tokenizer, messages)  # what is no conversation is named here
        if messages[-1]["role"] == "assistant":
            raise DataError(
                "the last message is the assistant's, and answers are not continued", where="messages",
                remedy="End with a message of the user.",
            )  # fmt: skip
        return _Asked(messages, ids)

    def answers(self, items: list[Any], **options: Any) -> list[list[dict[str, Any]]]:
        full = options.pop("return_full_text", True)
        settings = _settings(options)
        prompts = [item.ids if isinstance(item, _Asked) else self.lm.prompt_ids(item) for item in items]
        n = self.lm.settings(settings).n
        texts = self.lm.complete(prompts, **settings)
        return [
            [{"generated_text": _whole(item, text) if full else text} for text in (found if n > 1 else [found])]
            for item, found in zip(items, texts, strict=True)
        ]


class _Asked:
    """A conversation with its ids."""

    def __init__(self, messages: list[dict[str, Any]], ids: list[int]):
        self.messages, self.ids = messages, ids

    def __len__(self) -> int:
        return len(self.ids)


def _whole(item: Any, text: str) -> Any:
    if isinstance(item, _Asked):
        return [*item.messages, {"role": "assistant", "content": text}]
    return item + text


def _is_message(item: Any) -> bool:
    return isinstance(item, Mapping) and "role" in item


def _settings(options: dict[str, Any]) -> dict[str, Any]:
    """Names of `transformers` as ours."""
    settings = dict(options)
    for theirs, ours in {"num_return_sequences": "n", "stop_sequence": "stop"}.items():
        if theirs in settings:
            if ours in settings:
                raise ConfigError(f"{theirs} and {ours} say the same", where=theirs, remedy="Give one of them.")
            settings[ours] = settings.pop(theirs)
    return settings
