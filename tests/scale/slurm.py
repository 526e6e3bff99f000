"""A cluster of Slurm on this machine, without munge, systemd and accounting."""

import contextlib
import os
import socket
import subprocess
import time

ROOT_PREFIX = [] if os.geteuid() == 0 else ["sudo", "-n"]

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
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus}
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
    """Starts one; what its commands find in the environment."""
    folder = scene / "slurm"
    host = socket.gethostname().split(".")[0]
    for part in ("state", "spool"):
        (folder / part).mkdir(parents=True)
    text = CONFIGURATION.format(host=host, ports=free_ports(2), folder=folder, cpus=os.cpu_count())
    (folder / "slurm.conf").write_text(text)
    environment = {"SLURM_CONF": str(folder / "slurm.conf")}
    daemons = []
    try:
        for command in (["slurmctld", "-D"], ["slurmd", "-D", "-N", host]):
            log = (folder / f"{command[0]}.log").open("w")
            prefix = [*ROOT_PREFIX, "env", f"SLURM_CONF={environment['SLURM_CONF']}"]
            daemons.append(subprocess.Popen(prefix + command, stdout=log, stderr=log))
        deadline = time.monotonic() + 60
        while subprocess.run(["sinfo", "--noheader", "--format=%T"], env={**os.environ, **environment}, capture_output=True).stdout != b"idle\n":
            if time.monotonic() > deadline:
                raise RuntimeError("".join(log.read_text() for log in folder.glob("*.log")))
            time.sleep(0.2)
        yield environment
    finally:
        for daemon in reversed(daemons):
            subprocess.run([*ROOT_PREFIX, "kill", str(daemon.pid)], check=False)
            daemon.wait()
