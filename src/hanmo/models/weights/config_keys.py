"""Between our settings and the keys of `config.json`. A key that is neither known nor harmless is refused by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hanmo.core.errors import ModelError

__all__ = ["ACTIVATION_NAMES", "ConfigKeys", "words"]

ACTIVATION_NAMES = {
    "gelu": "gelu",
    "gelu_new": "gelu_tanh",
    "gelu_pytorch_tanh": "gelu_tanh",
    "gelu_fast": "gelu_tanh",
    "relu": "relu",
    "relu2": "relu_squared",
    "silu": "silu",
    "swish": "silu",
    "quick_gelu": "quick_gelu",
}
"""Their names of activations → ours. Several are one function; the first is the one that is written."""


def words(text: str) -> frozenset[str]:
    """The words of a text, as a set."""
    return frozenset(text.split())


_BOOKKEEPING = words(
    """
    architectures model_type dtype torch_dtype transformers_version name_or_path _name_or_path _commit_hash
    attn_implementation _attn_implementation _attn_implementation_autoset experts_implementation
    use_cache output_past return_dict output_attentions output_hidden_states torchscript use_bfloat16 tf_legacy_loss
    chunk_size_feed_forward is_decoder id2label label2id num_labels problem_type finetuning_task
    task_specific_params tokenizer_class prefix sep_token_id cls_token_id decoder_start_token_id gradient_checkpointing
    keys_to_ignore_at_inference loss_type unsloth_version unsloth_fixed _unsloth_fixed
    """
)
"""What a library notes down for itself, or only other heads and tasks read."""

_GENERATION = words(
    """
    max_length max_new_tokens min_length min_new_tokens do_sample early_stopping num_beams num_beam_groups diversity_penalty
    temperature top_k top_p min_p typical_p epsilon_cutoff eta_cutoff repetition_penalty encoder_repetition_penalty
    length_penalty no_repeat_ngram_size encoder_no_repeat_ngram_size bad_words_ids num_return_sequences
    output_scores return_dict_in_generate forced_bos_token_id forced_eos_token_id remove_invalid_values
    exponential_decay_length_penalty suppress_tokens begin_suppress_tokens penalty_alpha top_h
    """
)
"""Settings of generation that older versions kept here."""


@dataclass(frozen=True, kw_only=True)
class ConfigKeys:
    """The table of one family."""

    names: Mapping[str, str]
    """Their key → our field, for values taken over unchanged (activations by `ACTIVATION_NAMES`)."""
    defaults: Mapping[str, Any] = field(default_factory=dict)
    """Our field → what a missing key means there, where that is not our own default."""
    fixed: Mapping[str, Any] = field(default_factory=dict)
    """Their key → the only value that is supported, which is the default there."""
    harmless: frozenset[str] = frozenset()
    """Their keys that do not change the result."""
    unfold: Callable[[dict[str, Any]], dict[str, Any]] = dict
    """Brings nested or historic keys into the flat form of `names` before anything else."""
    fold: Callable[[dict[str, Any]], dict[str, Any]] = dict
    """The way back."""
    labels: bool = False
    """Whether the settings have `labels`, the names of classes."""
    nested: Mapping[str, tuple[str, ConfigKeys]] = field(default_factory=dict)
    """Their key → our field and the table for what is inside, for settings that are an object of their own."""
    ours_only: Mapping[str, str] = field(default_factory=dict)
    """Keys that no other library reads → our field, for settings that it does not have; written where not empty."""

    def read(self, values: Mapping[str, Any], where: Path) -> dict[str, Any]:
        """Our fields from their `config.json`.

        Raises:
            ModelError: names every key whose value is not supported.
        """
        ours = dict(self.defaults)
        problems: list[str] = []
        if self.labels and (labels := _read_labels(values, problems)) is not None:
            ours["labels"] = labels
        for key, value in (dict.fromkeys(self.nested) | self.unfold(dict(values))).items():
            if key in self.nested:
                name, table = self.nested[key]
                if value is not None and not isinstance(value, Mapping):
                    problems.append(f"{key} = {value!r} (not an object)")
                else:
                    ours[name] = table.read(value or {}, Path(f"{where}: {key}"))
            elif key == _CALIBRATION and self.labels:
                ours["calibration"] = value
            elif key in self.ours_only:
                if value:
                    ours[self.ours_only[key]] = value
            elif key in self.names:
                # null means "the default" there, except for token ids, where it means that there is none
                if value is not None or self.names[key].endswith("_id"):
                    ours[self.names[key]] = tuple(value) if isinstance(value, list) else value
            elif key in self.fixed:
                if value != self.fixed[key] and value not in (None, [], {}):
                    problems.append(f"{key} = {value!r} (only {self.fixed[key]!r} is supported)")
            elif key not in _BOOKKEEPING | _GENERATION | self.harmless and value not in (None, False, [], {}):
                problems.append(f"{key} = {value!r} (unknown)")
        activation = ours.get("activation")
        if activation is not None:
            if activation not in ACTIVATION_NAMES:
                problems.append(f"activation {activation!r} (known: {', '.join(ACTIVATION_NAMES)})")
            ours["activation"] = ACTIVATION_NAMES.get(activation, activation)
        if problems:
            raise ModelError(
                f"settings that are not supported here: {'; '.join(problems[:10])}",
                where=where,
                remedy="This model cannot be run faithfully; remove the key only if you know that it changes nothing.",
            )
        return ours

    def write(self, ours: Mapping[str, Any]) -> dict[str, Any]:
        """Their keys from our fields."""
        theirs: dict[str, Any] = {}
        for key, name in self.names.items():
            value = ours[name]
            if name == "activation":
                value = next(there for there, here in ACTIVATION_NAMES.items() if here == value)
            theirs[key] = list(value) if isinstance(value, tuple) else value
        for key, (name, table) in self.nested.items():
            theirs[key] = table.write(ours[name])
        theirs |= {key: ours[name] for key, name in self.ours_only.items() if ours[name]}
        if self.labels and tuple(ours["labels"]) != _DEFAULT_LABELS:
            theirs["id2label"] = {str(index): label for index, label in enumerate(ours["labels"])}
            theirs["label2id"] = {label: index for index, label in enumerate(ours["labels"])}
        if self.labels and ours["calibration"] is not None:
            theirs[_CALIBRATION] = ours["calibration"] | {"thresholds": list(ours["calibration"]["thresholds"])}
        return self.fold(theirs)


_CALIBRATION = "hanmo_calibration"
"""Of classifiers; other libraries pass over it."""
_DEFAULT_LABELS = ("LABEL_0", "LABEL_1")
"""What a file without names means, there and here."""


_MOST_LABELS = 1_000_000


def _read_labels(values: Mapping[str, Any], problems: list[str]) -> tuple[str, ...] | None:
    """Names of the classes by `id2label`, or numbered if only their number is known; what cannot be joins `problems`."""
    names, count = values.get("id2label"), values.get("num_labels")
    if isinstance(names, Mapping) and names:
        by_id = {str(key): str(name) for key, name in names.items()}
        if by_id.keys() != {str(index) for index in range(len(by_id))}:
            problems.append(f"id2label has the ids {', '.join(sorted(by_id)[:5])} … (expected 0 to {len(by_id) - 1})")
            return None
        return tuple(by_id[str(index)] for index in range(len(by_id)))
    if count is None:
        return None
    if not isinstance(count, int) or not 0 < count <= _MOST_LABELS:
        problems.append(f"num_labels = {count!r} (expected 1 to {_MOST_LABELS:,})")
        return None
    return tuple(f"LABEL_{index}" for index in range(count))
