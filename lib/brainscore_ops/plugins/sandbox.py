"""Running strangers' code where it sees nothing of ours, within limits, so that nothing of it stays behind."""

from __future__ import annotations

import functools
import json
import os
import secrets
import select
import selectors
import shutil
import signal
import subprocess
import tempfile
import time
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Literal

import psutil

from brainscore_ops.errors import Fault, UnavailableError, UsageError
from brainscore_ops.plugins.devices import gpu_variables
from brainscore_ops.plugins.files import copy_out
from brainscore_ops.plugins.output import BoundedOutput, end_of
from brainscore_ops.plugins.seccomp import seccomp_filter
from brainscore_ops.plugins.watchdog import (
    MemoryFolder,
    count_processes,
    end_tree,
    folder_excess,
    processes_of,
    usage_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

GiB = 1024**3
MiB = 1024**2

Reason = Literal["ok", "failed", "timeout", "out-of-memory", "process-limit", "output-limit", "disk-limit", "killed"]

HOME = "/home/plugin"
"""The home folder inside: empty, in memory, gone afterwards."""

_USER_INSIDE = 1000
# As root we become this user first. Root's files, and root's rights in /proc/sys, are open to whoever has root's number
# even without a single capability; and the kernel exempts root from the limit on processes.
_USER_INSTEAD_OF_ROOT = 65533

_ENDLESS_OUTPUT = 64
"""A stream may print this many times what is kept of it; then it is taken for endless."""
_TASKS_PER_PROCESS = 2
"""The kernel counts threads as processes. Its limit is for what grows between two looks."""
_MANY_PROCESSES = 16
_MAX_OPEN_FILES = 1024

_FIRST_LOOK_SECONDS = 0.01
_LOOK_SECONDS = 0.1
_LONGEST_PAUSE_SECONDS = 0.5
_LOOK_AT_FOLDERS_SECONDS = 1.0
_EXIT_GRACE_SECONDS = 10.0
_SETUP_SECONDS = 60.0

_SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/etc/ld.so.cache", "/etc/alternatives")
_NETWORK_FILES = ("/etc/resolv.conf", "/etc/ssl", "/etc/pki", "/etc/ca-certificates")
_BWRAP_OPTIONS = ("--size", "--disable-userns", "--json-status-fd")
# Where whoever started the sandbox dies before the line comes, nothing begins: bubblewrap has had no time yet to tie its life
# to theirs, and its own --block-fd lets go when nobody is left to write.
_WAIT_AT_GATE = 'read -r _ && exec "$@" </dev/null'
_MEMORY_FOLDERS = ("/tmp", "/dev/shm", HOME)  # noqa: S108 - these are the sandbox's own


class SandboxMissingError(UnavailableError):
    """There is no usable bubblewrap on this machine."""

    code = "sandbox-missing"
    fault = Fault.OPERATOR


class SandboxBrokenError(UnavailableError):
    """Bubblewrap is there, but could not set the sandbox up, or what came of it could not be kept: there is no outcome."""

    code = "sandbox-broken"


@dataclass(frozen=True)
class Limits:
    """What a command may use, with everything that it starts, before all of it is killed."""

    wall_seconds: float = 600
    memory_bytes: int = 4 * GiB
    """Resident memory of all processes together, with what they keep in files: all that they can write to is in memory."""
    processes: int = 256
    output_bytes: int = MiB
    """How much is kept of each of stdout and stderr; 64 times as much is too much."""
    file_bytes: int = GiB
    """What it may write: in one file, and in each of its folders, which are kept in memory."""


@dataclass(frozen=True)
class Outcome:
    """How a command ended, and what it used."""

    reason: Reason
    """Why it ended. ``failed``: by itself, not with exit code 0; ``killed``: by a signal that was not ours."""
    detail: str
    """The reason in words; empty for ``ok``."""
    returncode: int
    """As a shell counts: 128 + n for signal n."""
    stdout: str
    """Its beginning and its end, as plain text."""
    stderr: str
    wall_seconds: float
    cpu_seconds: float
    """Of all processes together."""
    peak_memory_bytes: int
    """The highest that was seen; looked at ten times a second."""
    sandboxed: bool

    @property
    def log(self) -> str:
        """The ends of both streams, for people."""
        streams = (("stdout", self.stdout), ("stderr", self.stderr))
        return "\n".join(f"--- {name}\n{end_of(text).strip()}" for name, text in streams if text.strip())


class Sandbox:
    """Runs commands under bubblewrap, or (where a deployment says so in writing) without any protection.

    Inside are: the system's programs and libraries, read-only; the folders that a call names; empty folders in memory for
    /tmp, /dev/shm, the home and what a call wants to have written; its own processes, and no others; the variables that a
    call names, and a few harmless ones. Outside stay: the network (unless allowed), /etc, every home, every variable and
    every process of ours. No capability is left, none can be won by a new user namespace or a setuid program, and the user
    is not root, neither inside nor outside. Nothing that is written inside touches a disk: what a call wants is copied
    out at the end, ordinary files only, within the limits.

    What this promises: a plugin learns nothing that it was not shown, changes nothing but its own result, and leaves
    nothing running. What it does not promise:

    - That a score is honest. A model runs in the process that scores it, because Brain-Score's benchmarks call the model
      as a Python object and read its answers as arrays, thousands of times; so a model can read the benchmark's data, and
      replace its metric. To keep them apart would take a protocol between two processes for every kind of model.
      What is recorded is therefore a claim of the plugin's, made with the code of a commit that anybody can read.
    - That plugins are hidden from one another: they import each other, so that the whole library at the scored commit is
      readable. Other checkouts, submissions, environments and results are not.
    - Protection from a fault of the kernel.
    - With ``network``, anything about the network: whatever this machine reaches can be reached, the services that listen on
      it included.

    :param kind: ``bubblewrap``, or ``none`` for no protection: limits hold as far as they can without it
    :param network: whether the network can be reached
    :param devices: device files that can be opened, besides those that every program needs; then the variables go along that
        say which graphics processors are ours
    :raises SandboxMissingError: this machine has no usable bubblewrap
    """

    def __init__(
        self,
        kind: Literal["bubblewrap", "none"] = "bubblewrap",
        *,
        network: bool = False,
        devices: Sequence[Path] = (),
    ) -> None:
        self.kind = kind
        self.network = network
        self.devices = tuple(devices)
        if kind == "bubblewrap":
            _bubblewrap()

    def run(
        self,
        command: Sequence[str | Path],
        *,
        readonly: Sequence[Path],
        writable: Mapping[Path, str],
        cwd: str,
        environment: Mapping[str, str],
        limits: Limits,
        on_line: Callable[[str], None] | None = None,
    ) -> Outcome:
        """Run a command to its end, or to the first limit that it crosses. Nothing of it is left when this returns.

        :param command: the program by its absolute path, and its arguments
        :param readonly: folders and files that it may read, at the same paths as outside
        :param writable: empty folders of ours that take what it writes, and where they are inside. It ends up in there
            only where no limit was crossed: ordinary files and folders, whose contents are hostile
        :param cwd: where it starts, as seen from inside
        :param environment: its variables, besides a few harmless ones
        :param limits: what it may use
        :param on_line: told each line of either stream at once, as plain text
        :raises SandboxBrokenError: the sandbox could not be set up; the command was not run
        """
        with ExitStack() as resources:
            if self.kind == "bubblewrap":
                job = resources.enter_context(
                    _in_bubblewrap(command, readonly, writable, cwd, limits, self.network, self.devices)
                )
            else:
                job = resources.enter_context(_unprotected(command, writable, cwd, limits))
            environment = {**job.environment, **(gpu_variables() if self.devices else {}), **environment}
            return _Run(job, environment, limits, writable, on_line).to_its_end()


@dataclass(frozen=True)
class _Job:
    """A command that is ready to be started."""

    command: list[str]
    cwd: str
    environment: dict[str, str]
    pass_fds: tuple[int, ...] = ()
    status_fd: int | None = None
    """Where bubblewrap writes which process is the sandbox's first, and how the command ended."""
    gate_fd: int = -1
    """A line written here starts the command, which waits for it in the finished sandbox."""
    stdin: int = subprocess.DEVNULL
    mark: str = ""
    """A folder that nothing else has, at the root of the finished sandbox."""


@contextmanager
def _in_bubblewrap(
    command: Sequence[str | Path],
    readonly: Sequence[Path],
    writable: Mapping[Path, str],
    cwd: str,
    limits: Limits,
    network: bool,
    devices: Sequence[Path],
) -> Iterator[_Job]:
    shown = [path for path in map(Path, (*_SYSTEM, *(_NETWORK_FILES if network else ()))) if path.exists()]
    shown += _to_bind(readonly)
    size = str(min(limits.file_bytes, limits.memory_bytes))
    with ExitStack() as files:

        def made(content: str | bytes = "") -> str:
            """A file without a name, that bubblewrap inherits; inside nobody does."""
            file = files.enter_context(os.fdopen(os.memfd_create("sandbox"), "w+b"))
            file.write(content.encode() if isinstance(content, str) else content)
            file.seek(0)
            fds.append(file.fileno())
            return str(file.fileno())

        fds: list[int] = []
        arguments = [_bubblewrap(), "--unshare-all", "--unshare-user", "--disable-userns", "--cap-drop", "ALL"]
        arguments += ["--share-net"] if network else []
        arguments += ["--die-with-parent", "--new-session", "--hostname", "sandbox"]
        arguments += ["--uid", str(_USER_INSIDE), "--gid", str(_USER_INSIDE)]
        arguments += ["--proc", "/proc", "--dev", "/dev"]
        for place in (*_MEMORY_FOLDERS, *writable.values()):
            arguments += ["--perms", "1777", "--size", size, "--tmpfs", place]
        arguments += _dev_binds(devices)
        arguments += ["--file", made(f"plugin:x:{_USER_INSIDE}:{_USER_INSIDE}::{HOME}:/bin/false\n"), "/etc/passwd"]
        arguments += ["--file", made(f"plugin:x:{_USER_INSIDE}:\n"), "/etc/group"]
        arguments += ["--file", made("127.0.0.1 localhost sandbox\n"), "/etc/hosts"]
        arguments += _binds(shown)
        if refused := seccomp_filter():
            arguments += ["--seccomp", made(refused)]
        mark = f".{secrets.token_hex(8)}"
        arguments += ["--dir", f"/{mark}", "--remount-ro", "/dev", "--remount-ro", "/", "--chdir", cwd]
        arguments += ["--json-status-fd", made()]
        status_fd = fds[-1]
        gate, gate_fd = os.pipe()
        for fd in (gate, gate_fd):
            files.callback(os.close, fd)
        arguments += ["--", "/bin/sh", "-c", _WAIT_AT_GATE, "sh", *_limited(command, limits, alone=True)]
        if os.geteuid() == 0:
            arguments = _as_ordinary_user(arguments, shown, devices)
        variables = _harmless_variables(HOME, _MEMORY_FOLDERS[0])
        yield _Job(arguments, "/", variables, tuple(fds), status_fd, gate_fd, mark=mark, stdin=gate)


def _to_bind(readonly: Sequence[Path]) -> list[Path]:
    """The paths that are not inside already, folders before what lies in them."""
    absolute = {Path(os.path.abspath(path)) for path in readonly}  # noqa: PTH100 - links stay: the name inside counts
    return sorted(path for path in absolute if not path.is_relative_to("/usr"))


def _binds(shown: Sequence[Path]) -> list[str]:
    """Bubblewrap's arguments for what can be read at the same path as outside."""
    arguments = []
    for path in shown:
        if path.is_symlink() and str(path) in _SYSTEM:
            arguments += ["--symlink", str(path.readlink()), str(path)]
        else:
            arguments += ["--ro-bind", str(path.resolve()), str(path)]
    return arguments


def _dev_binds(devices: Sequence[Path]) -> list[str]:
    return [argument for path in devices for argument in ("--dev-bind", str(path), str(path))]


def _as_ordinary_user(arguments: Sequence[str], shown: Sequence[Path], devices: Sequence[Path]) -> list[str]:
    """The same as another user than root.

    That user may have no way to what it needs: folders above may be closed to others. So an outer bubblewrap, with root's
    rights, first makes a view in which the way is open and nothing else is there; the sandbox is then built within it.
    """
    for path in shown:
        if path.stat().st_mode & 0o004 == 0:
            raise UsageError(
                f"{path} has to be readable for everybody: as root, strangers' code is run as user {_USER_INSTEAD_OF_ROOT}.",
                remedy=f"chmod -R a+rX {path}, or run brainscore-ops as an ordinary user.",
                code="not-readable-in-sandbox",
            )
    # What is shown under another name than its own is looked up by its own.
    sources = sorted({path.resolve() for path in shown if not (path.is_symlink() and str(path) in _SYSTEM)})
    links = [path for path in shown if path.is_symlink() and str(path) in _SYSTEM]
    view = [_bubblewrap(), "--die-with-parent", "--cap-drop", "ALL"]
    for capability in ("CAP_SETUID", "CAP_SETGID", "CAP_KILL"):
        view += ["--cap-add", capability]
    # Bubblewrap builds a sandbox on /tmp, so that the inner one needs one too.
    view += ["--bind", "/proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp"]  # noqa: S108
    opened = {parent for path in (*sources, *devices) for parent in path.parents}
    for parent in sorted(opened - {Path("/"), Path("/dev")}):
        view += ["--perms", "0755", "--dir", str(parent)]
    view += [*_binds(links), *_binds(sources), *_dev_binds(devices)]
    # Death is handed on from parent to child as a signal, which the parent must be allowed to send to another user:
    # the outer bubblewrap has given that right away. So a process stands between that has it, and only waits.
    waiting = [_system_program("setsid"), "--fork", "--wait"]
    user = str(_USER_INSTEAD_OF_ROOT)
    setpriv = [_system_program("setpriv"), f"--reuid={user}", f"--regid={user}", "--clear-groups", "--inh-caps=-all"]
    return [*view, "--", *waiting, *setpriv, "--", *arguments]


@contextmanager
def _unprotected(
    command: Sequence[str | Path], writable: Mapping[Path, str], cwd: str, limits: Limits
) -> Iterator[_Job]:
    def outside(argument: str) -> str:
        for path, place in writable.items():
            if argument == place or argument.startswith(f"{place}/"):
                return f"{path}{argument.removeprefix(place)}"
        return argument

    with tempfile.TemporaryDirectory(prefix="brainscore-ops-", ignore_cleanup_errors=True) as scratch:
        arguments = [outside(str(argument)) for argument in command]
        yield _Job(_limited(arguments, limits, alone=False), outside(cwd), _harmless_variables(scratch, scratch))


def _limited(command: Sequence[str | Path], limits: Limits, *, alone: bool) -> list[str]:
    """The command under the kernel's own limits.

    :param alone: whether its processes are counted apart from everything else that the same user runs
    """
    return [
        _system_program("prlimit"),
        f"--fsize={limits.file_bytes}",
        *([f"--nproc={limits.processes * _TASKS_PER_PROCESS}"] if alone else []),
        f"--nofile={_MAX_OPEN_FILES}",
        "--core=0",
        "--",
        *map(str, command),
    ]


def _system_program(name: str) -> str:
    path = shutil.which(name, path="/usr/bin:/bin")
    if path is None:
        raise SandboxMissingError(
            f"The program {name} is expected in /usr/bin; strangers' code is not run without it.",
            remedy="Install the package util-linux.",
        )
    return path


def _harmless_variables(home: str, temporary: str) -> dict[str, str]:
    threads = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")
    return {
        "PATH": "/usr/bin:/bin",
        "HOME": home,
        "TMPDIR": temporary,
        "USER": "plugin",
        "LANG": "C.UTF-8",
        "PYTHONUNBUFFERED": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        # Several pairs share a node: one that wants more threads for itself is told so by its resource class.
        **dict.fromkeys(threads, "1"),
    }


@functools.cache
def _bubblewrap() -> str:
    remedy = (
        "Install bubblewrap 0.8 or newer: 'apt-get install bubblewrap', 'dnf install bubblewrap' or "
        "'conda install -c conda-forge bubblewrap'."
    )
    path = shutil.which("bwrap")
    if path is None:
        raise SandboxMissingError("The program bwrap (bubblewrap) is expected on PATH and is not there.", remedy=remedy)
    help_text = subprocess.run([path, "--help"], capture_output=True, text=True, timeout=30, check=False).stdout
    missing = [option for option in _BWRAP_OPTIONS if option not in help_text]
    if missing:
        raise SandboxMissingError(f"{path} is too old: it does not know {', '.join(missing)}.", remedy=remedy)
    return path


class _Run:
    """One command, from its start until nothing of it is left."""

    def __init__(
        self,
        job: _Job,
        environment: Mapping[str, str],
        limits: Limits,
        writable: Mapping[Path, str],
        on_line: Callable[[str], None] | None,
    ) -> None:
        self._job = job
        self._limits = limits
        self._writable = writable
        self._stdout = BoundedOutput(limits.output_bytes, on_line)
        self._stderr = BoundedOutput(limits.output_bytes, on_line)
        self._peak_memory = 0
        self._breach: tuple[Reason, str] | None = None
        self._counted = 0
        self._seen: dict[int, psutil.Process] = {}
        self._folders: dict[str, MemoryFolder] = {}
        self._began = self._looked_at_folders = time.monotonic()
        self._cpu_seconds = 0.0
        self._process = subprocess.Popen(
            job.command,
            stdin=job.stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=dict(environment),
            cwd=job.cwd,
            pass_fds=job.pass_fds,
            start_new_session=True,
        )
        self._root = psutil.Process(self._process.pid)

    def to_its_end(self) -> Outcome:
        """Wait for the end, whatever brings it."""
        with self._process:
            try:
                _offer_to_oom_killer(self._process.pid)
                if self._job.status_fd is not None:
                    self._open_gate()
                self._watch()
                outcome = self._outcome()
                if self._breach is None:
                    self._hand_out()
            finally:
                # Also where reading was interrupted: by Ctrl-C, or by an error of whoever reads the lines.
                self._end_everything()
                for folder in self._folders.values():
                    folder.close()
        return outcome

    def _open_gate(self) -> None:
        """Take hold of the folders inside, then let the command begin.

        A folder in memory that is held from outside can be read after everything inside has ended.
        """
        places = (*_MEMORY_FOLDERS, *self._writable.values())
        with _pidfd(self._process.pid) as exit_fd:
            while not select.select([exit_fd], [], [], _FIRST_LOOK_SECONDS / 4)[0]:
                first = self._status().get("child-pid")
                if first and (folders := _folders_inside(first, self._job.mark, places)):
                    self._folders = folders
                    os.write(self._job.gate_fd, b"\n")
                    return
                if time.monotonic() - self._began > _SETUP_SECONDS:
                    raise SandboxBrokenError(f"Bubblewrap did not set the sandbox up within {_SETUP_SECONDS:g} s.")

    def _hand_out(self) -> None:
        for folder, place in self._writable.items():
            if place not in self._folders:
                continue
            try:
                copy_out(self._folders[place].fd, folder, self._limits.file_bytes)
            except OSError as error:
                raise SandboxBrokenError(
                    f"What was written in the sandbox could not be kept in {folder}: {error.strerror}.",
                    remedy="Look at the disk and its rights, then run this again.",
                ) from error

    def _watch(self) -> None:
        streams = {_number(self._process.stdout): self._stdout, _number(self._process.stderr): self._stderr}
        with _pidfd(self._process.pid) as exit_fd, selectors.DefaultSelector() as selector:
            selector.register(exit_fd, selectors.EVENT_READ)
            for stream in streams:
                selector.register(stream, selectors.EVENT_READ)
            pause = _FIRST_LOOK_SECONDS
            look_next = time.monotonic() + pause
            while self._breach is None:
                ready = {key.fd for key, _ in selector.select(max(0.0, look_next - time.monotonic()))}
                if exit_fd in ready:
                    break
                for stream in ready:
                    if not _read_once(stream, streams[stream]):
                        selector.unregister(stream)
                began = time.monotonic()
                if began >= look_next:
                    self._breach = self._look(began)
                    ended = time.monotonic()
                    # Short runs are looked at early; where a look takes long, it is to take no more than a tenth of a core.
                    pause = min(2 * pause, _LOOK_SECONDS)
                    look_next = ended + max(pause, min(10 * (ended - began), _LONGEST_PAUSE_SECONDS))
        self._end_everything()
        for stream, output in streams.items():
            _drain(stream, output)
            output.close()
        if self._breach is None:
            self._breach = self._full_folder()

    def _look(self, now: float) -> tuple[Reason, str] | None:
        """The limit that is crossed, and how far."""
        limits = self._limits
        if now - self._began > limits.wall_seconds:
            return "timeout", f"it ran longer than {limits.wall_seconds:g} s"
        printed = max(self._stdout.total_bytes, self._stderr.total_bytes)
        if printed > limits.output_bytes * _ENDLESS_OUTPUT:
            return "output-limit", f"it printed more than {_size(limits.output_bytes * _ENDLESS_OUTPUT)}"

        first = self._status().get("child-pid")
        root = Path(f"/proc/{first}/root")
        # Its number may be another process's once the sandbox has ended: only ours has the mark.
        inside = root if first and os.path.lexists(root / self._job.mark) else None
        # Counted before anything else: while hundreds of processes spin, every further look would take seconds.
        count = count_processes(inside / "proc") if inside else 0
        tree = processes_of(self._root) if count <= limits.processes else []
        count = max(count, len(tree))
        if count > limits.processes:
            return "process-limit", f"it started more than the {limits.processes} processes that are allowed"
        multiplying = count > 2 * self._counted + _MANY_PROCESSES
        self._counted = count
        if multiplying:
            return None

        if self._job.status_fd is None:
            self._seen.update({process.pid: process for process in tree})
        usage = usage_of(tree, memory_folders=self._folders.values(), memory_limit=limits.memory_bytes)
        self._peak_memory = max(self._peak_memory, usage.memory_bytes)
        self._cpu_seconds = max(self._cpu_seconds, usage.cpu_seconds)
        if usage.memory_bytes > limits.memory_bytes:
            return (
                "out-of-memory",
                f"it used {_size(usage.memory_bytes)} of memory, where {_size(limits.memory_bytes)} are allowed",
            )
        if self._job.status_fd is not None:
            return self._full_folder()
        if usage.written_bytes > limits.file_bytes:
            return "disk-limit", f"it wrote more than the {_size(limits.file_bytes)} that are allowed"
        if now - self._looked_at_folders >= _LOOK_AT_FOLDERS_SECONDS:
            found = (folder_excess(folder, limits.file_bytes) for folder in self._writable)
            excess = next(filter(None, found), None)
            self._looked_at_folders = time.monotonic()
            if excess:
                return "disk-limit", f"it filled its folder: {excess}"
        return None

    def _full_folder(self) -> tuple[Reason, str] | None:
        for place, folder in self._folders.items():
            if excess := folder.excess():
                return "disk-limit", f"it filled {place}: {excess}"
        return None

    def _end_everything(self) -> None:
        """Kill what is left, wait until it is gone, and count the time that it used."""
        if self._process.returncode is not None:
            return
        if self._job.status_fd is None:
            end_tree(self._root, [*self._seen.values()])
        else:
            self._end_inside()
        with _pidfd(self._process.pid) as outer:
            if not _wait(outer):
                self._process.kill()
        _, status, used = os.wait4(self._process.pid, 0)
        self._process.returncode = os.waitstatus_to_exitcode(status)
        self._cpu_seconds = max(self._cpu_seconds, used.ru_utime + used.ru_stime)

    def _end_inside(self) -> None:
        """End the sandbox's first process, and with it, by the kernel's rule, all that are inside.

        Also after the command's own end: bubblewrap returns then, while what the command left behind is still dying.
        """
        told = self._status()
        first = told.get("child-pid")
        if first is None:
            self._process.kill()
            return
        # It may be gone, and its number may be another's: the namespace tells.
        with suppress(OSError), _pidfd(first) as inside:
            if Path(f"/proc/{first}/ns/pid").stat().st_ino == told.get("pid-namespace"):
                signal.pidfd_send_signal(inside, signal.SIGKILL)
                _wait(inside)

    def _outcome(self) -> Outcome:
        reason, detail, returncode = self._end()
        return Outcome(
            reason,
            detail,
            returncode,
            self._stdout.text(),
            self._stderr.text(),
            wall_seconds=time.monotonic() - self._began,
            cpu_seconds=self._cpu_seconds,
            peak_memory_bytes=self._peak_memory,
            sandboxed=self._job.status_fd is not None,
        )

    def _end(self) -> tuple[Reason, str, int]:
        returncode = self._process.returncode
        if returncode < 0:
            returncode = 128 - returncode
        if self._breach:
            return *self._breach, returncode
        if self._job.status_fd is not None:
            told = self._status().get("exit-code")
            if told is None and self._process.returncode >= 0:
                raise SandboxBrokenError(
                    f"Bubblewrap could not set the sandbox up: {end_of(self._stderr.text().strip(), 500)}",
                    remedy="Unprivileged user namespaces have to be allowed here: see sysctl kernel.unprivileged_userns_clone, "
                    "user.max_user_namespaces and kernel.apparmor_restrict_unprivileged_userns.",
                    log=self._stderr.text(),
                )
            returncode = returncode if told is None else told
        if returncode == 0:
            return "ok", "", 0
        if returncode - 128 in (signal.SIGKILL, signal.SIGTERM):
            return "killed", f"something else than its limits ended it, by {_signal_name(returncode)}", returncode
        if returncode > 128:
            return "failed", f"it crashed with {_signal_name(returncode)}", returncode
        return "failed", f"it ended with exit code {returncode}", returncode

    def _status(self) -> dict[str, int]:
        """What bubblewrap has told so far: ``child-pid`` once the sandbox is there, ``exit-code`` at its end."""
        if self._job.status_fd is None:
            return {}
        told: dict[str, int] = {}
        for line in os.pread(self._job.status_fd, 4096, 0).decode().splitlines(keepends=True):
            if line.endswith("\n"):
                told.update(json.loads(line))
        return told


def _folders_inside(first: int, mark: str, places: Iterable[str]) -> dict[str, MemoryFolder] | None:
    """The sandbox's folders in memory, held open; None while it is not finished.

    :param first: the sandbox's first process
    :param mark: what only the finished sandbox has at its root: until then a place is still one of ours
    """
    try:
        root = os.open(f"/proc/{first}/root", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        os.stat(mark, dir_fd=root, follow_symlinks=False)
        return {place: MemoryFolder.inside(root, place) for place in places}
    except FileNotFoundError:
        return None
    finally:
        os.close(root)


@contextmanager
def _pidfd(pid: int) -> Iterator[int]:
    fd = os.pidfd_open(pid)
    try:
        yield fd
    finally:
        os.close(fd)


def _wait(pidfd: int) -> bool:
    """Whether a process is gone, within a time in which anything that was killed is."""
    return bool(select.select([pidfd], [], [], _EXIT_GRACE_SECONDS)[0])


def _number(stream: IO[bytes] | None) -> int:
    if stream is None:  # cannot be: both are pipes
        raise AssertionError
    return stream.fileno()


def _read_once(fd: int, output: BoundedOutput) -> bool:
    chunk = os.read(fd, 1 << 16)
    output.feed(chunk)
    return bool(chunk)


def _drain(fd: int, output: BoundedOutput) -> None:
    """Read what is left in a pipe, without waiting for more."""
    os.set_blocking(fd, False)
    with suppress(BlockingIOError):
        while _read_once(fd, output):
            pass


def _offer_to_oom_killer(pid: int) -> None:
    """Where the machine's memory runs out, the kernel should end this rather than one of ours."""
    with suppress(OSError):
        Path(f"/proc/{pid}/oom_score_adj").write_text("1000")


def _signal_name(returncode: int) -> str:
    number = returncode - 128
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _size(count: int) -> str:
    return f"{count / GiB:.3g} GiB" if count >= GiB else f"{count / MiB:.3g} MiB"
