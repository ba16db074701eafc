"""What strangers' code can see and do in the sandbox, and what ends it."""

from __future__ import annotations

import os
import pickle
import platform
import shutil
import signal
import socket
import stat
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from brainscore_ops.errors import UsageError
from brainscore_ops.plugins import seccomp, watchdog
from brainscore_ops.plugins.devices import gpu_devices
from brainscore_ops.plugins.sandbox import Limits, MiB, Sandbox, SandboxBrokenError, SandboxMissingError, _bubblewrap

from .conftest import Inside


def processes_with(argument: str) -> list[int]:
    running = psutil.process_iter(["cmdline"])
    return [process.pid for process in running if argument in (process.info["cmdline"] or [])]


def wait_until_none(argument: str, seconds: float = 5) -> list[int]:
    end = time.monotonic() + seconds
    while (left := processes_with(argument)) and time.monotonic() < end:
        time.sleep(0.05)
    return left


class TestWhatItSees:
    def test_runs_code_and_hands_back_what_it_wrote(self, inside):
        outcome = inside("print('hello'); open('/result/answer', 'w').write('42')")
        assert (outcome.reason, outcome.returncode, outcome.stdout, outcome.sandboxed) == ("ok", 0, "hello\n", True)
        assert (inside.result / "answer").read_text() == "42"

    def test_only_ordinary_files_come_out(self, inside, tmp_path):
        (tmp_path / "secret").write_text("s3cret")
        outcome = inside(f"""
            import os, socket
            os.symlink({str(tmp_path / "secret")!r}, "/result/link")
            os.symlink({str(tmp_path)!r}, "/result/linked-folder")
            os.mkfifo("/result/pipe")
            socket.socket(socket.AF_UNIX).bind("/result/socket")
            os.makedirs("/result/folder/inner")
            open("/result/folder/inner/file", "w").write("kept")
            os.chmod("/result/folder/inner/file", 0o4777)
            os.truncate(os.open("/result/hole", os.O_CREAT | os.O_RDWR), 2 << 30)
        """)
        assert outcome.reason == "failed"  # the hole is larger than a file may be
        found = sorted(str(path.relative_to(inside.result)) for path in inside.result.rglob("*"))
        assert found == ["folder", "folder/inner", "folder/inner/file", "hole"]
        assert (inside.result / "hole").stat().st_size == 0
        assert (inside.result / "folder/inner/file").stat().st_mode & 0o7000 == 0

    def test_nothing_comes_out_where_a_limit_was_crossed(self, inside):
        inside("open('/result/answer', 'w').write('42')\nwhile True: pass", limits=Limits(wall_seconds=0.5))
        assert list(inside.result.iterdir()) == []

    def test_no_network(self, inside):
        outcome = inside("""
            import socket
            for address in [("1.1.1.1", 53), ("127.0.0.1", 22)]:
                try:
                    socket.create_connection(address, timeout=2)
                except OSError as error:
                    print(error.strerror)
        """)
        assert outcome.stdout.splitlines() == ["Network is unreachable", "Connection refused"]

    def test_a_server_of_ours_is_out_of_reach(self, inside):
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
            outcome = inside(f"import socket; socket.create_connection(('127.0.0.1', {port}), timeout=2)")
        assert outcome.reason == "failed"
        assert "Connection refused" in outcome.stderr

    def test_no_variable_of_ours(self, inside, monkeypatch):
        monkeypatch.setenv("DATABASE_PASSWORD", "s3cret")
        outcome = inside(
            """
            import glob
            for path in ["/proc/self/environ", *glob.glob("/proc/*/environ")]:
                print(open(path).read())
            """,
            environment={"GIVEN": "this"},
        )
        assert "GIVEN=this" in outcome.stdout
        assert "s3cret" not in outcome.stdout
        assert "OMP_NUM_THREADS=1" in outcome.stdout

    def test_no_file_of_ours(self, inside, tmp_path):
        (tmp_path / "secret").write_text("s3cret")
        outcome = inside(f"""
            import os
            for path in ["/etc/shadow", "{Path.home()}/.bashrc", "{tmp_path}/secret", "{Path(__file__)}", "/var", "/run", "/sys"]:
                print(os.path.exists(path))
            print(sorted(os.listdir("/etc")))
            print(os.listdir("/tmp"), os.listdir(os.path.expanduser("~")))
        """)
        *exists, etc, empty = outcome.stdout.splitlines()
        assert set(exists) == {"False"}
        assert set(eval(etc)) <= {"alternatives", "group", "hosts", "ld.so.cache", "passwd"}  # noqa: S307
        assert empty == "[] []"

    def test_no_process_of_ours(self, inside):
        outcome = inside("import os; print(sorted(int(name) for name in os.listdir('/proc') if name.isdecimal()))")
        assert len(eval(outcome.stdout)) <= 3  # noqa: S307

    def test_is_nobody(self, inside):
        outcome = inside("""
            import os, pwd, socket
            print(os.getuid(), pwd.getpwuid(os.getuid()).pw_name, socket.gethostname())
            print([line.split()[1] for line in open("/proc/self/status") if line.startswith(("CapEff", "CapBnd", "NoNewPrivs"))])
            try:
                open("/proc/sys/kernel/core_pattern", "w")
            except OSError as error:
                print(error.strerror)
        """)
        assert outcome.stdout.splitlines() == [
            "1000 plugin sandbox",
            "['0000000000000000', '0000000000000000', '1']",
            "Permission denied",
        ]

    def test_no_socket_of_ours(self, inside, tmp_path):
        """As of a PostgreSQL that listens on a file, or of whatever listens on a name without one."""
        file = tmp_path / ".s.PGSQL.5432"
        with socket.socket(socket.AF_UNIX) as server, socket.socket(socket.AF_UNIX) as nameless:
            server.bind(str(file))
            server.listen()
            nameless.bind(f"\0ours-{os.getpid()}")
            nameless.listen()
            outcome = inside(f"""
                import socket
                for address in ({str(file)!r}, "\\0ours-{os.getpid()}"):
                    try:
                        socket.socket(socket.AF_UNIX).connect(address)
                        print("connected")
                    except OSError as error:
                        print(error.strerror)
            """)
        assert outcome.stdout.splitlines() == ["No such file or directory", "Connection refused"]

    def test_no_process_of_ours_can_be_traced_or_read(self, inside):
        other = subprocess.Popen(["sleep", "60"])
        outcome = inside(f"""
            import ctypes, os
            libc = ctypes.CDLL(None, use_errno=True)
            for pid in ({os.getpid()}, {other.pid}):
                print(libc.ptrace(16, pid, 0, 0), os.path.exists(f"/proc/{{pid}}/environ"))
                try:
                    os.kill(pid, 0)
                    print("found")
                except OSError as error:
                    print(error.strerror)
        """)
        other.kill()
        other.wait()
        assert outcome.stdout.splitlines() == ["-1 False", "No such process"] * 2

    def test_a_setuid_program_gives_nothing(self, inside):
        outcome = inside("""
            import os, subprocess
            print(subprocess.run(["/bin/su", "-c", "id -u"], capture_output=True).returncode != 0, os.geteuid())
            print(subprocess.run(["/bin/mount", "-t", "tmpfs", "x", "/tmp"], capture_output=True).returncode != 0)
        """)
        assert outcome.stdout.splitlines() == ["True 1000", "True"]

    def test_key_rings_and_what_no_model_needs_are_not_there(self, inside):
        """A key ring goes with a process wherever it goes; it may hold a Kerberos ticket."""
        _, refused = seccomp._ARCHITECTURES[platform.machine()]
        outcome = inside(f"""
            import ctypes, errno, os
            libc = ctypes.CDLL(None, use_errno=True)
            for call in {sorted(refused.values())}:
                print(libc.syscall(call, 0, 0, 0, 0, 0), errno.errorcode[ctypes.get_errno()])
            print(libc.getpid() == os.getpid())
        """)
        assert outcome.stdout.splitlines() == ["-1 ENOSYS"] * len(refused) + ["True"]

    def test_cannot_make_a_user_namespace_of_its_own(self, inside):
        outcome = inside("""
            import ctypes
            print(ctypes.CDLL(None).unshare(0x10000000))
        """)
        assert outcome.stdout == "-1\n"

    @pytest.mark.parametrize("place", ["/", "/etc", "/usr", "/dev", "/proc", sys.base_prefix, "/home"])
    def test_cannot_write_outside_its_folders(self, inside, place):
        outcome = inside(f"open('{place}/new', 'w')")
        assert outcome.reason == "failed"
        assert not Path(place, "new").exists()

    def test_what_is_readable_is_not_writable(self, inside, tmp_path):
        shared = tmp_path / "shared"
        shared.mkdir()
        (shared / "data").write_text("untouched")
        outcome = inside(
            f"""
            print(open("{shared}/data").read())
            try:
                open("{shared}/data", "w")
            except OSError as error:
                print(error.strerror)
            """,
            readonly=[shared],
        )
        assert outcome.stdout.splitlines() == ["untouched", "Read-only file system"]
        assert (shared / "data").read_text() == "untouched"

    def test_a_readable_folder_may_be_a_link(self, inside, tmp_path):
        (tmp_path / "real").mkdir()
        (tmp_path / "real" / "data").write_text("found")
        (tmp_path / "link").symlink_to(tmp_path / "real")
        assert inside(f"print(open('{tmp_path}/link/data').read())", readonly=[tmp_path / "link"]).stdout == "found\n"


class TestWhatEndsIt:
    def test_an_endless_loop(self, inside):
        outcome = inside("while True: pass", limits=Limits(wall_seconds=1))
        assert (outcome.reason, outcome.detail) == ("timeout", "it ran longer than 1 s")
        assert outcome.wall_seconds > 1
        assert outcome.cpu_seconds > 0

    def test_too_much_memory(self, inside):
        outcome = inside("x = []\nwhile True: x.append(bytearray(10_000_000))", limits=Limits(memory_bytes=150 * MiB))
        assert outcome.reason == "out-of-memory"
        assert outcome.peak_memory_bytes > 150 * MiB

    def test_too_much_memory_in_many_processes(self, inside):
        outcome = inside(
            """
            import os, time
            for _ in range(10):
                if not os.fork():
                    kept = bytearray(30_000_000)
                    time.sleep(30)
            time.sleep(30)
            """,
            limits=Limits(memory_bytes=200 * MiB, wall_seconds=20),
        )
        assert outcome.reason == "out-of-memory"

    def test_memory_that_processes_share_counts_once(self, inside):
        outcome = inside(
            """
            import os, time
            kept = bytearray(60_000_000)
            for _ in range(5):
                if not os.fork():
                    time.sleep(0.5)
                    os._exit(0)
            time.sleep(1)
            """,
            limits=Limits(memory_bytes=150 * MiB),
        )
        assert outcome.reason == "ok"

    def test_files_in_tmp_are_memory(self, inside):
        outcome = inside(
            """
            import time
            for place in ["/tmp", "/dev/shm", "/home/plugin"]:
                with open(f"{place}/file", "wb") as file:
                    file.write(bytes(60_000_000))
            time.sleep(20)
            """,
            limits=Limits(memory_bytes=150 * MiB),
        )
        assert outcome.reason == "out-of-memory"

    def test_endless_output(self, inside):
        outcome = inside("while True: print('x' * 100_000)", limits=Limits(output_bytes=10_000))
        assert outcome.reason == "output-limit"
        assert len(outcome.stdout) < 11_000

    def test_a_full_disk(self, inside):
        code = """
            import itertools
            for number in itertools.count():
                with open(f"/result/{number}", "wb") as file:
                    file.write(bytes(10_000_000))
        """
        assert inside(code, limits=Limits(file_bytes=50 * MiB)).reason == "disk-limit"

    def test_one_large_file(self, inside):
        outcome = inside(
            "file = open('/result/large', 'wb')\nwhile True: file.write(bytes(1_000_000))",
            limits=Limits(file_bytes=5 * MiB),
        )
        # The kernel refuses to write on, or we have looked before.
        assert outcome.reason == "disk-limit"
        assert list(inside.result.iterdir()) == []

    def test_space_that_is_reserved_in_many_files_at_once(self, inside):
        """Reserving takes no time, so that no look from outside would come soon enough: the folder itself ends."""
        free = shutil.disk_usage(inside.result).free
        outcome = inside(
            """
            import os, time
            try:
                for number in range(200):
                    os.posix_fallocate(os.open(f"/result/{number}", os.O_CREAT | os.O_WRONLY), 0, 9_000_000)
            except OSError as error:
                print(error.strerror, number)
                file = open("/result/rest", "wb", buffering=0)
                while True:
                    file.write(bytes(4096))
            """,
            limits=Limits(file_bytes=50 * MiB),
        )
        assert (outcome.reason, outcome.detail) == ("disk-limit", "it filled /result: all of its 52428800 bytes")
        assert outcome.stdout == "No space left on device 5\n"
        assert free - shutil.disk_usage(inside.result).free < 50 * MiB

    @pytest.mark.parametrize("place", ["/tmp", "/dev/shm", "/home/plugin"])
    def test_its_folders_in_memory_are_as_small(self, inside, place):
        code = f"file = open('{place}/x', 'wb')\nwhile True: file.write(bytes(1_000_000))"
        outcome = inside(code, limits=Limits(file_bytes=20 * MiB))
        assert (outcome.reason, f"it filled {place}" in outcome.detail) == ("disk-limit", True)

    def test_memory_in_files_that_stand_nowhere(self, inside):
        code = """
            import os, time
            kept = []
            while True:
                kept.append(os.memfd_create("hidden"))
                os.write(kept[-1], bytes(10_000_000))
        """
        assert inside(code, limits=Limits(memory_bytes=150 * MiB)).reason == "out-of-memory"

    def test_a_gigabyte_of_output(self, inside):
        before = psutil.Process().memory_info().rss
        lines: list[int] = []
        began = time.monotonic()
        outcome = inside(
            "import os\nfor _ in range(1000): os.write(1, b'x' * 1_000_000)",
            on_line=lambda line: lines.append(len(line)),
        )
        assert (outcome.reason, outcome.detail) == ("output-limit", "it printed more than 64 MiB")
        assert time.monotonic() - began < 10
        assert len(outcome.stdout) < 1.1 * MiB
        assert lines == [2000]
        assert psutil.Process().memory_info().rss - before < 100 * MiB

    def test_it_ignores_every_signal(self, inside):
        outcome = inside(
            """
            import signal, time
            for number in set(signal.Signals) - {signal.SIGKILL, signal.SIGSTOP}:
                signal.signal(number, signal.SIG_IGN)
            time.sleep(600)
            """,
            limits=Limits(wall_seconds=0.5),
        )
        assert outcome.reason == "timeout"
        assert outcome.wall_seconds < 5

    def test_the_kernel_alone_holds_a_fork_bomb(self, inside, monkeypatch):
        """Also for root, whom the kernel exempts; nobody looks meanwhile."""
        monkeypatch.setattr("brainscore_ops.plugins.sandbox.count_processes", lambda proc: 0)
        monkeypatch.setattr("brainscore_ops.plugins.sandbox.processes_of", lambda root: [])
        outcome = inside(
            """
            import errno, os, time
            started = 0
            while True:
                try:
                    if not os.fork():
                        time.sleep(60)
                except OSError as error:
                    print(error.errno == errno.EAGAIN, started)
                    break
                started += 1
            """,
            limits=Limits(processes=40, wall_seconds=30),
        )
        said, started = outcome.stdout.split()
        assert said == "True"
        assert 40 <= int(started) <= 80

    def test_very_many_files(self, inside, monkeypatch):
        monkeypatch.setattr(watchdog, "_MAX_ENTRIES", 2000)
        code = """
            import itertools, os
            for number in itertools.count():
                os.close(os.open(f"/result/{number}", os.O_CREAT))
        """
        outcome = inside(code)
        assert (outcome.reason, "files" in outcome.detail) == ("disk-limit", True)

    def test_a_fork_bomb(self, inside):
        code = """
            import os, time
            while True:
                try:
                    os.fork()
                    os.setsid()
                except OSError:
                    time.sleep(0.01)
        """
        outcome = inside(code, limits=Limits(processes=64, wall_seconds=30))
        assert outcome.reason == "process-limit"

    def test_a_crash(self, inside):
        outcome = inside("import os; os.kill(os.getpid(), 11)")
        assert (outcome.reason, outcome.detail, outcome.returncode) == ("failed", "it crashed with SIGSEGV", 139)

    def test_a_kill_that_is_not_ours(self, inside):
        outcome = inside("import os; os.kill(os.getpid(), 9)")
        assert (outcome.reason, outcome.returncode) == ("killed", 137)

    def test_an_exit_code(self, inside):
        outcome = inside("import sys; sys.exit('it is over')")
        assert (outcome.reason, outcome.returncode, outcome.stderr) == ("failed", 1, "it is over\n")


class TestDevices:
    """A device of our own stands for a graphics processor: /dev/full by another name."""

    @pytest.fixture
    def processor(self, tmp_path) -> Path:
        folder = tmp_path / "dev"
        folder.mkdir()
        path = folder / "nvidia0"
        os.mknod(path, 0o666 | stat.S_IFCHR, os.makedev(1, 7))
        path.chmod(0o666)
        (folder / "nvidia1").write_text("no device")
        return path

    def test_those_of_graphics_processors_are_found(self, processor):
        assert gpu_devices(processor.parent) == (processor,)

    def test_they_can_be_opened_inside_with_the_variables_that_say_whose_they_are(
        self, processor, inside, tmp_path, monkeypatch
    ):
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
        code = f"""
            import os
            print(os.environ.get("CUDA_VISIBLE_DEVICES"), os.path.exists({str(processor)!r}))
            print(open({str(processor)!r}, "rb").read(1))
        """
        shown = Inside(Sandbox(devices=[processor]), inside.result)(code)
        assert (shown.reason, shown.stdout) == ("ok", "0 True\nb'\\x00'\n"), shown.log
        assert inside(code).stdout == "None False\n"


class TestNothingStaysBehind:
    @pytest.mark.parametrize("kind", ["bubblewrap", "none"])
    def test_of_a_command_that_ended(self, kind, inside, unprotected):
        marker = f"{time.time_ns()}"
        run = inside if kind == "bubblewrap" else unprotected
        outcome = run(f"""
            import os, subprocess, sys, time
            subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)", "{marker}"], start_new_session=True)
            time.sleep(0.5)
        """)
        assert outcome.reason == "ok"
        assert processes_with(marker) == []

    @pytest.mark.parametrize("kind", ["bubblewrap", "none"])
    def test_of_a_command_that_was_stopped(self, kind, inside, unprotected):
        marker = f"{time.time_ns()}"
        run = inside if kind == "bubblewrap" else unprotected
        outcome = run(
            f"""
            import os, sys, time
            if not os.fork():
                os.setsid()
                if not os.fork():
                    os.execv(sys.executable, [sys.executable, "-c", "import time; time.sleep(600)", "{marker}"])
            time.sleep(600)
            """,
            limits=Limits(wall_seconds=0.7),
        )
        assert outcome.reason == "timeout"
        assert processes_with(marker) == []

    def test_when_whoever_reads_the_lines_fails(self, inside):
        marker = f"{time.time_ns()}"

        def fail(line: str) -> None:
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            inside(f"import time; print('{marker}', flush=True); time.sleep(600)", on_line=fail)
        assert [one for one in psutil.process_iter(["cmdline"]) if marker in " ".join(one.info["cmdline"] or [])] == []

    @pytest.mark.parametrize("after", [0, 0.01, 0.02, 0.05, 0.1, 1])
    def test_when_the_parent_is_killed(self, after):
        marker = f"{time.time_ns()}"
        program = f"""
            import sys
            from pathlib import Path
            from brainscore_ops.plugins.sandbox import Limits, Sandbox
            Sandbox().run(
                ["/bin/sleep", "600.{marker}"], readonly=[], writable={{}}, cwd="/", environment={{}}, limits=Limits()
            )
        """
        parent = subprocess.Popen([sys.executable, "-c", "\n".join(line[12:] for line in program.splitlines())])
        try:
            end = time.monotonic() + 10
            while not processes_with(f"600.{marker}") and time.monotonic() < end:
                time.sleep(0.005)
            assert processes_with(f"600.{marker}")
            time.sleep(after)  # from the moment when bubblewrap begins, until the command has begun
        finally:
            parent.kill()
            parent.wait()
        assert wait_until_none(f"600.{marker}") == []


class TestWhoeverCalls:
    def test_hears_each_line(self, inside):
        lines: list[str] = []
        inside(
            "import sys; print('one'); print('two', file=sys.stderr); print('thr\\x1b[31mee', end='')",
            on_line=lines.append,
        )
        assert sorted(lines) == ["one", "three", "two"]

    def test_can_be_an_ordinary_user(self, inside):
        """As root the suite runs the sandbox as root; this is the other way."""
        program = (
            "from brainscore_ops.plugins.sandbox import Limits, Sandbox\n"
            "import os, pathlib, tempfile\n"
            "folder = pathlib.Path(tempfile.mkdtemp())\n"
            "nothing = dict(readonly=[], writable={folder: '/result'}, environment={}, cwd='/result')\n"
            "outcome = Sandbox().run(['/bin/sh', '-c', 'id -u > answer'], **nothing, limits=Limits())\n"
            "print(os.getuid() != 0, outcome.reason, (folder / 'answer').read_text())\n"
            "endless = ['/bin/sh', '-c', 'yes > /tmp/full']\n"
            "print(Sandbox().run(endless, **nothing, limits=Limits(file_bytes=2**20)).reason)\n"
        )
        command = [sys.executable, "-c", program]
        if os.geteuid() == 0:
            # Root's folders are closed to others, so the way is opened in a view of the file system.
            needed = [Path(sys.base_prefix), Path(sys.prefix), Path(__file__).parents[2] / "lib"]
            view = ["bwrap", "--die-with-parent", "--bind", "/proc", "/proc", "--dev", "/dev"]
            view += ["--perms", "1777", "--tmpfs", "/tmp"]
            for parent in sorted({parent for path in needed for parent in path.parents} - {Path("/")}):
                view += ["--perms", "0755", "--dir", str(parent)]
            for path in (Path("/usr"), Path("/bin"), Path("/lib"), Path("/lib64"), *needed):
                link = path.is_symlink()
                view += ["--symlink", str(path.readlink()), str(path)] if link else ["--ro-bind", str(path), str(path)]
            view += ["--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID", "--"]
            command = [*view, "setpriv", "--reuid=4321", "--regid=4321", "--clear-groups", *command]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert (done.stdout.split(), done.stderr) == (["True", "ok", "1000", "disk-limit"], "")

    def test_is_told_what_root_has_to_open(self, inside, tmp_path, monkeypatch):
        closed = tmp_path / "closed"
        closed.mkdir(mode=0o700)
        monkeypatch.setattr(os, "geteuid", lambda: 0)
        with pytest.raises(UsageError, match="readable for everybody") as caught:
            inside("pass", readonly=[closed])
        assert "chmod" in caught.value.remedy

    def test_is_told_when_bubblewrap_is_missing(self, monkeypatch, tmp_path):
        _bubblewrap.cache_clear()
        monkeypatch.setenv("PATH", str(tmp_path))
        try:
            with pytest.raises(SandboxMissingError, match="bwrap") as caught:
                Sandbox()
        finally:
            _bubblewrap.cache_clear()
        assert "apt-get install bubblewrap" in caught.value.remedy
        assert caught.value.exit_code == 4

    def test_is_told_when_the_sandbox_cannot_be_set_up(self, sandbox):
        with pytest.raises(SandboxBrokenError, match="could not set the sandbox up"):
            sandbox.run(["/bin/true"], readonly=[], writable={}, cwd="/nowhere", environment={}, limits=Limits())

    def test_can_send_a_sandbox_to_a_worker(self, sandbox):
        assert pickle.loads(pickle.dumps(sandbox)).kind == "bubblewrap"  # noqa: S301

    def test_may_run_from_a_thread_while_signals_come(self, inside):
        previous = signal.signal(signal.SIGALRM, lambda *_: None)
        signal.setitimer(signal.ITIMER_REAL, 0.05, 0.05)
        try:
            assert inside("sum(range(3_000_000))").reason == "ok"
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, previous)


class TestWithoutProtection:
    def test_the_outcome_says_so(self, unprotected):
        outcome = unprotected("import os; open('/proc/self/status'); print(os.getcwd())")
        assert outcome.sandboxed is False
        assert outcome.stdout.strip() == str(unprotected.result)

    def test_places_inside_stand_for_folders_outside(self, tmp_path):
        Sandbox("none").run(
            ["/usr/bin/touch", "/result/made"], readonly=[], writable={tmp_path: "/result"}, cwd="/result",
            environment={}, limits=Limits(),
        )  # fmt: skip
        assert (tmp_path / "made").exists()

    def test_limits_hold(self, unprotected):
        assert unprotected("while True: pass", limits=Limits(wall_seconds=0.5)).reason == "timeout"

    def test_our_variables_stay_ours(self, unprotected, monkeypatch):
        monkeypatch.setenv("DATABASE_PASSWORD", "s3cret")
        assert unprotected("import os; print(os.environ.get('DATABASE_PASSWORD'))").stdout == "None\n"
