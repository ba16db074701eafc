"""A real SLURM of two nodes on this machine: its controller and its daemons, on free ports, in a folder of their own.

For tests, and for the measurements of ``tests/bench``. Whoever uses it needs the Debian package ``slurm-wlm`` and to be root,
as its daemons do without a user of their own then.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

CPUS, MEMORY_MEGABYTES = 8, 8000

CONFIGURATION = """
ClusterName=test
SlurmctldHost=localhost
SlurmUser=root
SlurmdUser=root
AuthType=auth/none
CredType=cred/none
SlurmctldPort={controller}
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool/%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmctldLogFile={folder}/log/slurmctld.log
SlurmdLogFile={folder}/log/slurmd-%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=1
JobAcctGatherParams=OverMemoryKill
JobCompType=jobcomp/filetxt
JobCompLoc={folder}/log/jobcomp.txt
AccountingStorageType=accounting_storage/none
MpiDefault=none
ReturnToService=2
KillWait=2
SlurmdParameters=config_overrides
NodeName=n1 NodeHostname=localhost NodeAddr=127.0.0.1 Port={first} CPUs={cpus} RealMemory={memory}
NodeName=n2 NodeHostname=localhost NodeAddr=127.0.0.1 Port={second} CPUs={cpus} RealMemory={memory}
PartitionName=normal Nodes=n1,n2 Default=YES MaxTime=60
PartitionName=big Nodes=n2 MaxTime=INFINITE
"""


@dataclass(frozen=True)
class Slurm:
    """A SLURM that runs. Commands find it by the variable ``SLURM_CONF``."""

    folder: Path

    @property
    def configuration(self) -> Path:
        return self.folder / "slurm.conf"

    @property
    def environment(self) -> dict[str, str]:
        return {**os.environ, "SLURM_CONF": str(self.configuration)}

    def run(self, *command: str) -> str:
        """What a command of SLURM prints."""
        done = subprocess.run(command, capture_output=True, text=True, env=self.environment, check=False, timeout=60)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def jobs(self, name: str = "") -> dict[str, str]:
        """Number → state of the jobs that are pending or running and whose name begins so."""
        lines = [line.split("|") for line in self.run("squeue", "--noheader", "--format=%i|%T|%j").splitlines()]
        return {number: state for number, state, named in lines if named.startswith(name)}

    def all_jobs(self) -> str:
        """Every job that has ended, a line each, as SLURM's completion log has it."""
        with suppress(FileNotFoundError):
            return (self.folder / "log" / "jobcomp.txt").read_text()
        return ""

    def resume(self) -> None:
        """Bring both nodes back, whatever was done to them."""
        for node in ("n1", "n2"):
            with suppress(AssertionError):
                self.run("scontrol", "update", f"NodeName={node}", "State=RESUME")

    def wait_for_nodes(self, seconds: float = 30) -> None:
        """Wait until both nodes take jobs."""
        deadline = time.monotonic() + seconds
        while (
            states := self.run("sinfo", "--noheader", "--Node", "--format=%T", "--partition=normal").split()
        ) and any(state not in ("idle", "mixed", "allocated") for state in states):
            assert time.monotonic() < deadline, states
            time.sleep(0.2)


@contextmanager
def running_slurm(folder: Path) -> Iterator[Slurm]:
    """SLURM for the block; afterwards nothing of it is left."""
    assert shutil.which("slurmctld"), "SLURM is missing: run `make setup-tests`"
    for name in ("state", "spool/n1", "spool/n2", "log"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    controller, first, second = free_ports(3)
    slurm = Slurm(folder)
    slurm.configuration.write_text(
        CONFIGURATION.format(
            folder=folder, controller=controller, first=first, second=second, cpus=CPUS, memory=MEMORY_MEGABYTES
        )
    )
    daemons: list[subprocess.Popen[bytes]] = []
    try:
        for command in (["slurmctld", "-D", "-c"], ["slurmd", "-D", "-N", "n1"], ["slurmd", "-D", "-N", "n2"]):
            daemons.append(  # noqa: PERF401 - those that were started have to be known when one fails
                subprocess.Popen(
                    command,
                    env=slurm.environment,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    start_new_session=True,
                )
            )
        deadline = time.monotonic() + 30
        while True:
            with suppress(AssertionError):
                slurm.wait_for_nodes()
                break
            assert time.monotonic() < deadline, "SLURM did not start"
            time.sleep(0.2)
        yield slurm
    finally:
        with suppress(AssertionError, subprocess.TimeoutExpired):
            if left := slurm.jobs():
                slurm.run("scancel", *left)
            # A job's daemon that finds no controller any more stays for hours, and goes on to end its job's processes, by
            # numbers that are somebody else's by then.
            deadline = time.monotonic() + 10
            while time.monotonic() < deadline and len(_processes_of(slurm)) > len(daemons) + 1:
                time.sleep(0.2)
            slurm.run("scontrol", "shutdown")
        for daemon in daemons:
            with suppress(subprocess.TimeoutExpired):
                daemon.wait(10)
        for daemon in daemons:
            if daemon.poll() is None:
                os.killpg(daemon.pid, signal.SIGKILL)
                daemon.wait()
        for process in _processes_of(slurm):
            with suppress(psutil.Error):
                process.kill()


def _processes_of(slurm: Slurm) -> list[psutil.Process]:
    """SLURM's own processes that were started with this configuration."""
    found, mark = [], f"SLURM_CONF={slurm.configuration}\0".encode()
    for process in psutil.process_iter(["name"]):
        with suppress(psutil.Error, OSError):
            name = process.info["name"] or ""
            # As the kernel has it: psutil stops where a daemon has written its title over its variables.
            if name.startswith("slurm") and mark in Path(f"/proc/{process.pid}/environ").read_bytes():
                found.append(process)
    return found


def free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()
