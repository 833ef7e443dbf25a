"""What the machine and this process use of it, as far as it was read."""

from dataclasses import dataclass
from typing import Final, Literal

from typing_extensions import TypedDict

from service.ports.health import PoolBody

#: Of the disk of the data directory.
DISK_WARNING_PCT: Final = 70.0
DISK_UNHEALTHY_PCT: Final = 90.0

DiskStatus = Literal["healthy", "warning", "unhealthy"]


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineReading:
    """One look at the machine.

    Attributes:
        cpu_pct, process_cpu_pct: since the look before; of one core, the process's.
        load: the averages of 1, 5 and 15 minutes.
        disk_used_pct: of what this account may use, as `df` says.
    """

    cpus: int
    cpu_pct: float
    process_cpu_pct: float
    load: tuple[float, float, float]
    memory_bytes: int
    memory_available_bytes: int
    process_memory_bytes: int
    disk_bytes: int
    disk_free_bytes: int
    disk_used_pct: float
    open_files: int
    open_files_limit: int


class CpuBody(TypedDict):
    count: int
    used_pct: float  #: of all cores, in the last ten seconds
    process_pct: float  #: of one core
    load_1m: float
    load_5m: float
    load_15m: float


class MemoryBody(TypedDict):
    total_bytes: int
    available_bytes: int
    used_pct: float
    process_bytes: int


class DiskBody(TypedDict):
    total_bytes: int
    free_bytes: int
    used_pct: float
    status: DiskStatus


class FilesBody(TypedDict):
    open: int
    limit: int


class MachineBody(TypedDict):
    cpu: CpuBody
    memory: MemoryBody
    disk: DiskBody  #: of the data directory
    files: FilesBody
    event_loop_lag_s: float  #: the worst of about the last half minute
    age_seconds: float  #: of these numbers


class SystemBody(MachineBody):
    """The machine and this process, as `GET /api/v1/admin/system` answers."""

    version: str
    python: str
    mode: str
    time: str
    uptime_seconds: int
    pool: PoolBody
