"""`hanmo chat MODEL`."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hanmo.core.errors import HanmoError

if TYPE_CHECKING:
    from hanmo.tasks.language_model import LanguageModel

__all__ = ["chat"]

_HELP = "/reset starts again, /quit (or Ctrl-D) leaves; Ctrl-C stops an answer."


def chat(
    model: Path,
    *,
    system: str | None = None,
    max_new_tokens: int | None = None,
    temperature: float | None = None,
    top_p: float | None = None,
    repetition_penalty: float | None = None,
    seed: int | None = None,
    adapter: str | None = None,
) -> int:
    """Talk to a model in the terminal; a base model continues what you write.

    What is not said is as the model's generation_config.json has it, else by defaults of this verb.

    Parameters
    ----------
    model:
        A model directory (runs/NAME/model).
    system:
        System message, for models with a chat template.
    max_new_tokens:
        Longest answer, in tokens (200).
    temperature:
        0 is greedy; below 1 safer, above 1 wilder (0.8).
    top_p:
        Keep the most likely tokens that hold this probability (nucleus; 0.95).
    repetition_penalty:
        Above 1 discourages tokens already in the text (1.1).
    seed:
        The same seed gives the same answers.
    adapter:
        Folder of an adapter of the model.
    """
    from hanmo.core.progress import say
    from hanmo.core.settings import check_settings
    from hanmo.generation.settings import GenerationSettings
    from hanmo.tasks.asked_settings import unless_said
    from hanmo.tasks.loading import load_language_model

    settings: dict[str, Any] = {
        "max_new_tokens": max_new_tokens, "temperature": temperature, "top_p": top_p,
        "repetition_penalty": repetition_penalty, "seed": seed,
    }  # fmt: skip
    # before the model is loaded
    check_settings(GenerationSettings, {name: value for name, value in settings.items() if value is not None})
    if isinstance(sys.stdin, io.TextIOWrapper):
        sys.stdin.reconfigure(errors="replace")  # a line in another encoding is odd text, not the end of the talk
    lm = load_language_model(model, adapter=adapter)
    settings = unless_said(
        lm.generation_config, settings, max_new_tokens=200, temperature=0.8, top_p=0.95, repetition_penalty=1.1
    )
    settings["num_beams"] = 1  # an answer is shown as it comes, so it is not searched for
    lm.settings(settings)  # what cannot be is said here, not at the first answer
    templated = lm.tokenizer.chat_template is not None
    if templated:
        say(f"Chat with {model}. {_HELP}")
    else:
        say(f"{model} is a base model without a chat template: it continues what you write. {_HELP}")
        if system is not None:
            say("(--system has no effect on a base model)")
    conversation = _Conversation(lm, templated, system, settings)
    while True:
        try:
            line = input("> " if sys.stdin.isatty() else "")
        except (EOFError, KeyboardInterrupt):
            print()
            return 0
        if line.strip() in ("/quit", "/exit"):
            return 0
        if line.strip() == "/reset":
            conversation.reset()
            say("(started again)")
            continue
        if not line.strip():
            continue
        try:
            for piece in conversation.answer(line):
                print(piece, end="", flush=True)
        except KeyboardInterrupt:
            say("\n(stopped)")
        except HanmoError as error:
            say(f"hanmo: {error}")
        print(flush=True)


class _Conversation:
    """What has been said so far, cut from the front when the context is full."""

    def __init__(self, lm: LanguageModel, templated: bool, system: str | None, settings: dict[str, Any]):
        self.lm, self.templated, self.system, self.settings = lm, templated, system, settings
        self.reset()

    def reset(self) -> None:
        """Forget everything but the system message."""
        self.text = ""
        self.messages: list[dict[str, str]] = (
            [{"role": "system", "content": self.system}] if self.system and self.templated else []
        )

    def answer(self, line: str) -> Iterator[str]:
        """Stream the answer to a line, and remember both (also of an answer that was stopped)."""
        said: list[str] = []
        if self.templated:
            self.messages.append({"role": "user", "content": line})
            self._forget()
            try:
                pieces = self.lm.stream_chat(self.messages, **self.settings)
            except HanmoError:
                self.messages.pop()  # a question that cannot be asked was not asked
                raise
        else:
            self.text = self._recent(self.text + line)
            pieces = self.lm.stream(self.text, **self.settings)
        try:
            for piece in pieces:
                said.append(piece)
                yield piece
        finally:
            if self.templated:
                self.messages.append({"role": "assistant", "content": "".join(said)})
            else:
                self.text += "".join(said) + "\n"

    def _forget(self) -> None:
        """Drop the oldest question and answer while less than half of the context is left for the answer."""
        from hanmo.tokenizers.chat import chat_ids

        first = 1 if self.system else 0
        while len(self.messages) > first + 1:
            ids = chat_ids(self.lm.tokenizer, self.messages, add_generation_prompt=True)
            if len(ids) <= self.lm.config.max_len // 2:
                return
            del self.messages[first : first + 2]

    def _recent(self, text: str) -> str:
        """The end of the text that leaves half of the context for the answer."""
        keep = max(1, self.lm.config.max_len // 2)
        ids = self.lm.tokenizer.encode(text)
        if len(ids) <= keep:
            return text
        # a cut inside a character would leave a broken one at the front
        return self.lm.tokenizer.decode(ids[-keep:]).lstrip("\ufffd")
