"""The rival's side of benchmarks/corpus.py, run by the Python that has datatrove: python corpus_datatrove.py SOURCE OUT KIND WORKERS.

The steps are those of its examples (process_common_crawl_dump, minhash_deduplication): read, extract the main text, Gopher's
repetition and quality filters, C4's, FineWeb's, then MinHash in four passes, then write.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path


def main() -> None:
    source, out, kind, workers = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
    os.environ["LOGURU_LEVEL"] = "ERROR"
    from datatrove.executor import LocalPipelineExecutor
    from datatrove.pipeline.dedup import (
        MinhashDedupBuckets,
        MinhashDedupCluster,
        MinhashDedupFilter,
        MinhashDedupSignature,
    )
    from datatrove.pipeline.extractors import Trafilatura
    from datatrove.pipeline.filters import (
        C4QualityFilter,
        FineWebQualityFilter,
        GopherQualityFilter,
        GopherRepetitionFilter,
    )
    from datatrove.pipeline.readers import JsonlReader, WarcReader
    from datatrove.pipeline.writers.jsonl import JsonlWriter

    shutil.rmtree(out, ignore_errors=True)
    work = Path(out)

    def run(stage: str, steps: list, tasks: int) -> None:
        # a folder of logs for each stage: datatrove also keeps there which tasks are done
        logs = str(work / "logs" / stage)
        LocalPipelineExecutor(pipeline=steps, tasks=tasks, workers=workers, logging_dir=logs).run()

    begin = (
        [WarcReader(source), Trafilatura(favour_precision=False, timeout=30)]
        if kind == "warc"
        else [JsonlReader(source)]
    )
    filters = [
        GopherRepetitionFilter(), GopherQualityFilter(), C4QualityFilter(filter_no_terminal_punct=False), FineWebQualityFilter(),
    ]  # fmt: skip
    tasks = len(list(Path(source).iterdir()))
    run("filter", [*begin, *filters, JsonlWriter(str(work / "filtered"))], tasks)
    run("sign", [JsonlReader(str(work / "filtered")), MinhashDedupSignature(str(work / "signatures"))], tasks)
    run("bands", [MinhashDedupBuckets(str(work / "signatures"), str(work / "buckets"))], 14)
    run("clusters", [MinhashDedupCluster(str(work / "buckets"), str(work / "remove"))], 1)
    filtered = [JsonlReader(str(work / "filtered")), MinhashDedupFilter(str(work / "remove"))]
    run("write", [*filtered, JsonlWriter(str(work / "output"))], tasks)


if __name__ == "__main__":
    main()
