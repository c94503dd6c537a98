"""Shut this process in, then run a function of `exchange.py`. Started as a script by `run`; standard library only.

Linux takes away, one after the other (namespaces(7), mount_setattr(2), capabilities(7), setrlimit(2)):

- files: a new root that holds Python's library and the system's, read-only, and an empty folder in memory;
- network, other processes, shared memory, host name: namespaces of their own;
- rights: no capabilities, no user of the host, none to be gained by programs started; no further namespaces, which a
  process below a chroot may not make;
- amounts: memory, processor time, processes, size and number of open files.

Three processes: one outside that waits (and takes the rest with it when it is killed), the first inside, whose end is the
end of all others there, and the one that runs the program.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib.util
import json
import os
import resource
import signal
import sys
from pathlib import Path
from typing import Any

__all__ = ["main"]

_NEW_MOUNTS, _NEW_HOST_NAME, _NEW_IPC, _NEW_USER, _NEW_PIDS, _NEW_NETWORK = (
    0x00020000, 0x04000000, 0x08000000, 0x10000000, 0x20000000, 0x40000000,
)  # fmt: skip
_NOSUID, _NODEV, _BIND, _RECURSIVE, _PRIVATE = 0x2, 0x4, 0x1000, 0x4000, 0x40000
_DETACH = 2
_MOUNT_SETATTR, _AT_FDCWD, _AT_RECURSIVE = 442, -100, 0x8000
_ATTR_READ_ONLY, _ATTR_NOSUID, _ATTR_NODEV = 1, 2, 4
_DIE_WITH_PARENT, _DUMPABLE, _DROP_BOUND, _NO_NEW_RIGHTS = 1, 4, 24, 38
_CAPABILITY_VERSION = 0x20080522
_NOBODY = 65534
_FIRST_UID = 1_000_000_000
"""Users of the host that nobody is, so that the limit of processes counts those of this program alone."""


def main() -> None:
    """Read what to do from standard input, be shut in, do it."""
    order = json.loads(sys.stdin.buffer.read())
    limits, keep = order["limits"], order["keep"]
    spec = importlib.util.spec_from_file_location("exchange", Path(__file__).with_name("exchange.py"))
    assert spec is not None
    assert spec.loader is not None
    exchange = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(exchange)
    null = os.open(os.devnull, os.O_RDWR)
    libc = ctypes.CDLL(None, use_errno=True)
    _die_with_parent(libc, order["parent"])
    if order["isolate"]:
        _leave_the_host(libc, order["room"], limits)
        first = os.fork()
        if first:
            os._exit(_status(first))
        _drop_rights(libc)
        _die_with_parent(libc, 0)  # after that, because a change of the user undoes it
        _check(libc.prctl(_DUMPABLE, 0, 0, 0, 0), "hide memory")
    else:
        os.chdir(order["room"])
    inside = os.fork()
    if inside:
        os._exit(_status(inside))
    _limit(limits)
    for number in (0, 1, 2):
        os.dup2(null, number)
    last = max(keep, default=2)
    for number in set(range(3, last)) - set(keep):
        with contextlib.suppress(OSError):
            os.close(number)
    os.closerange(last + 1, 1024)
    getattr(exchange, order["call"])(**order["arguments"])
    os._exit(0)


def _status(process: int) -> int:
    """Wait for one process, and for all that others leave behind meanwhile."""
    while True:
        ended, status = os.wait()
        if ended == process:
            return min(abs(os.waitstatus_to_exitcode(status)), 255)


def _die_with_parent(libc: Any, parent: int) -> None:
    """Ask for it, and make sure that the parent is still there; 0 is one outside of our namespace of processes."""
    if sys.platform.startswith("linux"):
        _check(libc.prctl(_DIE_WITH_PARENT, signal.SIGKILL, 0, 0, 0), "die with the parent")
    if os.getppid() != parent:
        os._exit(1)


def _check(result: int, what: str) -> None:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"cannot {what}: {os.strerror(number)}")


def _leave_the_host(libc: Any, room: str, limits: dict[str, int]) -> None:
    """New namespaces, and a root of our own in place of the host's."""
    user, group = os.geteuid(), os.getegid()
    flags = _NEW_MOUNTS | _NEW_HOST_NAME | _NEW_IPC | _NEW_PIDS | _NEW_NETWORK
    # root needs no namespace of users to do what follows, and becomes somebody else at the end
    _check(libc.unshare(flags | (_NEW_USER if user else 0)), "make namespaces")
    if user:
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"{_NOBODY} {user} 1")
        Path("/proc/self/gid_map").write_text(f"{_NOBODY} {group} 1")

    def mount(source: str, target: str, kind: str | None, flags: int, data: str | None = None) -> None:
        arguments = [None if text is None else text.encode() for text in (source, target, kind)]
        _check(
            libc.mount(*arguments, ctypes.c_ulong(flags), None if data is None else data.encode()), f"mount {target}"
        )

    def lock(target: str, *, below: bool) -> None:
        attributes = (ctypes.c_uint64 * 4)(_ATTR_READ_ONLY | _ATTR_NOSUID | _ATTR_NODEV, 0, 0, 0)
        numbers = [_MOUNT_SETATTR, _AT_FDCWD, _AT_RECURSIVE if below else 0, ctypes.sizeof(attributes)]
        call, where, flags, size = map(ctypes.c_long, numbers)
        done = libc.syscall(call, where, target.encode(), flags, attributes, size)
        _check(done, f"make {target} read-only")

    mount("none", "/", None, _RECURSIVE | _PRIVATE)
    mount("tmpfs", room, "tmpfs", _NOSUID, "size=1m,mode=755")
    jail = f"{room}/jail"
    for library in _libraries():
        place = Path(jail + library)
        place.parent.mkdir(parents=True, exist_ok=True)
        if os.path.islink(library):
            place.symlink_to(os.readlink(library))
        elif not place.exists():
            place.mkdir()
            mount(library, str(place), None, _BIND | _RECURSIVE)
            lock(str(place), below=True)
    for device in ("null", "zero", "random", "urandom"):
        place = Path(jail, "dev", device)
        place.parent.mkdir(exist_ok=True)
        place.touch()
        mount(f"/dev/{device}", str(place), None, _BIND)
    work = Path(jail, "work")
    work.mkdir()
    mount("tmpfs", str(work), "tmpfs", _NOSUID | _NODEV, f"size={limits['file_bytes']},nr_inodes=1k,mode=777")
    lock(room, below=False)
    os.chdir(room)
    _check(libc.pivot_root(b".", b"."), "change the root")
    _check(libc.umount2(b".", _DETACH), "leave the old root")
    os.chroot("/jail")  # below a chroot the kernel grants nobody a namespace of users
    os.chdir("/work")


def _libraries() -> list[str]:
    """Folders that Python and its extension modules are loaded from; none twice, none within another."""
    own = str(Path(os.__file__).parent.parent)
    wanted = [path for path in ("/usr/lib", "/usr/lib64", "/lib", "/lib64") if os.path.isdir(path)]
    inside = any(own == path or own.startswith(f"{path}/") for path in wanted)
    return wanted if inside else [*wanted, own]


def _drop_rights(libc: Any) -> None:
    """Become a user without any right, for good."""
    for capability in range(64):
        libc.prctl(_DROP_BOUND, capability, 0, 0, 0)  # numbers beyond the last one are refused, which is fine
    if os.geteuid() == 0:
        os.setgroups([])
        user = _FIRST_UID + os.getpid() % 1_000_000
        try:
            os.setresgid(user, user, user)
            os.setresuid(user, user, user)
        except OSError:  # a container that knows few users
            os.setresgid(_NOBODY, _NOBODY, _NOBODY)
            os.setresuid(_NOBODY, _NOBODY, _NOBODY)
    header, nothing = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION, 0), (ctypes.c_uint32 * 6)()
    _check(libc.capset(header, nothing), "give up capabilities")
    _check(libc.prctl(_NO_NEW_RIGHTS, 1, 0, 0, 0), "refuse new rights")
    if os.geteuid() == 0:
        raise OSError("still root after giving up all rights")


def _limit(limits: dict[str, int]) -> None:
    os.setsid()
    for kind, most in (
        (resource.RLIMIT_AS, limits["memory_bytes"]),
        (resource.RLIMIT_CPU, limits["cpu_seconds"]),
        (resource.RLIMIT_FSIZE, limits["file_bytes"]),
        (resource.RLIMIT_NPROC, limits["processes"]),
        (resource.RLIMIT_NOFILE, limits["open_files"]),
        (resource.RLIMIT_CORE, 0),
    ):
        hard = resource.getrlimit(kind)[1]
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(kind, (most, most))


if __name__ == "__main__":
    try:
        main()
    except BaseException as error:
        sys.stderr.write(f"{type(error).__name__}: {error}")
        sys.stderr.flush()
        os._exit(1)
