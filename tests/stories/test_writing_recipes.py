"""The recipes of models that write poems and code, at toy size."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

import hanmo
from hanmo.core.errors import ConfigError, ModelError
from hanmo.corpora.documents import read_documents
from hanmo.evaluation.code_completion import completion_figures, find_lines, writes_between, writes_on
from hanmo.generation.forms import parse_form
from hanmo.stories.train import read_recipe, train

RECIPES = Path(__file__).parents[2] / "recipes"
SMALL = [
    "tokenizer.vocab_size=400", "model.n_layers=1", "model.d_model=16", "model.n_heads=2", "model.max_len=128", "batches.batch_size=4",
    "training.n_steps=6", "training.eval_every=3", "training.patience=0", "training.compile=off", "training.autocast=off",
    "samples.n_prompts=0", "eval_tokens=256", "corpus.min_chars=500",
]  # fmt: skip


def _recipe(name: str, source: Path, tmp_path: Path) -> Path:
    """A recipe with the data of the test in place of its own."""
    lines = (RECIPES / name).read_text(encoding="utf-8").splitlines()
    kept = [line for line in lines if not line.startswith(("source =", "minutes =", "patience ="))]
    kept.insert(kept.index("[corpus]") + 1, f'source = "{source}"')
    (tmp_path / name).write_text("\n".join(kept), encoding="utf-8")
    return tmp_path / name


def test_poems(tmp_path: Path) -> None:
    draw = random.Random(0)

    def line() -> str:
        return "".join(draw.choice("白日依山尽黄河入海流欲穷千里目更上一层楼") for _ in range(5))

    poems = [{"title": str(n), "paragraphs": [f"{line()}，{line()}。", f"{line()}，{line()}。"]} for n in range(80)]
    (tmp_path / "poems").mkdir()
    (tmp_path / "poems" / "tang.json").write_text(json.dumps([*poems, {"title": "空"}], ensure_ascii=False))
    recipe = _recipe("poems.toml", tmp_path / "poems", tmp_path)
    result = train(read_recipe(recipe, [item for item in SMALL if "patience" not in item]), out=tmp_path / "run")
    documents = list(read_documents(tmp_path / "run" / "corpus" / "train.jsonl.gz"))
    assert all(parse_form("5x4").holds(document.text.strip()) for document in documents)
    lm = hanmo.load(result.model)
    assert parse_form("5x4").holds("白日依山尽，" + lm.generate("白日依山尽，", form="5x4", seed=0, max_new_tokens=110))


@pytest.fixture(scope="module")
def code(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of the completion recipe."""
    folder = tmp_path_factory.mktemp("code")
    (folder / "source").mkdir()
    for n in range(12):
        text = "".join(
            f"def add_{n}_{k}(first, second):\n    # 两数之和\n    total = first + second * {k}\n    return total\n\n\n"
            for k in range(6)
        )
        (folder / "source" / f"part_{n}.py").write_text(text)
    recipe = _recipe("python-completion.toml", folder / "source", folder)
    train(read_recipe(recipe, [item for item in SMALL if "patience" not in item]), out=folder / "run")
    return folder / "run"


def test_completion(code: Path) -> None:
    lm = hanmo.load(code / "model")
    texts = [document.text for document in read_documents(code / "corpus" / "heldout.jsonl.gz")]
    lines = find_lines(texts, 4)
    for predict in (writes_on(lm), writes_between(lm)):
        figures = completion_figures(lines, predict)
        assert figures["lines"] == 4
        assert 0 <= figures["exact_match"] <= figures["edit_similarity"] + 1e-9 <= 1
    written = lm.infill("def add(a, b):\n", "\n    return total\n", max_new_tokens=6, seed=1, n=2, temperature=1.0)
    assert len(written) == 2
    assert lm.infill("def", "x", max_new_tokens=6, seed=1, temperature=1.0, order="spm") == lm.infill(
        "def", "x", max_new_tokens=6, seed=1, temperature=1.0, order="spm"
    )


def test_a_model_without_marks(tmp_path: Path, code: Path) -> None:
    from hanmo.tokenizers.bpe import train_bpe

    train_bpe(["def f(a): return a"], 300).save(tmp_path / "bare")
    recipe = _recipe("python-completion.toml", code.parent / "source", tmp_path)
    small = [item for item in SMALL if "patience" not in item and "vocab" not in item]
    text = recipe.read_text().replace("vocab_size = 4096", f'path = "{tmp_path / "bare"}"')
    recipe.write_text(text)
    with pytest.raises(ModelError, match="no tokens for filling"):
        train(read_recipe(recipe, small), out=tmp_path / "run")
    with pytest.raises(ConfigError, match="share"):
        read_recipe(recipe, [*small, "infilling.share=2"])
