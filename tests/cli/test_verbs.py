"""generate, chat, score, report, doctor, train: what they print."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hanmo.core.progress import set_quiet
from hanmo.models.directory import write_model
from hanmo.models.t5 import T5Config, t5
from hanmo.tokenizers.tokenizer import Tokenizer

SHORT = ("--max-new-tokens", "5", "--seed", "1")


@pytest.mark.parametrize("prompt", ["The old teacher", "老先生清早", ""])
def test_generate(hanmo: Callable[..., Any], model: Path, prompt: str) -> None:
    plain = hanmo("generate", model, prompt, *SHORT)
    assert plain.code == 0
    assert plain.out.startswith(prompt)
    answer = json.loads(hanmo("generate", model, prompt, *SHORT, "--json").out)
    assert answer["prompt"] == prompt
    assert plain.out == prompt + answer["texts"][0] + "\n"
    assert answer["settings"]["seed"] == 1


def test_generate_several(hanmo: Callable[..., Any], model: Path) -> None:
    texts = json.loads(hanmo("generate", model, "The", "--n", "3", *SHORT, "--json").out)["texts"]
    assert len(set(texts)) > 1
    shown = hanmo("generate", model, "The", "--n", "3", *SHORT).out
    assert [f"--- {number} ---" in shown for number in (1, 2, 3, 4)] == [True, True, True, False]


@pytest.mark.parametrize("prompt", ["The old teacher", "老先生清早"])
def test_generate_as_the_model_says(hanmo: Callable[..., Any], model_copy: Path, prompt: str) -> None:
    before = json.loads((model_copy / "generation_config.json").read_text(encoding="utf-8"))
    beams = ("--num-beams", "3", "--max-new-tokens", "6")
    searched = hanmo("generate", model_copy, prompt, *beams)
    assert searched.code == 0
    assert searched.out.startswith(prompt)
    assert hanmo("generate", model_copy, prompt, *beams, "--seed", "5").code == 2  # there is nothing to draw

    def say(**file: Any) -> None:
        (model_copy / "generation_config.json").write_text(json.dumps(before | file), encoding="utf-8")

    say(num_beams=3, max_new_tokens=6)
    assert hanmo("generate", model_copy, prompt).out == searched.out
    three = json.loads(hanmo("generate", model_copy, prompt, "--n", "3", "--json").out)["texts"]
    assert prompt + three[0] + "\n" == searched.out
    greedy = hanmo("generate", model_copy, prompt, "--temperature", "0").out
    say(do_sample=True, temperature=1e-4, max_new_tokens=6)  # so cold that it is greedy
    assert hanmo("generate", model_copy, prompt).out == greedy
    say(guidance_scale=2.0)
    refused = hanmo("generate", model_copy, prompt)
    refused.refused("generation_config.json", "guidance_scale = 2.0", code=2)
    hanmo("chat", model_copy).refused("guidance_scale = 2.0", code=2)


def test_generate_with_a_model_that_writes_another_text(hanmo: Callable[..., Any], model: Path, tmp_path: Path) -> None:
    tokenizer = Tokenizer.load(model)
    config = T5Config(
        vocab_size=tokenizer.vocab_size, d_model=12, d_head=4, n_heads=2, n_layers=1, eos_id=tokenizer.eos_id
    )
    write_model(tmp_path, t5(config))
    tokenizer.save(tmp_path)
    source = "老先生清早抄好了一封长信。"
    text = json.loads(hanmo("generate", tmp_path, source, *SHORT, "--json").out)["texts"][0]
    assert hanmo("generate", tmp_path, source, *SHORT).out == text + "\n"
    assert hanmo("generate", tmp_path, source, "--n", "2", *SHORT).out.startswith("--- 1 ---\n" + text)


@pytest.mark.parametrize("encoding", ["utf-8", "gb18030"])
def test_generate_from_standard_input(hanmo: Callable[..., Any], model: Path, encoding: str) -> None:
    text = "老先生清早写完了一封长信，小徒弟把空白的本子卖掉了。"
    shown = hanmo("generate", model, "-", *SHORT, stdin=text.encode(encoding))
    assert shown.code == 0
    assert shown.out.startswith(text)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("The " * 200,), ("prompt", "context is 64")),
        (("The", "--temperature", "-1"), ("temperature", "-1")),
        (("The", "--top-p", "2"), ("top_p", "2")),
        (("The", "--max-new-tokens", "0"), ("max_new_tokens",)),
        (("The", "--n", "0"), ("n = 0",)),
    ],
)
def test_generate_refuses(
    hanmo: Callable[..., Any], model: Path, options: tuple[str, ...], words: tuple[str, ...]
) -> None:
    hanmo("generate", model, *options).refused(*words, code=2)
    hanmo("generate", model, *options, "--json").refused(*words, code=2)


def test_chat_with_a_base_model(hanmo: Callable[..., Any], model: Path) -> None:
    set_quiet(False)
    done = hanmo("chat", model, *SHORT, stdin="The old teacher\n\n老先生\n/reset\nThe old teacher\n".encode())
    assert done.code == 0
    assert "base model without a chat template" in done.err
    assert "(started again)" in done.err
    assert "Traceback" not in done.err
    alone = hanmo("chat", model, *SHORT, stdin=b"The old teacher\n/quit\nnever read\n")
    # after /reset the same question has the same answer, whatever was said before
    assert alone.out.strip() in done.out
    assert done.out.rstrip().endswith(alone.out.strip())


@pytest.mark.parametrize("stdin", [b"", b"\xff\xfe\n", "很长的一行".encode() * 300 + b"\n", b"The old"])
def test_chat_ends_with_its_input(hanmo: Callable[..., Any], model: Path, stdin: bytes) -> None:
    done = hanmo("chat", model, *SHORT, stdin=stdin)
    assert done.code == 0, done.err
    assert done.err == ""


def test_chat_refuses_impossible_settings(hanmo: Callable[..., Any], model: Path) -> None:
    hanmo("chat", model, "--temperature", "-1", stdin=b"The\n").refused("temperature", code=2)


def test_chat_with_a_template_forgets_the_oldest(hanmo: Callable[..., Any], model_copy: Path) -> None:
    """A talk longer than the context goes on; a single question longer than it is refused and forgotten."""
    template = "{% for message in messages %}{{ message.role[0] }}: {{ message.content }}\n{% endfor %}a:"
    (model_copy / "chat_template.jinja").write_text(template, encoding="utf-8")
    set_quiet(False)
    lines = ["the scribe"] * 12 + ["老先生清早写完了一封长信，小徒弟把本子卖掉了" * 6] + ["the scribe"] * 3
    done = hanmo("chat", model_copy, *SHORT, "--system", "be kind", stdin="\n".join(lines).encode())
    assert done.code == 0
    assert "base model" not in done.err
    problems = [line for line in done.err.splitlines() if line.startswith("hanmo: ")]
    assert len(problems) == 1, done.err
    assert "context" in problems[0]


def test_score(hanmo: Callable[..., Any], model: Path, tmp_path: Path) -> None:
    text = "老先生清早写完了一封长信，小徒弟把空白的本子卖掉了。"
    (tmp_path / "gb.txt").write_bytes(text.encode("gb18030"))
    direct = json.loads(hanmo("score", model, text, "--json").out)
    assert direct["n_bytes"] == len(text.encode())
    assert json.loads(hanmo("score", model, "--file", tmp_path / "gb.txt", "--json").out) == direct
    assert json.loads(hanmo("score", model, "--json", stdin=text.encode("gb18030")).out) == direct
    shown = hanmo("score", model, text, "--tokens").out
    assert f"{direct['bits_per_byte']:.4f} bits per byte" in shown
    assert len(shown.splitlines()) == direct["n_tokens"] + 1


def test_score_refuses(hanmo: Callable[..., Any], model: Path, tmp_path: Path) -> None:
    (tmp_path / "empty.txt").touch()
    (tmp_path / "binary.txt").write_bytes(bytes(range(256)) * 20)
    hanmo("score", model).refused("standard input", "empty", code=1)
    hanmo("score", model, "").refused("empty", code=1)
    hanmo("score", model, "--file", tmp_path / "empty.txt").refused("empty.txt", "empty", code=1)
    hanmo("score", model, "--file", tmp_path / "none.txt").refused("none.txt", code=2)
    hanmo("score", model, "--file", tmp_path).refused("cannot read", code=2)
    hanmo("score", model, "--file", tmp_path / "binary.txt").refused("binary", code=1)
    hanmo("score", model, "a", "--file", tmp_path / "empty.txt").refused("both", code=2)


def test_report(hanmo: Callable[..., Any], run: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(run, tmp_path / "run"))
    for lang in ("zh", "en"):
        done = hanmo("report", copy, "--lang", lang)
        assert done.code == 0, done.err
        assert done.out.strip() == str(copy / "report.html")
        assert f'<html lang="{lang}' in (copy / "report.html").read_text(encoding="utf-8")


def test_report_of_what_is_no_run(hanmo: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "damaged").mkdir()
    (tmp_path / "damaged" / "run.json").write_text("{", encoding="utf-8")
    for name in ("file", "none", "."):
        hanmo("report", tmp_path / name).refused("run.json is missing", code=2)
    hanmo("report", tmp_path / "damaged").refused("run.json:1", "not valid JSON", code=1)
    assert not list(tmp_path.rglob("report.html"))


def test_report_of_a_run_that_failed_early(hanmo: Callable[..., Any], recipe: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert hanmo("train", recipe, "--set", f"corpus.source={tmp_path / 'empty'}", "--out", tmp_path / "run").code == 1
    done = hanmo("report", tmp_path / "run")
    assert done.code == 0, done.err
    assert "no documents found" in (tmp_path / "run" / "report.html").read_text(encoding="utf-8")


def test_doctor(hanmo: Callable[..., Any]) -> None:
    values = json.loads(hanmo("doctor", "--json").out)
    shown = hanmo("doctor").out
    assert values["versions"]["torch"] in shown
    assert values["machine"]["processor"] in shown


def test_train_prints_json(hanmo: Callable[..., Any], recipe: Path, tmp_path: Path) -> None:
    done = hanmo("train", recipe, "--out", tmp_path / "run", "--json")
    values = json.loads(done.out)
    assert (done.code, values["status"], values["model"]) == (0, "finished", str(tmp_path / "run" / "model"))
    again = hanmo("train", recipe, "--out", tmp_path / "run", "--resume")
    assert again.code == 0
    assert f"{values['tokens_per_s']:,.0f} tokens/s" in again.out
    assert "hanmo generate" in again.out


def test_dry_run(hanmo: Callable[..., Any], recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    before = set(tmp_path.rglob("*"))
    done = hanmo("train", recipe, "--dry-run", "--set", "model.n_layers=2")
    assert done.code == 0, done.err
    assert "n_layers = 2" in done.out
    assert "parameters" in done.out
    assert set(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("arguments", [["--help"], ["train", "--help"], ["--version"]])
def test_the_reader_of_our_output_may_leave(arguments: list[str]) -> None:
    """As in `hanmo --help | head`."""
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [sys.executable, "-m", "hanmo", *arguments], stdout=writing, stderr=subprocess.PIPE, check=False,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    os.close(writing)
    assert (done.returncode, done.stderr) == (0, b"")


def test_the_reader_of_tokens_may_leave(model: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [sys.executable, "-m", "hanmo", "score", str(model), "The old teacher", "--tokens"], check=False,
        stdout=writing, stderr=subprocess.PIPE, env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    os.close(writing)
    assert (done.returncode, done.stderr) == (0, b"")


def test_a_terminal_that_knows_no_chinese(
    hanmo: Callable[..., Any], model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", terminal)
    assert hanmo("generate", model, "老先生 ok", *SHORT).code == 0
    assert terminal.buffer.getvalue().startswith(b"??? ok")  # type: ignore[attr-defined]


def test_show(hanmo: Callable[..., Any], run: Path, model: Path, tmp_path: Path) -> None:
    shown = hanmo("show", model)
    assert shown.code == 0
    assert shown.out.startswith("GPT2LMHeadModel: ")
    assert "= embedding.token" in shown.out
    assert hanmo("show", run).out == shown.out
    assert len(hanmo("show", model, "--depth", "1").out.splitlines()) < len(shown.out.splitlines())
    values = json.loads(hanmo("show", model, "--positions", "9", "--json").out)
    assert values["n_positions"] == {"": 9}
    assert values["bytes_bf16"] == 2 * values["n_parameters"]
    assert [part["name"] for part in values["parts"]] == ["embedding", "stack", "head"]
    hanmo("show", tmp_path / "none").refused("no such model directory", code=1)
    hanmo("show", "org/../name").refused("no such model directory", code=1)
    hanmo("show", "org/name").refused("org/name", "HF_HUB_OFFLINE", code=1)
    hanmo("show", tmp_path).refused("config.json", code=1)
    hanmo("show", model, "--positions", "0").refused("n_positions = 0", code=2)
    hanmo("show", model, "--depth", "-1").refused("depth = -1", code=2)
