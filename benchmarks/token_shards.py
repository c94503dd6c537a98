"""Tokenising to shards against the raw batch encoding of `tokenizers` (its faster form, without offsets), on Chinese and on English text, in one run.

    HANMO_DATA=path/to/data python benchmarks/token_shards.py [--threads 2] [--repeats 5] [--mb 4]

The two take turns on the same texts with the same tokenizer and the same threads; `write_shards` also counts, packs, hashes
and writes. Prints MB of UTF-8 per second and the ratio of the medians.
"""

from __future__ import annotations

import argparse
import gzip
import os
import tempfile
import time
from pathlib import Path

SETS = {
    "zh": ("chinese_novels", "clue_corpus_small_sample"),
    "en": ("gutenberg_en", "tinyshakespeare", "wikitext2"),
}
CHARACTERS = {"zh": 1_000, "en": 3_000}
VOCAB_SIZE = 8192


def read_texts(data: Path, lang: str, mb: float) -> list[str]:
    """Documents of about 3 kB from all files of the sets."""
    files = [path for name in SETS[lang] for path in sorted((data / name).rglob("*.gz"))]
    text = "\n".join(gzip.decompress(path.read_bytes()).decode("utf-8") for path in files)
    texts, size = [], 0
    for start in range(0, len(text), CHARACTERS[lang]):
        texts.append(text[start : start + CHARACTERS[lang]])
        size += len(texts[-1].encode())
        if size > mb * 1e6:
            break
    return texts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=2, help="of the tokenizers library")
    parser.add_argument("--repeats", type=int, default=5, help="rounds of both")
    parser.add_argument("--mb", type=float, default=4.0, help="MB of each language")
    arguments = parser.parse_args()
    # read by the library when it starts its threads
    os.environ["RAYON_NUM_THREADS"] = str(arguments.threads)
    os.environ["TOKENIZERS_PARALLELISM"] = "true"

    from machine_line import machine_line, spread

    import tokenizers as hf
    from hanmo.corpora.shards import shard_dtype, write_shards
    from hanmo.tokenizers.bpe import train_bpe

    data = Path(os.environ["HANMO_DATA"])
    print(f"{machine_line(0, 'tokenizers')}; {arguments.threads} threads")
    for lang in SETS:
        texts = read_texts(data, lang, arguments.mb)
        size = sum(len(text.encode()) for text in texts) / 1e6
        tokenizer = train_bpe(texts, VOCAB_SIZE, max_bytes=1_000_000)
        raw = hf.Tokenizer.from_str(tokenizer.definition)
        assert tokenizer.eos_id is not None
        rates: dict[str, list[float]] = {"raw": [], "shards": []}
        for _ in range(arguments.repeats):
            started = time.perf_counter()
            n_tokens = sum(len(encoding.ids) for encoding in raw.encode_batch_fast(texts, add_special_tokens=False))
            rates["raw"].append(size / (time.perf_counter() - started))
            with tempfile.TemporaryDirectory() as folder:
                started = time.perf_counter()
                report = write_shards(
                    texts, tokenizer.encode_batch, tokenizer.eos_id, Path(folder) / "shards",
                    shard_dtype(tokenizer.vocab_size), tokenizer_sha256=tokenizer.sha256,
                )  # fmt: skip
                rates["shards"].append(size / (time.perf_counter() - started))
            assert report.n_tokens == n_tokens + len(texts)
        raw_rate, shard_rate = (sorted(values)[len(values) // 2] for values in rates.values())
        print(
            f"{lang}  {size:.1f} MB  {len(texts):,} documents  MB/s  raw {spread(rates['raw'])}  "
            f"shards {spread(rates['shards'])}  ratio {shard_rate / raw_rate:.2f}"
        )


if __name__ == "__main__":
    main()
