from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

CHINESE = "老先生清早写完了第{n}封长信，小徒弟把第{m}号空白的本子卖给了邻居，书店掌柜念了一遍又一遍。"


def test_the_command_line(hanmo: Callable[..., Any], tmp_path: Path) -> None:
    out, texts = tmp_path / "out", tmp_path / "texts"
    texts.mkdir()
    for number in range(25):
        lines = (CHINESE.format(n=number * 31 + k, m=number * 17 + k * k) for k in range(12))
        (texts / f"{number}.txt").write_text("\n".join(lines), encoding="utf-8")
    (texts / "copy.txt").write_bytes((texts / "3.txt").read_bytes())
    (texts / "short.md").write_text("short")
    done = hanmo("corpus", "build", texts, "--out", out, "--set", "corpus.min_chars=100", "--json")
    assert json.loads(done.out)["documents_kept"] == 25
    assert "exact duplicate" in hanmo("corpus", "stats", out).out
    shown = hanmo("corpus", "show", out, "--find", "小徒弟", "--n", "1").out
    assert shown.startswith("── ")
    assert "short" in hanmo("corpus", "show", out, "--removed", "too short").out
    hanmo("corpus", "show", out, "--removed", "too long").refused("Reasons here:", code=2)
    hanmo("corpus", "stats", tmp_path / "nowhere").refused("no corpus in this folder", code=1)
