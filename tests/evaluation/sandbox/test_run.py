"""Hostile programs: none passes, and the machine is as before. Linux only, as the sandbox is."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from pathlib import Path

import pytest

from hanmo.evaluation.sandbox import run as sandbox
from hanmo.evaluation.sandbox.run import Limits, ProgramTests, SandboxError, run_tests

ADD = ProgramTests(called=("add",), code="assert add(1, 2) == 3\nassert add('甲', '乙') == '甲乙'")
GOOD = "def add(a, b):\n    return a + b\n"
SHORT = Limits(seconds=0.7, memory_bytes=256 << 20)


def test_isolation_is_there_or_programs_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox, "check_isolation", lambda: "it is not Linux")
    with pytest.raises(SandboxError, match=r"it is not Linux.*without isolation"):
        run_tests(GOOD, ADD)
    assert run_tests(GOOD, ADD, isolated=False).passed


@pytest.mark.usefixtures("jail")
def test_right_and_wrong() -> None:
    assert run_tests(GOOD, ADD).reason == "passed"
    assert run_tests("def add(a, b):\n    return a - b\n", ADD).reason == "a test fails"
    assert "not defined" in run_tests("x = 1", ADD).reason
    assert "SyntaxError" in run_tests("def add(", ADD).reason
    assert "ZeroDivisionError" in run_tests("1 / 0", ADD).reason
    helper = ProgramTests(
        before="import math\ndef near(x): return abs(x - math.pi) < .01", called=("pi",), code="assert near(pi())"
    )
    assert run_tests("def near(x): return True\ndef pi(): return 3.14159", helper).passed
    assert not run_tests("def near(x): return True\ndef pi(): return 4", helper).passed
    expects = ProgramTests(called=("f",), code="try:\n    f()\n    assert False\nexcept ValueError:\n    pass")
    assert run_tests("def f(): raise ValueError('no')", expects).passed


HOSTILE = {
    "fork bomb": "import os\nwhile True:\n    try:\n        os.fork()\n    except OSError:\n        pass",
    "thread bomb": "import threading, time\nwhile True:\n    threading.Thread(target=time.sleep, args=(99,)).start()",
    "endless loop": "while True: pass",
    "endless answer": "def add(a, b):\n    while True: pass",
    "sleep": "import time\ntime.sleep(1000)",
    "memory": "x = bytearray(10 << 30)",
    "memory by and by": "x = []\nwhile True: x.append(bytearray(1 << 20))",
    "huge number": "x = 9 ** 9 ** 9",
    "os._exit(0)": "import os\nos._exit(0)",
    "os._exit(0) when asked": "import os\ndef add(a, b): os._exit(0)",
    "sys.exit": "import sys\nsys.exit(0)",
    "kill all": "import os, signal\nos.kill(-1, signal.SIGKILL)",
    "stop the first": "import os, signal\nos.kill(1, signal.SIGKILL)\nos.kill(1, signal.SIGSTOP)\nos.kill(os.getppid(), 9)",
    "signals ignored": "import signal\nfor s in range(1, 65):\n    try: signal.signal(s, signal.SIG_IGN)\n    except (OSError, ValueError): pass\nwhile True: pass",
    "left behind": "import os\nif os.fork():\n    os._exit(0)\nos.setsid()\nwhile True: pass",
    "flood": "import sys\nwhile True: sys.stdout.write('x' * 10000); sys.stderr.write('y' * 10000)",
    "flood of answers": "import os\nwhile True:\n    for f in range(3, 64):\n        try: os.write(f, b'{\"is\": null}\\n' * 1000)\n        except OSError: pass",
    "long answer": "def add(a, b): return 'x' * (64 << 20)",
    "assert and equality patched": "import builtins\nclass E(Exception): pass\nbuiltins.AssertionError = E\nbuiltins.isinstance = lambda *a: True\nclass Any:\n    def __eq__(self, other): return True\ndef add(a, b): return Any()",
    "check patched": "import gc, sys\nfor o in gc.get_objects():\n    if isinstance(o, dict) and 'judge' in o: o['judge'] = lambda **k: None\ndef check(f): pass\ndef add(a, b): return 0",
    "verdict forged": "import json, os\nfor f in range(64):\n    try: os.write(f, json.dumps({'passed': True, 'reason': 'passed'}).encode() + b'\\n')\n    except OSError: pass\nos._exit(0)",
    "stack": "import sys\nsys.setrecursionlimit(10**9)\ndef f(x): return f((x,))\nf(0)",
    "crash": "import ctypes\nctypes.string_at(0)",
    "namespace": "import ctypes, os\nlibc = ctypes.CDLL(None)\nassert libc.unshare(0x10000000) == 0\nassert libc.mount(b'none', b'/work', b'tmpfs', 0, None) == 0\ndef add(a, b): return a + b",
    "setuid": "import os\nos.setuid(0)\ndef add(a, b): return a + b",
    "disk": "def add(a, b): return a + b\nfor i in range(100): open(f'{i}', 'wb').write(b'x' * (8 << 20))",
    "delete": "import shutil\nfor p in ('/', '/usr', '/lib'): shutil.rmtree(p)\ndef add(a, b): return a + b",
    "start a shell": "import subprocess\nsubprocess.run(['/bin/sh', '-c', 'true'], check=True)\ndef add(a, b): return a + b",
}  # fmt: skip


@pytest.mark.usefixtures("jail")
@pytest.mark.parametrize("name", HOSTILE)
def test_hostile(name: str) -> None:
    start = time.monotonic()
    verdict = run_tests(HOSTILE[name], ADD, SHORT)
    assert not verdict.passed, verdict
    assert time.monotonic() - start < SHORT.seconds + 3
    end = time.monotonic() + 5
    while _left_running() and time.monotonic() < end:  # the kernel takes its time to bury hundreds of processes
        time.sleep(0.02)
    assert not _left_running()


def _left_running() -> list[str]:
    """Processes of jails that are still there."""
    found = []
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = process.read_bytes().split(b"\0")
        except OSError:
            continue
        if any(word.endswith(b"sandbox/jail.py") for word in words):
            found.append(str(process))
    return found


@pytest.mark.usefixtures("jail")
def test_files_of_the_host_are_not_there(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    known = [
        str(tmp_path),
        str(tmp_path / "secret"),
        str(Path.home()),
        __file__,
        "/etc/passwd",
        "/proc/1/environ",
        "/sys",
    ]
    program = f"""
import os, pathlib
def seen():
    return [path for path in {[path for path in known if not Path(os.__file__).is_relative_to(path)]!r} if os.path.exists(path)]
def written():
    done = []
    for place in ["/", "/usr/lib", "/dev", "/lib", os.path.dirname(os.__file__)]:
        try:
            pathlib.Path(place, "new").write_text("x")
            done.append(place)
        except OSError:
            pass
    return done
def own():
    pathlib.Path("note").write_text("字")
    return [pathlib.Path("note").read_text(), os.listdir()]
def environment():
    return [dict(os.environ), os.getcwd(), os.uname().nodename == {socket.gethostname()!r} and False]
"""
    tests = ProgramTests(
        called=("seen", "written", "own", "environment"),
        code="assert seen() == [], seen()\nassert written() == []\nassert own() == ['字', ['note']]\n"
        "assert 'HOME' not in environment()[0] and 'PATH' not in environment()[0], environment()",
    )
    assert run_tests(program, tests).reason == "passed"
    assert (tmp_path / "secret").read_text() == "secret"


@pytest.mark.usefixtures("jail")
def test_no_network() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        met: list[object] = []
        threading.Thread(target=lambda: met.append(server.accept()), daemon=True).start()
        program = f"""
import socket
def reach():
    try:
        socket.create_connection(("127.0.0.1", {server.getsockname()[1]}), 1)
        return True
    except OSError:
        return False
"""
        assert run_tests(program, ProgramTests(called=("reach",), code="assert reach() is False")).reason == "passed"
        assert not met


@pytest.mark.usefixtures("jail")
def test_many_at_once() -> None:
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda n: run_tests(GOOD if n % 2 else "add = None", ADD).passed, range(12)))
    assert found == [bool(n % 2) for n in range(12)]


def _python_of_the_system() -> str | None:
    """One that other users may read, new enough to start a jail."""
    for python in ("/usr/bin/python3", "/usr/local/bin/python3"):
        if os.path.exists(python):
            told = subprocess.run([python, "-c", "import sys; print(sys.version_info >= (3, 11))"], capture_output=True)
            if told.stdout.strip() == b"True":
                return python
    return None


@pytest.mark.usefixtures("jail")
@pytest.mark.skipif(os.geteuid() != 0 or shutil.which("setpriv") is None, reason="needs root, to become another user")
@pytest.mark.skipif(_python_of_the_system() is None, reason="no Python that other users may read")
def test_without_root() -> None:
    """The way of users without rights: a namespace of users."""
    programs = [
        HOSTILE[name] for name in ("fork bomb", "os._exit(0)", "namespace", "setuid", "delete", "kill all", "disk")
    ]
    package = Path(sandbox.__file__).parent.parent.parent
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        for part in ("core", "evaluation"):
            Path(folder, "hanmo", part).mkdir(parents=True)
        shutil.copy(package / "core" / "errors.py", Path(folder, "hanmo", "core"))
        shutil.copytree(package / "evaluation" / "sandbox", Path(folder, "hanmo", "evaluation", "sandbox"))
        script = f"""
import sys
sys.path.insert(0, {folder!r})
from hanmo.evaluation.sandbox.run import *
tests = ProgramTests(called=("add",), code={ADD.code!r})
print(check_isolation())
for program in {[GOOD, *programs]!r}:
    print(run_tests(program, tests, Limits(seconds=1, memory_bytes=256 << 20)).passed)
"""
        command = [
            "setpriv",
            "--reuid=65534",
            "--regid=65534",
            "--clear-groups",
            str(_python_of_the_system()),
            "-c",
            script,
        ]
        done = subprocess.run(command, capture_output=True, text=True, env={})
    assert done.stdout.split() == ["None", "True", *["False"] * len(programs)], done
