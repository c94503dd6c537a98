"""Run folders as the quickstart leaves them, in English and Chinese, with curves of a believable shape."""

from __future__ import annotations

import base64
import json
import math
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hanmo.corpora.report import CorpusReport, Listed, SideReport
from hanmo.corpora.settings import CorpusSettings

EXAMPLES = [
    {
        "lang": "en",
        "text": "The compiler reads each module once.",
        "tokens": ["The", " comp", "iler", " read", "s", " each", " module", " once", "."],
    },
    {
        "lang": "zh",
        "text": "今天天气很好，我们去公园。",
        "tokens": ["今天", "天", "气", "很", "好", "，", "我们", "去", "公", "<E5 9B>", "<AD>", "。"],
    },
    {
        "lang": "code",
        "text": "def read(self, size=-1):\n    return self.raw.read(size)\n",
        "tokens": [
            "def",
            " read",
            "(self",
            ",",
            " size",
            "=-",
            "1",
            "):\n",
            "    ",
            "return",
            " self",
            ".raw",
            ".read",
            "(size",
            ")\n",
        ],
    },
]

PROSE = [
    {"temperature": 0.0, "prompt": "The most important thing is", "seed": 1, "text": " that the file is the file of the file object, and the file is not the file."},
    {"temperature": 0.7, "prompt": "The most important thing is", "seed": 1, "text": " to use the default encoding.\nIf the stream is closed, a ValueError is raised and no data is lost."},
    {"temperature": 1.0, "prompt": "The most important thing is", "seed": 1, "text": " whether the caller has already set *timeout* on the parent socket; see RFC 2822 for the header grammar."},
    {"temperature": 0.7, "prompt": "def read(path):\n", "seed": 1, "text": '    """Return the contents of the file as a string."""\n    with open(path) as file:\n        return file.read()\n'},
]  # fmt: skip

CHINESE = [
    {"temperature": 0.0, "prompt": "话说宝玉", "seed": 1, "text": "听了，便笑道：“你们不知道，我今日才知道这个意思。”说着，便往里头来了。"},
    {"temperature": 0.7, "prompt": "话说宝玉", "seed": 1, "text": "正在房中看书，忽见袭人走来，笑道：“太太叫你去呢。”宝玉听了，忙起身往前边来。\n黛玉见他去了，自己也觉没趣，便回潇湘馆去了。"},
    {"temperature": 1.0, "prompt": "话说宝玉", "seed": 1, "text": "一径出了园门，只见一带粉垣，数楹修舍，有千百竿翠竹遮映。"},
    {"temperature": 0.7, "prompt": "从前有一个人", "seed": 1, "text": "，姓张名文，住在城东，家中只有老母一人。"},
]  # fmt: skip


def digest(seed: int) -> str:
    return random.Random(seed).randbytes(32).hex()


def curve(steps: int) -> list[dict[str, Any]]:
    rng, events = random.Random(5), []
    for step in range(1, steps + 1):
        loss = 3.1 + 6.0 * math.exp(-step / 45) + 1.6 * math.exp(-step / 260) + rng.gauss(0, 0.09)
        lr = 1e-3 * (
            min(step / 40, 1.0)
            if step < 40
            else 0.05 + 0.95 * (0.5 + 0.5 * math.cos(math.pi * (step - 40) / (steps - 40)))
        )
        speed = 9200 + rng.gauss(0, 260) - (5200 if step < 3 else 0)
        events.append(
            {"step": step, "loss": loss, "lr": lr, "tokens_per_s": speed, "tokens": step * 4096, "grad_norm": 1.0}
        )
        if step % max(steps // 12, 1) == 0:
            held = 3.22 + 6.0 * math.exp(-step / 45) + 1.6 * math.exp(-step / 260)
            events.append({"step": step, "eval": {"loss": held, "bits_per_byte": held / math.log(2) / 3.35}})
    return events


def run_json(lang: str, steps: int) -> dict[str, Any]:
    chinese = lang == "zh"
    return {
        "name": "红楼水浒" if chinese else "python-library",
        "status": "finished",
        "created": "2026-03-02T09:14:05+08:00",
        "finished": "2026-03-02T09:19:31+08:00",
        "seconds": 326.4,
        "command": "hanmo quickstart --corpus 小说 --lang zh" if chinese else "hanmo quickstart",
        "recipe": {"seed": 1},
        "recipe_toml": '[corpus]\nsource = "stdlib"\nheldout = 0.02\n\n[tokenizer]\nvocab_size = 4096\n\n[model]\nfamily = "gpt2"\n'
        "n_layers = 4\nd_model = 192\nn_heads = 6\nmax_len = 256\n\n[training]\nminutes = 3.0\nbatch_size = 16\nlr = 1e-3\n",
        "seed": 1,
        "versions": {"hanmo": "0.1.0", "python": "3.11.2", "torch": "2.13.0", "numpy": "2.3.1", "tokenizers": "0.22.1"},
        "machine": {
            "processor": "AMD EPYC 9654 96-Core Processor",
            "cores": 2,
            "features": ["avx2", "fma", "avx512f", "avx512_vnni", "avx512_bf16"],
            "memory_bytes": 8_212_000_000,
            "system": "Linux 6.1.0 x86_64",
        },
        "device": "cpu",
        "precision": "bf16 autocast",
        "compiled": True,
        "stages": [
            {"name": "corpus", "seconds": 38.2},
            {"name": "tokenizer", "seconds": 14.9},
            {"name": "encode", "seconds": 9.1},
            {"name": "train", "seconds": 181.3},
            {"name": "evaluate", "seconds": 31.0},
            {"name": "model", "seconds": 0.4},
            {"name": "samples", "seconds": 7.7},
        ],
        "model": {
            "family": "gpt2",
            "parameters": 2_614_272,
            "config": {"vocab_size": 4096, "max_len": 256, "d_model": 192, "n_layers": 4, "n_heads": 6, "tie_embeddings": True},
        },
        "tokenizer": {
            "kind": "byte-level BPE",
            "vocab_size": 4096,
            "sha256": digest(3),
            "characters_per_token": {"zh": 1.31} if chinese else {"en": 3.72, "code": 3.18},
            "examples": EXAMPLES[1:2] + EXAMPLES[:1] if chinese else EXAMPLES,
        },
        "shards": {
            "train": {"n_tokens": 5_871_204, "n_documents": 1388, "n_bytes": 19_702_113, "dtype": "uint16"},
            "heldout": {"n_tokens": 150_922, "n_documents": 29, "n_bytes": 505_411, "dtype": "uint16"},
        },
        "training": {
            "n_steps": steps,
            "n_steps_planned": steps,
            "tokens": steps * 4096,
            "tokens_per_s": 9187.4,
            "seconds": 181.3,
            "epochs": 0.28,
            "stopped_by": "time",
        },
        "energy": {"kwh": 0.00164, "co2_kg": 0.00078, "factor": 0.475, "method": "estimated (10 W per busy core, 590 core-seconds)"},
        "hashes": {"train.jsonl.gz": digest(1), "heldout.jsonl.gz": digest(2), "tokenizer.json": digest(3), "model.safetensors": digest(4)},
    }  # fmt: skip


def side(lang: str, documents: int, characters: int, n_bytes: int, name: str, seed: int) -> SideReport:
    languages = {
        lang: {"documents": documents - 3, "characters": characters - 9000, "bytes": n_bytes - 9200},
        "und": {"documents": 3, "characters": 9000, "bytes": 9200},
    }
    return SideReport(
        documents=documents,
        characters=characters,
        bytes=n_bytes,
        languages=languages,
        file=f"{name}.jsonl.gz",
        sha256=digest(seed),
    )


def corpus_json(lang: str) -> dict[str, Any]:
    report = CorpusReport(
        source="小说" if lang == "zh" else "stdlib",
        files_found=1533,
        files_read=1503,
        files_skipped={"unknown kind": 21, "binary data (12.3 % control characters)": 9},
        rows_skipped={"line too long": 2},
        documents_read=1503,
        dropped={"too short": 19, "mostly symbols or digits": 7, "repetitive lines": 2},
        exact_duplicates=41,
        near_duplicates=17,
        documents_kept=1417,
        mojibake_lines=12,
        redacted={"email": 31, "phone": 4},
        encodings={"utf-8": 1480, "gb18030": 20, "windows-1252": 3},
        listed=[
            Listed(source="lib/test/empty.py", reason="too short"),
            Listed(source="lib/a.so", reason="unknown kind"),
        ],
        split_by="stretch" if lang == "zh" else "group",
        train=side(lang, 1388, 19_640_882, 19_702_113, "train", 1),
        heldout=side(lang, 29, 504_127, 505_411, "heldout", 2),
        settings=CorpusSettings(),
        seconds=38.2,
    )
    return report.to_json()


MakeRun = Callable[..., Path]


@pytest.fixture
def make_run(tmp_path: Path) -> MakeRun:
    """`make_run("en", leave_out=[...], **changes of run.json)` writes a run folder and returns its path."""

    def make(lang: str = "en", *, steps: int = 400, leave_out: tuple[str, ...] = (), **changes: Any) -> Path:
        folder = tmp_path / f"run-{lang}"
        files = {
            "run.json": run_json(lang, steps) | changes,
            "corpus/corpus.json": corpus_json(lang),
            "evaluation.json": {
                "heldout": {
                    "bits_per_byte": 1.641,
                    "loss": 3.81,
                    "perplexity": 45.15,
                    "tokens": 150_893,
                    "bytes": 505_411,
                },
                "baselines": {"xz": 1.838, "gzip": 2.114, "order0": 2.69},
                "ngram": {"bits_per_byte": 1.912, "order": 5, "tokens": 5_000_000, "share": 0.45},
            },
            "samples.json": CHINESE if lang == "zh" else PROSE,
        }
        for name, value in files.items():
            if name not in leave_out:
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                (folder / name).write_text(json.dumps(value), encoding="utf-8")
        if "metrics.jsonl" not in leave_out:
            lines = "".join(json.dumps(event) + "\n" for event in curve(steps))
            (folder / "metrics.jsonl").write_text(lines, encoding="utf-8")
        return folder

    return make


_SET = "document.title='pwned'"
_ENCODED = base64.b64encode(f"<script>{_SET}</script>".encode()).decode()

PAYLOADS = [
    f"<script>{_SET}</script>",
    f"</script><script>{_SET}</script>",
    f"<img src=x onerror={_SET}>",
    f'"><img src=x onerror="{_SET}">',
    f"'><svg onload={_SET}>",
    f"<svg><script>{_SET}</script></svg>",
    f"<svg/onload={_SET}//",
    f"<iframe src=javascript:parent.{_SET}></iframe>",
    f'<iframe srcdoc="<script>parent.{_SET}</script>"></iframe>',
    f"<body onload={_SET}>",
    f"<input autofocus onfocus={_SET}>",
    f"<details open ontoggle={_SET}>",
    f"<video><source onerror={_SET}></video>",
    f"<a href='javascript:{_SET}'>x</a>",
    f"<object data='data:text/html;base64,{_ENCODED}'></object>",
    f"<embed src='data:text/html;base64,{_ENCODED}'>",
    f"<math><mtext></mtext><script>{_SET}</script></math>",
    "<meta http-equiv=refresh content='0;url=about:blank#pwned'>",
    "<base href='https://example.org/'>",
    "<style>*{display:none}</style>",
    f"</style><script>{_SET}</script>",
    f"</title><script>{_SET}</script>",
    f"--><script>{_SET}</script><!--",
    f"]]><script>{_SET}</script>",
    f"&lt;script&gt;{_SET}&lt;/script&gt;",
    f"\u0000<script>{_SET}</script>",
    f"<scr\u0000ipt>{_SET}</script>",
    f"`${{{_SET}}}`",
    "\u202e\u2066reversed\u2069",
    "\ud800 lone surrogate",
    f"</code></pre><script>{_SET}</script>",
    f"</textarea><script>{_SET}</script>中文",
]


def hostile_run(payloads: list[str]) -> dict[str, object]:
    joined = "\n".join(payloads)
    return {
        "name": payloads[0],
        "status": payloads[1],
        "error": joined,
        "command": payloads[2],
        "recipe_toml": joined,
        "device": payloads[3],
        "precision": payloads[4],
        "created": payloads[5],
        "versions": {payload: payload for payload in payloads},
        "machine": {payload: [payload] for payload in payloads},
        "model": {"family": payloads[0], "parameters": 5, "config": {payload: payload for payload in payloads}},
        "tokenizer": {
            "kind": payloads[0],
            "vocab_size": 9,
            "sha256": payloads[1],
            "characters_per_token": dict.fromkeys(payloads, 1.0),
            "examples": [{"lang": payload, "text": payload, "tokens": [payload]} for payload in payloads],
        },
        "stages": [{"name": payload, "seconds": 1.0} for payload in payloads],
        "energy": {"kwh": 1.0, "method": payloads[0], "co2_kg": 1.0, "factor": 1.0},
        "hashes": {payload: payload for payload in payloads},
    }


def write_hostile(run: Path, payloads: list[str]) -> None:
    samples = [{"prompt": payload, "text": payload, "temperature": 1.0} for payload in payloads]
    (run / "samples.json").write_text(json.dumps(samples), encoding="utf-8")
    evaluation = {"heldout": {"bits_per_byte": 1.0}, "baselines": dict.fromkeys(payloads, 2.0)}
    (run / "evaluation.json").write_text(json.dumps(evaluation), encoding="utf-8")
    corpus = json.loads((run / "corpus" / "corpus.json").read_text(encoding="utf-8"))
    corpus |= {"source": payloads[0], "dropped": dict.fromkeys(payloads, 2)}
    corpus |= {
        "listed": [{"source": payload, "reason": payload} for payload in payloads],
        "encodings": {payloads[0]: 1},
    }
    corpus["train"]["languages"] = {payload: {"documents": 1} for payload in payloads}
    (run / "corpus" / "corpus.json").write_text(json.dumps(corpus), encoding="utf-8")


@pytest.fixture
def payloads() -> list[str]:
    """Texts that try to break out of a page."""
    return PAYLOADS


@pytest.fixture
def make_hostile_run(make_run: MakeRun) -> MakeRun:
    """A run folder whose every text tries to break out."""

    def make(lang: str = "en", **changes: Any) -> Path:
        run = make_run(lang, **hostile_run(PAYLOADS) | changes)
        write_hostile(run, PAYLOADS)
        return run

    return make
