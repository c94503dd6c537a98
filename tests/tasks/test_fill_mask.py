"""`fill-mask` answers as `transformers.pipeline` does."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

import hanmo
import tokenizers as hf
from hanmo.core.errors import ConfigError, DataError, ModelError
from hanmo.models.albert import AlbertConfig, albert
from hanmo.models.bert import BertConfig, bert
from hanmo.models.directory import write_model
from hanmo.models.roberta import RobertaConfig, roberta
from hanmo.tokenizers.framed import encode_framed
from hanmo.tokenizers.mask_token import masked_encoder
from hanmo.tokenizers.tokenizer import Tokenizer
from hanmo.tokenizers.words import train_words
from tokenizers import decoders, models, normalizers, pre_tokenizers, processors, trainers

CORPUS = [
    "the old teacher wrote a letter",
    "老先生清早写信",
    "a fine morning",
    "today 今天 the weather 天气 is fine 很好",
]
KINDS = {"bert": "[MASK]", "roberta": "<mask>", "albert": "[MASK]"}


def noisy(model: torch.nn.Module) -> torch.nn.Module:
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.3)
    return model


def bert_folder(folder: Path, architecture: str = "BertForMaskedLM") -> Path:
    vocabulary = [
        "[PAD]",
        "[UNK]",
        "[CLS]",
        "[SEP]",
        "[MASK]",
        *"老先生清早写信今天气很好",
        "the",
        "old",
        "teach",
        "##er",
    ]
    folder.mkdir(exist_ok=True)
    (folder / "vocab.txt").write_text("\n".join([*vocabulary, "wrote", "a", "letter", "fine"]), encoding="utf-8")
    tokenizer = Tokenizer.load(folder)
    # two more rows than the tokenizer has tokens
    config = BertConfig(vocab_size=tokenizer.vocab_size + 2, d_model=16, n_layers=1, n_heads=2, max_len=24)
    write_model(folder, noisy(bert(config, architecture)))
    tokenizer.save(folder)
    return folder


def roberta_folder(folder: Path) -> Path:
    coder = hf.Tokenizer(models.BPE())
    coder.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    coder.decoder = decoders.ByteLevel()
    special = ["<s>", "<pad>", "</s>", "<unk>"]
    trainer = trainers.BpeTrainer(
        vocab_size=320,
        special_tokens=special,
        show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )
    coder.train_from_iterator(CORPUS * 3, trainer)
    coder.add_special_tokens([hf.AddedToken("<mask>", lstrip=True, normalized=False)])
    coder.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0), add_prefix_space=False)
    names = {
        "bos_token": "<s>",
        "eos_token": "</s>",
        "unk_token": "<unk>",
        "pad_token": "<pad>",
        "mask_token": "<mask>",
    }
    config = {"tokenizer_class": "PreTrainedTokenizerFast", "cls_token": "<s>", "sep_token": "</s>"} | names
    tokenizer = Tokenizer(coder.to_str(), config | {"clean_up_tokenization_spaces": False})
    shape = RobertaConfig(vocab_size=tokenizer.vocab_size, d_model=16, n_layers=1, n_heads=2, max_len=40)
    write_model(folder, noisy(roberta(shape, "RobertaForMaskedLM")))
    tokenizer.save(folder)
    return folder


def albert_folder(folder: Path) -> Path:
    coder = hf.Tokenizer(models.Unigram())
    coder.normalizer = normalizers.Sequence([normalizers.NFKD(), normalizers.Lowercase()])
    coder.pre_tokenizer = pre_tokenizers.Metaspace()
    coder.decoder = decoders.Metaspace()
    special = ["<pad>", "<unk>", "[CLS]", "[SEP]", "[MASK]"]
    trainer = trainers.UnigramTrainer(vocab_size=70, special_tokens=special, unk_token="<unk>", show_progress=False)
    coder.train_from_iterator(CORPUS * 3, trainer)
    coder.post_processor = processors.TemplateProcessing(
        "[CLS] $A [SEP]", "[CLS] $A [SEP] $B:1 [SEP]:1", [("[CLS]", 2), ("[SEP]", 3)]
    )
    names = {"cls_token": "[CLS]", "sep_token": "[SEP]", "unk_token": "<unk>", "pad_token": "<pad>"}
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "mask_token": "[MASK]",
        "clean_up_tokenization_spaces": False,
    }
    tokenizer = Tokenizer(coder.to_str(), config | names)
    shape = AlbertConfig(
        vocab_size=tokenizer.vocab_size, d_model=16, d_embedding=8, n_layers=1, n_heads=2, d_ff=20, max_len=40
    )
    write_model(folder, noisy(albert(shape, "AlbertForMaskedLM")))
    tokenizer.save(folder)
    return folder


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("fill")
    makers = {"bert": bert_folder, "roberta": roberta_folder, "albert": albert_folder}
    return {kind: make(root / kind) for kind, make in makers.items()}


def close(answer: Any) -> Any:
    if isinstance(answer, list):
        return [close(item) for item in answer]
    return answer | {"score": pytest.approx(answer["score"], abs=1e-6)}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("texts", "options"),
    [
        ("the old {m} wrote", {}),
        ("{m}先生写信", {"top_k": 3}),
        ("the {m} wrote a {m}", {}),
        (["the {m} letter", "老{m}生, a {m}, 写{m}", "{m}"], {"top_k": 2}),
        ("a {m} letter", {"targets": ["a", "老", "fine"]}),
        ("a {m} letter", {"targets": "a", "top_k": 2}),
    ],
)
def test_answers_of_transformers(folders: dict[str, Path], kind: str, texts: Any, options: dict[str, Any]) -> None:
    mask = KINDS[kind]
    texts = [text.format(m=mask) for text in texts] if isinstance(texts, list) else texts.format(m=mask)
    if "targets" in options and kind != "bert":
        pieces = hanmo.load(folders[kind]).tokenizer
        options = options | {"targets": [pieces.decode([30]), pieces.decode([33])]}
    theirs = transformers.pipeline("fill-mask", str(folders[kind]), device="cpu")
    ours = hanmo.pipeline("fill-mask", folders[kind], device="cpu")
    expected = theirs(texts, **options)
    assert ours(texts, **options) == close(expected)


def test_other_special_tokens_stay_text(folders: dict[str, Path]) -> None:
    for kind, mask in KINDS.items():
        tokenizer = hanmo.load(folders[kind]).tokenizer
        encode = masked_encoder(tokenizer)
        mask_id = tokenizer.token_id(mask)
        end = tokenizer.special_tokens["sep_token"]
        for text in ("the old teacher", "老先生", f"a {end} b"):
            assert encode([text]) == encode_framed(tokenizer, [text])
        ids = encode([f"a {end} {mask} [PAD] <pad>"])[0].ids
        assert ids.count(mask_id) == 1
        assert ids.count(tokenizer.token_id(end)) == 1
        assert ids.count(tokenizer.pad_id) == 0


def test_refused(folders: dict[str, Path], tmp_path: Path) -> None:
    fill = hanmo.pipeline("fill-mask", folders["bert"])
    with pytest.raises(DataError, match=r"text 1: there is no \[MASK\] in this text. Put \[MASK\] where"):
        fill(["a [MASK]", "the old teacher"])
    with pytest.raises(DataError, match="text 0: 33 tokens, but at most 24"):
        fill("a " * 30 + "[MASK]")
    with pytest.raises(ConfigError, match=r"the target 'teacher' is not one token of this model \(teach ##er\)"):
        fill("a [MASK]", targets=["a", "teacher"])
    with pytest.raises(ConfigError, match="the target '猫' is not one token"):
        fill("a [MASK]", targets="猫")
    with pytest.raises(ConfigError, match="there is no target"):
        fill("a [MASK]", targets=[])
    with pytest.raises(ConfigError, match="top_k = 0"):
        fill("a [MASK]", top_k=0)
    with pytest.raises(DataError, match="is no text"):
        fill(7)
    assert fill([]) == []
    with pytest.raises(ModelError, match="BertForTokenClassification does not guess masked tokens"):
        hanmo.pipeline("fill-mask", bert_folder(tmp_path / "tagger", "BertForTokenClassification"))
    no_mask = tmp_path / "no-mask"
    tokenizer = train_words(CORPUS, 50)
    config = BertConfig(vocab_size=tokenizer.vocab_size, d_model=16, n_layers=1, n_heads=2, max_len=24)
    write_model(no_mask, bert(config, "BertForMaskedLM"))
    tokenizer.config.pop("mask_token")
    tokenizer.save(no_mask)
    with pytest.raises(ModelError, match="no mask token"):
        hanmo.pipeline("fill-mask", no_mask)


def test_rows_that_no_token_belongs_to(folders: dict[str, Path]) -> None:
    fill = hanmo.pipeline("fill-mask", folders["bert"])
    answers = fill("a [MASK]", top_k=1000)
    assert len(answers) == fill.filler.tokenizer.vocab_size == fill.filler.config.vocab_size - 2
    assert 0.5 < sum(answer["score"] for answer in answers) < 1


def test_the_heads_of_pretraining_fill_too(folders: dict[str, Path], tmp_path: Path) -> None:
    both = bert_folder(tmp_path / "both", "BertForPreTraining")
    fill = hanmo.pipeline("fill-mask", both)
    theirs = transformers.BertForPreTraining.from_pretrained(both).eval()
    rows = masked_encoder(fill.filler.tokenizer)(["老[MASK]生"])
    with torch.no_grad():
        logits = theirs(input_ids=torch.tensor([rows[0].ids])).prediction_logits[0, 2]
    answers = fill("老[MASK]生", top_k=3)
    known = logits.softmax(-1)[: fill.filler.tokenizer.vocab_size]
    assert [answer["score"] for answer in answers] == pytest.approx(known.topk(3).values.tolist(), abs=1e-6)
    shutil.rmtree(both)
