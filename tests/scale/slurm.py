"""A cluster of Slurm on this machine, without munge, systemd and accounting."""

import contextlib
import os
import socket
import subprocess
import time
from pathlib import Path

ROOT_PREFIX = [] if os.geteuid() == 0 else ["sudo", "-n"]

# Snakemake's jobs do without Slurm's variables, so that the configuration has to be where Slurm looks for it.
DEFAULT = Path("/etc/slurm/slurm.conf")

CONFIGURATION = """\
ClusterName=af1
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
AuthType=auth/none
CredType=cred/none
SlurmUser=root
SlurmdUser=root
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SwitchType=switch/none
MpiDefault=none
SchedulerParameters=sched_interval=1,batch_sched_delay=0
ReturnToService=2
# A task that is requeued waits for so long; by default for two minutes.
AuthInfo=cred_expire=5
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus} RealMemory={memory}
PartitionName=main Nodes={host} Default=YES State=UP
"""


def free_ports(count):
    """Ports that nobody listens on."""
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


@contextlib.contextmanager
def cluster(scene):
    """Starts one, and ends it."""
    folder = scene / "slurm"
    host = socket.gethostname().split(".")[0]
    for part in ("state", "spool"):
        (folder / part).mkdir(parents=True)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") >> 20
    text = CONFIGURATION.format(host=host, ports=free_ports(2), folder=folder, cpus=os.cpu_count(), memory=memory)
    (folder / "slurm.conf").write_text(text)
    # As Debian's package has it, the folder is there and the file is not. Where one is this fails, because it is of somebody's cluster; but not
    # where a test that was stopped has left a link to nothing.
    if DEFAULT.is_symlink() and not DEFAULT.exists():
        subprocess.run([*ROOT_PREFIX, "rm", DEFAULT], check=True)
    subprocess.run([*ROOT_PREFIX, "ln", "-s", folder / "slurm.conf", DEFAULT], check=True)
    daemons = []
    try:
        for command in (["slurmctld", "-D"], ["slurmd", "-D", "-N", host]):
            log = (folder / f"{command[0]}.log").open("w")
            daemons.append(subprocess.Popen(ROOT_PREFIX + command, stdout=log, stderr=log))
        deadline = time.monotonic() + 60
        while subprocess.run(["sinfo", "--noheader", "--format=%T"], capture_output=True).stdout != b"idle\n":
            if time.monotonic() > deadline:
                raise RuntimeError("".join(log.read_text() for log in folder.glob("*.log")))
            time.sleep(0.2)
        yield
    finally:
        for daemon in reversed(daemons):
            subprocess.run([*ROOT_PREFIX, "kill", str(daemon.pid)], check=False)
            daemon.wait()
        # What the daemons wrote is root's.
        subprocess.run([*ROOT_PREFIX, "rm", "-r", DEFAULT, folder], check=True)
