"""Runs `hanmo` in forks of one process that has imported everything: real processes, without seconds of imports each.

Reads one JSON request per line from standard input: {"arguments", "folder", "out", "err", "file_bytes"}. Answers with the
process id, and then, when the process has ended, with its exit code (negative: the signal that killed it).
"""

from __future__ import annotations

import importlib
import json
import os
import resource
import sys

from hanmo.cli.app import main

PRELOAD = (
    "torch", "torch._dynamo", "torch.optim", "numba", "safetensors.torch", "tokenizers", "rich.console",
    "hanmo.cli.generate", "hanmo.cli.quickstart", "hanmo.cli.train", "hanmo.corpora.build", "hanmo.evaluation.report", "hanmo.stories.pretrain",
    "hanmo.tasks.loading", "hanmo.training.loop",
)  # fmt: skip


def run(request: dict[str, object]) -> int:
    os.chdir(str(request["folder"]))
    for number, name in ((0, os.devnull), (1, request["out"]), (2, request["err"])):
        descriptor = os.open(str(name), os.O_RDONLY if number == 0 else os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(descriptor, number)
        os.close(descriptor)
    if request["file_bytes"] is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(str(request["file_bytes"])),) * 2)
    arguments = [str(item) for item in request["arguments"]]  # type: ignore[attr-defined]
    sys.argv = ["hanmo", *arguments]
    code = main(arguments)
    sys.stderr.flush()
    return code


def serve() -> None:
    for name in PRELOAD:
        importlib.import_module(name)
    print("ready", flush=True)
    while line := sys.stdin.readline():
        child = os.fork()
        if child == 0:
            code = 70
            try:
                code = run(json.loads(line))
            finally:
                os._exit(code)
        print(child, flush=True)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


if __name__ == "__main__":
    serve()
