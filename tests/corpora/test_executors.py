from __future__ import annotations

import functools
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from hanmo.core.errors import ConfigError, DataError, HanmoError, MissingExtraError
from hanmo.core.files import sha256_file
from hanmo.corpora.build import build_corpus
from hanmo.corpora.executors import Here, Processes, Ray
from hanmo.corpora.settings import CorpusSettings

CHINESE = "老先生清早写完了第{n}封长信，小徒弟把第{m}号空白的本子卖给了邻居，书店掌柜念了一遍又一遍。"
SETTINGS = CorpusSettings(min_chars=1000)


def square(number: int) -> int:
    return number * number


def refuse(number: int) -> int:
    raise DataError("this one cannot be read", where=f"part {number}", remedy="Take another.")


def die(number: int) -> int:
    os.kill(os.getpid(), signal.SIGKILL)
    return number


@pytest.fixture(scope="module")
def processes() -> Iterator[Processes]:
    workers = Processes(2)
    yield workers
    workers.close()


def test_both_do_every_task_once(processes: Processes) -> None:
    wanted = [number * number for number in range(40)]
    assert list(Here().run(square, range(40))) == wanted
    assert sorted(processes.run(square, range(40))) == wanted
    assert list(processes.run(square, [])) == []
    assert list(processes.run(square, [3])) == [9]


def test_an_error_of_a_worker_arrives_whole(processes: Processes) -> None:
    with pytest.raises(DataError, match=r"part \d: this one cannot be read\. Take another\."):
        list(processes.run(refuse, range(4)))
    assert sorted(processes.run(square, [1, 2])) == [1, 4]


def test_a_killed_worker_is_an_error_that_says_so(processes: Processes) -> None:
    with pytest.raises(HanmoError, match="a worker process was killed"):
        list(processes.run(die, range(4)))
    assert sorted(processes.run(square, [1, 2])) == [1, 4]


def test_fewer_than_one_worker() -> None:
    with pytest.raises(ConfigError, match="0 worker processes"):
        Processes(0)


def test_ray_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingExtraError, match=r"hanmo\[cluster\]"):
        list(Ray().run(square, [1]))


def test_a_script_without_a_main_guard_is_not_run_again(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "print('once')\n"
        "from hanmo.corpora.executors import Processes\n"
        "workers = Processes(2)\n"
        "print(sorted(workers.run(abs, [-1, -2, -3])))\n"
        "workers.close()\n"
    )
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.splitlines() == ["once", "[1, 2, 3]"]


# -- a cluster ---------------------------------------------------------------------------------------------------


def write_texts(folder: Path, n_files: int) -> None:
    folder.mkdir()
    for number in range(n_files):
        lines = (CHINESE.format(n=number * 3100 + k, m=number * 1700 + k * k) for k in range(2_000))
        (folder / f"{number:03}.txt").write_text("\n".join(lines), encoding="utf-8")


def start_node(*arguments: str) -> subprocess.Popen[bytes]:
    """`ray start` as people start it, but in the foreground, so that it can be killed with all that it starts."""
    ray = Path(sys.executable).with_name("ray")
    command = [str(ray), "start", "--block", "--num-cpus=1", "--object-store-memory=80000000", *arguments]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)


def wait_for_nodes(n_nodes: int, address: str) -> None:
    import ray

    end = time.monotonic() + 90
    while time.monotonic() < end:
        try:
            ray.init(address=address, log_to_driver=False)
        except ConnectionError:
            time.sleep(1)
            continue
        alive = sum(node["Alive"] for node in ray.nodes())
        ray.shutdown()
        if alive == n_nodes:
            return
        time.sleep(1)
    raise AssertionError(f"no {n_nodes} nodes at {address}")


class KillAfter(Ray):
    """Kills a node when some tasks of the first stage are done."""

    def __init__(self, address: str, node: subprocess.Popen[bytes], n_results: int):
        super().__init__(address)
        self.node, self.left = node, n_results

    def run(self, function, tasks):
        for result in super().run(function, tasks):
            self.left -= 1
            if self.left == 0:
                os.killpg(self.node.pid, signal.SIGKILL)
            yield result


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_two_nodes_of_ray_one_of_them_killed_give_the_same_bytes(tmp_path: Path) -> None:
    pytest.importorskip("ray", reason="ray is not installed")
    write_texts(tmp_path / "texts", 24)
    build = functools.partial(build_corpus, tmp_path / "texts", settings=SETTINGS)
    plain = build(out=tmp_path / "plain", n_workers=1)
    port = 20_000 + os.getpid() % 10_000
    address = f"127.0.0.1:{port}"
    head = start_node("--head", f"--port={port}", "--include-dashboard=false", "--node-ip-address=127.0.0.1")
    other = start_node(f"--address={address}", "--node-ip-address=127.0.0.1")
    try:
        wait_for_nodes(2, address)
        whole = Ray(address)
        report = build(out=tmp_path / "whole", executor=whole)
        whole.close()
        assert (report.train.sha256, report.heldout.sha256) == (plain.train.sha256, plain.heldout.sha256)
        killing = KillAfter(address, other, 5)
        report = build(out=tmp_path / "killed", executor=killing)
        killing.close()
        assert killing.left < 0
        assert other.wait(10) != 0
        assert (report.train.sha256, report.heldout.sha256) == (plain.train.sha256, plain.heldout.sha256)
        assert report.documents_read == plain.documents_read
        assert sha256_file(tmp_path / "killed" / "train.jsonl.gz") == plain.train.sha256
    finally:
        for node in (other, head):
            if node.poll() is None:
                os.killpg(node.pid, signal.SIGKILL)
                node.wait()
