"""What a process costs, as the kernel counts it: CPU seconds and memory, from /proc."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
USER_FIELD, SYSTEM_FIELD = 11, 12  # of /proc/PID/stat, counted after the command's name


def cpu_seconds(pid: int) -> float:
    """User and system time of all threads so far. Raises FileNotFoundError when the process is gone."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[USER_FIELD]) + int(fields[SYSTEM_FIELD])) / TICKS_PER_SECOND


def memory_mb(pid: int, field: str = "VmRSS") -> float:
    """Resident memory in megabytes (10^6 bytes); VmHWM: the most there has been."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) * 1024 / 1e6
    raise ValueError(f"/proc/{pid}/status has no {field}")


@dataclass(frozen=True, slots=True)
class Meter:
    """CPU seconds of several processes by name, from one moment to another."""

    begun: Mapping[str, float]
    pids: Mapping[str, int]

    @classmethod
    def start(cls, pids: Mapping[str, int]) -> "Meter":
        return cls({name: cpu_seconds(pid) for name, pid in pids.items()}, dict(pids))

    def read(self) -> dict[str, float]:
        return {name: cpu_seconds(pid) - self.begun[name] for name, pid in self.pids.items()}
