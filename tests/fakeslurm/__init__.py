"""A stand-in for Slurm: `programs(directory)` makes an sbatch, srun, scancel and scontrol for local processes."""

import sys
from pathlib import Path

COMMANDS = ("sbatch", "srun", "scancel", "scontrol")
REPOSITORY = Path(__file__).parents[2]


def programs(directory: Path) -> Path:
    """Executables of those names in `directory`, to be put first on PATH."""
    for name in COMMANDS:
        program = directory / name
        program.write_text(f'#!/bin/sh\nPYTHONPATH={REPOSITORY} exec {sys.executable} -m tests.fakeslurm {name} "$@"\n')
        program.chmod(0o755)
    return directory
