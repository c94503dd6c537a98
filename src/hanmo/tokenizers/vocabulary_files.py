"""Vocabulary files from before tokenizer.json, turned into one: vocab.txt, vocab.json + merges.txt, spiece.model.

Which text treatment goes with a file is not in the file: the class in tokenizer_config.json says it, or the
"model_type" in config.json.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import tokenizers as hf
from hanmo.core.errors import FormatError, ModelError
from hanmo.core.files import read_json
from hanmo.tokenizers import vocabulary_builders as build
from hanmo.tokenizers.vocabulary_builders import token_text
from tokenizers import AddedToken, processors

__all__ = ["convert_vocabulary", "has_vocabulary"]

_Config = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class _Class:
    """A tokenizer class of `transformers`."""

    files: tuple[str, ...]
    build: Callable[[Path, _Config], hf.Tokenizer]
    """From the folder and tokenizer_config.json to model, normaliser, pre-tokenizer and decoder."""
    roles: Mapping[str, str]
    """Special tokens where the config names none."""
    around: tuple[str, str] | None = None
    """What stands around one text and a pair of texts, in the notation of TemplateProcessing, roles in braces."""
    extra: Callable[[_Config], list[str]] = field(default=lambda config: [])
    """Further special tokens."""
    mask_takes_space: bool = False
    """Whether the mask swallows the space before it."""


def has_vocabulary(folder: Path) -> bool:
    """Whether there are files that `convert_vocabulary` may be able to read."""
    return any(all((folder / name).is_file() for name in known.files) for known in _CLASSES.values())


def convert_vocabulary(folder: Path, config: _Config) -> tuple[str, dict[str, Any]]:
    """The text of a tokenizer.json that does what the older files say.

    Args:
        folder: of the model.
        config: content of tokenizer_config.json and special_tokens_map.json.

    Returns:
        The definition, and `config` with the special tokens that the class has by default.

    Raises:
        ModelError: if the files are of no known class.
        FormatError: if a file is damaged or does not fit the others.
    """
    known = _CLASSES[_class_name(folder, config)]
    for name in known.files:
        if not (folder / name).is_file():
            raise ModelError("this file is missing", where=folder / name, remedy="Copy it from where the model is.")
    try:
        tokenizer = known.build(folder, config)
    except Exception as error:
        if type(error) not in (Exception, TypeError, ValueError, OverflowError):  # what the library raises
            raise
        raise FormatError(f"not a vocabulary that can be used ({error})", where=folder / known.files[0]) from error
    roles = {role: text for role, text in known.roles.items() if tokenizer.token_to_id(text) is not None}
    config = roles | dict(config)
    _add_tokens(tokenizer, known, folder, config)
    if known.around is not None:
        used = {role: token_text(config.get(role)) for role in _ROLES if f"{{{role}}}" in known.around[0]}
        ids = {role: None if text is None else tokenizer.token_to_id(text) for role, text in used.items()}
        if missing := [role for role, token_id in ids.items() if token_id is None]:
            raise FormatError(
                f"the special token {missing[0]} ({known.roles[missing[0]]!r} unless the config says otherwise) is not "
                "in the vocabulary",
                where=folder / known.files[0],
            )
        single, pair = (template.format(**used) for template in known.around)
        special: Any = [(used[role], token_id) for role, token_id in ids.items()]
        tokenizer.post_processor = processors.TemplateProcessing(single=single, pair=pair, special_tokens=special)
    return tokenizer.to_str(), config


def _class_name(folder: Path, config: _Config) -> str:
    named = str(config.get("tokenizer_class") or "").removesuffix("Fast")
    try:
        about = read_json(folder / "config.json")
    except (OSError, FormatError):
        about = {}
    model_type = about.get("model_type") if isinstance(about, dict) else None
    by_type = _BY_MODEL_TYPE.get(model_type) if isinstance(model_type, str) else None
    present = [name for name, one in _CLASSES.items() if all((folder / file).is_file() for file in one.files)]
    if named and named not in _ANY and named not in _CLASSES:
        raise ModelError(
            f"the files of a {named} cannot be converted here", where=folder,
            remedy="Make a tokenizer.json with transformers: AutoTokenizer.from_pretrained('IN').save_pretrained('OUT').",
        )  # fmt: skip
    # a class may come with the files of another: Chinese ALBERT models have BERT's vocab.txt
    for name in (named, by_type, *present):
        if name in present and (name in (named, by_type) or _is_only_one(name, present)):
            return name
    raise ModelError(
        f"several kinds of tokenizer have such files ({', '.join(present)})", where=folder,
        remedy='Say which in tokenizer_config.json: {"tokenizer_class": "…"}.',
    )  # fmt: skip


def _is_only_one(name: str, present: list[str]) -> bool:
    return [other for other in present if _CLASSES[other].files == _CLASSES[name].files] == [name]


def _add_tokens(tokenizer: hf.Tokenizer, known: _Class, folder: Path, config: _Config) -> None:
    """Mark the special tokens, and add what other files add, at the ids they say."""
    file = folder / "added_tokens.json"
    listed: dict[int, AddedToken] = {}
    numbered = read_json(file) if file.is_file() else {}
    try:
        listed |= {int(number): AddedToken(text, normalized=False) for text, number in numbered.items()}
        for number, value in (config.get("added_tokens_decoder") or {}).items():
            listed[int(number)] = _token(value)
    except (AttributeError, TypeError, ValueError) as error:
        raise FormatError("added tokens are not a table of texts and ids", where=file) from error
    special = {text: _token(config[role]) for role in _ROLES if (text := token_text(config.get(role))) is not None}
    more = config.get("additional_special_tokens") or config.get("extra_special_tokens") or []
    more = list(more.values()) if isinstance(more, Mapping) else more
    for value in [*filter(tokenizer.token_to_id, known.extra(config)), *more]:
        special.setdefault(token_text(value) or "", _token(value))
    mask = token_text(config.get("mask_token"))
    if known.mask_takes_space and mask is not None:
        special[mask] = AddedToken(mask, lstrip=True, normalized=False, special=True)
    for number, token in sorted(listed.items()):
        text = token.content
        if token.special or text in special:
            tokenizer.add_special_tokens([special.pop(text, token)])
        else:
            tokenizer.add_tokens([token])
        if tokenizer.token_to_id(text) != number:
            raise FormatError(
                f"the added token {text!r} should have the id {number}, but gets {tokenizer.token_to_id(text)}",
                where=folder,
                remedy="The vocabulary and the table of added tokens come from different tokenizers.",
            )
    tokenizer.add_special_tokens(list(special.values()))


_ROLES = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token")


def _token(value: Any) -> AddedToken:
    text = token_text(value)
    if text is None:
        raise TypeError(value)
    more = value if isinstance(value, Mapping) else {}
    return AddedToken(
        text, lstrip=bool(more.get("lstrip")), rstrip=bool(more.get("rstrip")),
        single_word=bool(more.get("single_word")), normalized=bool(more.get("normalized")),
        special=bool(more.get("special", True)),
    )  # fmt: skip


_BERT_ROLES = {
    "unk_token": "[UNK]", "sep_token": "[SEP]", "pad_token": "[PAD]", "cls_token": "[CLS]", "mask_token": "[MASK]",
}  # fmt: skip
_FAIRSEQ_ROLES = {
    "bos_token": "<s>", "eos_token": "</s>", "sep_token": "</s>", "cls_token": "<s>", "unk_token": "<unk>",
    "pad_token": "<pad>", "mask_token": "<mask>",
}  # fmt: skip
_BERT_AROUND = ("{cls_token}:0 $A:0 {sep_token}:0", "{cls_token}:0 $A:0 {sep_token}:0 $B:1 {sep_token}:1")
_FAIRSEQ_AROUND = ("{cls_token} $A {sep_token}", "{cls_token} $A {sep_token} {sep_token} $B:0 {sep_token}")
_END = "<|endoftext|>"

_CLASSES: dict[str, _Class] = {
    "BertTokenizer": _Class(files=("vocab.txt",), build=build.wordpiece, roles=_BERT_ROLES, around=_BERT_AROUND),
    "GPT2Tokenizer": _Class(
        files=("vocab.json", "merges.txt"), build=build.byte_level,
        roles={"bos_token": _END, "eos_token": _END, "unk_token": _END},
    ),
    "RobertaTokenizer": _Class(
        files=("vocab.json", "merges.txt"), build=build.byte_level, roles=_FAIRSEQ_ROLES, around=_FAIRSEQ_AROUND,
        mask_takes_space=True,
    ),
    "Qwen2Tokenizer": _Class(
        files=("vocab.json", "merges.txt"), build=build.qwen2, roles={"eos_token": _END, "unk_token": _END, "pad_token": _END},
    ),
    "CLIPTokenizer": _Class(
        files=("vocab.json", "merges.txt"), build=build.clip,
        roles={"bos_token": "<|startoftext|>", "eos_token": _END, "unk_token": _END, "pad_token": _END},
        around=("{bos_token} $A {eos_token}", "{bos_token} $A {eos_token} {eos_token} $B:0 {eos_token}"),
    ),
    "T5Tokenizer": _Class(
        files=("spiece.model",), build=build.t5,
        roles={"eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>"},
        around=("$A {eos_token}", "$A {eos_token} $B:0 {eos_token}"),
        extra=build.sentinels,
    ),
    "AlbertTokenizer": _Class(
        files=("spiece.model",), build=build.albert,
        roles=_BERT_ROLES | {"bos_token": "[CLS]", "eos_token": "[SEP]", "unk_token": "<unk>", "pad_token": "<pad>"},
        around=_BERT_AROUND, mask_takes_space=True,
    ),
    "XLNetTokenizer": _Class(
        files=("spiece.model",), build=build.xlnet,
        roles=_FAIRSEQ_ROLES | {"sep_token": "<sep>", "cls_token": "<cls>"},
        around=("$A:0 {sep_token}:0 {cls_token}:2", "$A:0 {sep_token}:0 $B:1 {sep_token}:1 {cls_token}:2"),
        extra=lambda config: ["<eop>", "<eod>"], mask_takes_space=True,
    ),
    "XLMRobertaTokenizer": _Class(
        files=("sentencepiece.bpe.model",), build=build.xlm_roberta, roles=_FAIRSEQ_ROLES, around=_FAIRSEQ_AROUND,
        mask_takes_space=True,
    ),
    "LlamaTokenizer": _Class(
        files=("tokenizer.model",), build=build.llama,
        roles={"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"},
    ),
}  # fmt: skip
_ANY = ("PreTrainedTokenizer", "TokenizersBackend")
_BY_MODEL_TYPE = {
    "bert": "BertTokenizer", "gpt2": "GPT2Tokenizer", "roberta": "RobertaTokenizer", "qwen2": "Qwen2Tokenizer",
    "qwen3": "Qwen2Tokenizer", "clip": "CLIPTokenizer", "t5": "T5Tokenizer", "mt5": "T5Tokenizer",
    "albert": "AlbertTokenizer", "xlnet": "XLNetTokenizer", "xlm-roberta": "XLMRobertaTokenizer",
    "llama": "LlamaTokenizer", "mistral": "LlamaTokenizer",
}  # fmt: skip
