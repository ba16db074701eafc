"""Graphics processors: the device files that a sandbox has to show, and the variables that say which of them a job was given."""

from __future__ import annotations

import os
from pathlib import Path

_PATTERNS = (
    # NVIDIA's: the processors themselves, and what every program opens that uses one.
    "nvidia[0-9]*", "nvidiactl", "nvidia-uvm", "nvidia-uvm-tools", "nvidia-modeset", "nvidia-caps/*",
    # AMD's.
    "kfd", "dri/renderD*",
)  # fmt: skip
_VARIABLES = ("CUDA_VISIBLE_DEVICES", "NVIDIA_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES")


def gpu_devices(folder: Path = Path("/dev")) -> tuple[Path, ...]:
    """The device files of all graphics processors here. Which of them a job may open its cgroup says, where SLURM makes one."""
    found = {path for pattern in _PATTERNS for path in folder.glob(pattern) if path.is_char_device()}
    return tuple(sorted(found))


def gpu_variables() -> dict[str, str]:
    """The variables by which SLURM tells a job which graphics processors are its own."""
    return {name: os.environ[name] for name in _VARIABLES if name in os.environ}
