"""Chat templates for models that come without one."""

from __future__ import annotations

from hanmo.tokenizers.tokenizer import Tokenizer

__all__ = ["CHAT_TOKENS", "DEFAULT_TEMPLATES", "default_template"]

CHAT_TOKENS = ("<|im_start|>", "<|im_end|>")
"""What a tokenizer that is trained for conversations knows besides the end of a text: the begin and end of a turn."""

DEFAULT_TEMPLATES = {
    "chatml": """\
{%- for message in messages -%}
{{- '<|im_start|>' + message['role'] + '\\n' -}}
{%- if message['role'] == 'assistant' -%}
{%- generation -%}{{- message['content'] + '<|im_end|>' -}}{%- endgeneration -%}
{%- else -%}
{{- message['content'] + '<|im_end|>' -}}
{%- endif -%}
{{- '\\n' -}}
{%- endfor -%}
{%- if add_generation_prompt -%}
{{- '<|im_start|>assistant\\n' -}}
{%- endif -%}
""",
    "plain": """\
{%- for message in messages -%}
{%- if message['role'] == 'assistant' -%}
Assistant:
{%- generation -%}{{- ' ' + message['content'] + eos_token -}}{%- endgeneration -%}
{%- elif message['role'] == 'user' -%}
{{- 'User: ' + message['content'] -}}
{%- else -%}
{{- message['content'] -}}
{%- endif -%}
{{- '\\n' -}}
{%- endfor -%}
{%- if add_generation_prompt -%}
Assistant:
{%- endif -%}
""",
}
"""chatml: turns between `<|im_start|>` and `<|im_end|>`, as Qwen has them. plain: "User:" and "Assistant:", for a tokenizer
that knows no token but the one at the end of a text."""


def default_template(tokenizer: Tokenizer) -> str:
    """Which of them a tokenizer has the tokens for: "chatml" or "plain"."""
    return "chatml" if set(CHAT_TOKENS) <= tokenizer.special_names else "plain"
