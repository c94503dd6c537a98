"""The model card: front matter that Hugging Face reads, text in both languages, nothing a name can break."""

from __future__ import annotations

import json
import re

import pytest

from hanmo.evaluation.card import model_card, write_model_card
from hanmo.evaluation.run_files import read_run


def front_matter(card: str) -> dict:
    yaml = pytest.importorskip("yaml")
    assert card.startswith("---\n")
    return yaml.safe_load(card.split("\n---\n", 1)[0].removeprefix("---\n"))


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_front_matter(make_run, lang):
    data = front_matter(model_card(read_run(make_run(lang)), license="apache-2.0"))
    assert data["language"] == [lang]
    assert data["license"] == "apache-2.0"
    assert data["library_name"] == "hanmo"
    assert data["pipeline_tag"] == "text-generation"
    assert "gpt2" in data["tags"]
    result = data["model-index"][0]["results"][0]
    assert {metric["type"]: metric["value"] for metric in result["metrics"]} == {
        "bits_per_byte": 1.641, "perplexity": 45.15, "loss": 3.81,
    }  # fmt: skip


def test_hugging_face_reads_it(make_run):
    cards = pytest.importorskip("huggingface_hub").ModelCard
    data = cards(model_card(read_run(make_run("zh")))).data
    assert data.model_name == "红楼水浒"
    assert {result.metric_type: result.metric_value for result in data.eval_results}["bits_per_byte"] == 1.641


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_text_in_both_languages(make_run, lang, tmp_path):
    path = write_model_card(tmp_path / "model", read_run(make_run(lang)))
    assert path == tmp_path / "model" / "README.md"
    text = path.read_text(encoding="utf-8")
    for part in (
        "## Training data",
        "## Evaluation",
        "## Limits",
        "## How to load",
        "## 中文说明",
        "hanmo.load",
        "AutoModelForCausalLM",
    ):
        assert part in text
    assert "2.61 million parameters" in text
    assert "261 万参数" in text
    assert "| Training | 1,388 | 19,640,882 | 19,702,113 | 5,871,204 |" in text
    assert "| 训练集 | 1,388 |" in text
    assert text.index("**This model** | 1.64") < text.index("xz -9 | 1.84") < text.index("gzip -9 | 2.11")
    assert ("cut into contiguous stretches" in text) == (lang == "zh")


def test_code_blocks_are_python(make_run):
    run = make_run()
    (run / "samples.json").write_text(json.dumps([{"prompt": 'a "quoted"\n```\nprompt', "text": ""}]), encoding="utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```$", model_card(read_run(run)), re.DOTALL | re.MULTILINE)
    assert len(blocks) == 2
    for block in blocks:
        compile(block, "card", "exec")


def test_little_recorded(tmp_path):
    (tmp_path / "run.json").write_text("{}", encoding="utf-8")
    card = model_card(read_run(tmp_path))
    assert "model-index" not in front_matter(card)
    assert front_matter(card)["license"] == "unknown"
    assert card.count("Not recorded") == 2
    assert "None" not in card


def test_hostile_names_do_not_break_out(make_hostile_run):
    card = model_card(read_run(make_hostile_run(name="x\n---\nlicense: mit")))
    data = front_matter(card)
    assert data["license"] == "unknown"
    assert data["model-index"][0]["name"].startswith("x --- license")
    body = card.split("\n---\n", 1)[1]
    assert not re.search(r"(?<!\\)<(script|img|iframe|svg)", re.sub(r"```.*?```", "", body, flags=re.DOTALL))
    card.encode("utf-8")
