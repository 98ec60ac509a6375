"""A real Slurm on this machine: munge, a controller and a node, on loopback, in one folder."""

import getpass
import os
import secrets
import shutil
import signal
import socket
import subprocess
import time
from contextlib import ExitStack
from pathlib import Path

CPUS = 2
MEMORY = 12000  # [MB] that the node claims to have

CONFIGURATION = """
ClusterName=toy
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller_port}
SlurmdPort={node_port}
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CredType=cred/munge
MpiDefault=none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=1,bf_interval=1
ReturnToService=2
KillWait=5
MinJobAge=3600
StateSaveLocation={folder}/controller
SlurmdSpoolDir={folder}/node
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherParams=OverMemoryKill
JobAcctGatherFrequency=task=1
AccountingStorageType=accounting_storage/none
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus} RealMemory={memory} State=UNKNOWN
PartitionName=debug Nodes={host} Default=YES MaxTime=INFINITE DefMemPerCPU=1000 State=UP
"""


class ToyCluster:
    """Slurm, as long as the ``with`` block lasts; its programs find it by `environment`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = {
            "SLURM_CONF": str(folder / "slurm.conf"),
            "PATH": f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}",
        }
        self._running = ExitStack()

    def __enter__(self) -> "ToyCluster":
        for name in ("controller", "node"):
            (self.folder / name).mkdir(parents=True)
        self.folder.chmod(0o755)
        ports = free_ports(2)
        (self.folder / "slurm.conf").write_text(
            CONFIGURATION.format(
                host=socket.gethostname().split(".")[0],
                user=getpass.getuser(),
                folder=self.folder,
                controller_port=ports[0],
                node_port=ports[1],
                cpus=CPUS,
                memory=MEMORY,
            )
        )
        # Snakemake's plugin keeps SLURM_CONF from srun, which would then look in /etc.
        srun = self.folder / "bin" / "srun"
        srun.parent.mkdir()
        environment = f"SLURM_CONF={self.folder / 'slurm.conf'}"
        srun.write_text(f'#!/bin/sh\n{environment} exec {shutil.which("srun")} "$@"\n')
        srun.chmod(0o755)
        key = self.folder / "munge.key"
        key.write_bytes(secrets.token_bytes(128))
        key.chmod(0o400)
        with self._running:
            self._start(
                "munged",
                "--foreground",
                "--force",
                f"--socket={self.folder}/munge.socket",
                f"--key-file={key}",
                f"--pid-file={self.folder}/munge.pid",
                f"--log-file={self.folder}/munge.log",
                f"--seed-file={self.folder}/munge.seed",
            )
            wait_until(lambda: (self.folder / "munge.socket").exists(), "munged", 20)
            self._start("slurmctld", "-D")
            self._start("slurmd", "-D")
            wait_until(lambda: "idle" in self.run("sinfo", "-h", "-o", "%T"), "the node", 60)
            self._running = self._running.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        for job in self.jobs():
            subprocess.run(["scancel", job], env=os.environ | self.environment, check=False)
        wait_until(lambda: not self.jobs(), "the end of all jobs", 60)
        self._running.close()

    def _start(self, program: str, *options: str) -> None:
        with open(self.folder / f"{program}.out", "wb") as said:
            process = subprocess.Popen(
                [program, *options],
                env=os.environ | self.environment,
                stdout=said,
                stderr=said,
                start_new_session=True,
            )
        self._running.callback(stop, process)

    def run(self, *command: str) -> str:
        """Run one of Slurm's commands; its standard output."""
        done = subprocess.run(
            command,
            env=os.environ | self.environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        return done.stdout

    def jobs(self, states: str = "PENDING,RUNNING,COMPLETING", columns: str = "%i") -> list[str]:
        """Lines of squeue about the jobs in some states."""
        return self.run("squeue", "-h", "-t", states, "-o", columns).split("\n")[:-1]


def stop(process: subprocess.Popen) -> None:
    """End a daemon."""
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def free_ports(number: int) -> list[int]:
    """Ports of the loopback that nothing listens on."""
    with ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(number)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def wait_until(condition, what: str, patience: float) -> None:
    """Wait for something to become true, or fail."""
    deadline = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < deadline, f"{what}: not within {patience:.0f} s"
        time.sleep(0.2)
