"""Describe the GPU, and measure the rates from which the floor is computed."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.gpu.clock import CudaClock, stream_of
from benchmarks.gpu.lower_bound import Rates
from umapcore_cupy.host import driver
from umapcore_cupy.host.compile import OPTIONS, compile_program, import_cupy, nvrtc_version

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.gpu.clock import Clock
    from umapcore_cupy.host.cupy_device import CupyDevice
    from umapcore_cupy.host.device import Device

REPEATS = 5
#: Bytes of a large copy, far more than any cache holds.
LARGE = 2 << 30
#: Copies within the cache that are timed together, since one is short.
SMALL_COPIES = 200
LAUNCHES = 500
# In a round, each thread does CHAINS multiplications and as many additions.
CHAINS, ROUNDS, BLOCK, BLOCKS_A_PROCESSOR = 16, 20_000, 256, 8

# No operation depends on the one before it in the source: operations of the thread's other chains
# and of other threads come between. The values stay near 1.
CHAINS_SOURCE = """
extern "C" __global__ void chains(float* sums, float factor, float term, int rounds) {
  float x[CHAINS];
#pragma unroll
  for (int k = 0; k < CHAINS; k++) x[k] = 1.0f + 0.001f * (float)(threadIdx.x + k);
#pragma unroll 4
  for (int i = 0; i < rounds; i++) {
#pragma unroll
    for (int k = 0; k < CHAINS; k++) x[k] = x[k] * factor + term;
  }
  float sum = 0.0f;
#pragma unroll
  for (int k = 0; k < CHAINS; k++) sum += x[k];
  sums[blockIdx.x * blockDim.x + threadIdx.x] = sum;
}
"""


def describe() -> dict[str, Any]:
    """Describe the current device and its software."""
    cupy = import_cupy()
    runtime = cupy.cuda.runtime
    properties = runtime.getDeviceProperties(cupy.cuda.Device().id)
    name = properties["name"]
    return {
        "name": name.decode() if isinstance(name, bytes) else str(name),
        "compute_capability": f"{properties['major']}.{properties['minor']}",
        "memory_bytes": int(properties["totalGlobalMem"]),
        "cache_bytes": int(properties["l2CacheSize"]),
        "multiprocessors": int(properties["multiProcessorCount"]),
        "driver": driver_text(),
        "driver_runs_cuda_up_to": driver.version_text(int(runtime.driverGetVersion())),
        "cuda_runtime": driver.version_text(int(runtime.runtimeGetVersion())),
        "cupy": str(cupy.__version__),
        "nvrtc": ".".join(map(str, nvrtc_version())),
        "nvrtc_options": list(OPTIONS),
    }


def driver_text(path: Path = Path("/proc/driver/nvidia/version")) -> str | None:
    """Return the version text that the driver publishes, or None."""
    try:
        return " ".join(path.read_text(encoding="utf-8").split("\n")[0].split()) or None
    except OSError:
        return None


def measure(device: CupyDevice) -> Rates:
    """Measure the rates of an otherwise idle device."""
    clock = CudaClock(device)
    cupy = import_cupy()
    properties = cupy.cuda.runtime.getDeviceProperties(cupy.cuda.Device().id)
    cache = int(properties["l2CacheSize"])
    free = device.free_bytes()
    large = LARGE if free is None else min(LARGE, free // 4)
    copy = copy_rate(device, clock, large, 4)
    # Source and target together fill half of the cache.
    small = copy_rate(device, clock, max(1 << 20, cache // 4), SMALL_COPIES)
    return Rates(
        copy=copy,
        # Starting such a short copy may take longer than the copy itself.
        copy_in_cache=max(copy, small),
        operations=operation_rate(clock, int(properties["multiProcessorCount"])),
        launch=launch_seconds(device, clock),
        cache_bytes=cache,
    )


def copy_rate(device: Device, clock: Clock, n_bytes: int, copies: int) -> float:
    """Measure the bytes per second that copies on the device read and write."""
    source, target = device.zeros(n_bytes, np.uint8), device.zeros(n_bytes, np.uint8)
    stream = stream_of(device)

    def copy() -> None:
        for _ in range(copies):
            target.values.data.copy_from_device_async(source.values.data, n_bytes, stream)

    return 2.0 * n_bytes * copies / _least_seconds(clock, copy)


def operation_rate(clock: CudaClock, multiprocessors: int) -> float:
    """Measure multiplications and additions per second, compiled with the project's flags."""
    cupy = import_cupy()
    with tempfile.TemporaryDirectory() as folder:
        cubin = chains_program(int(cupy.cuda.Device().compute_capability))
        path = Path(folder) / "chains.cubin"
        path.write_bytes(cubin)
        chains = cupy.RawModule(path=str(path)).get_function("chains")
        _ = chains.kernel  # loads the kernel while the file exists
    blocks = multiprocessors * BLOCKS_A_PROCESSOR
    sums = cupy.empty(blocks * BLOCK, np.float32)
    arguments = (sums, np.float32(0.999), np.float32(0.001), np.int32(ROUNDS))

    def work() -> None:
        with clock.stream:
            chains((blocks,), (BLOCK,), arguments)

    return 2.0 * CHAINS * ROUNDS * BLOCK * blocks / _least_seconds(clock, work)


def chains_program(architecture: int, *, ptx: bool = False) -> bytes:
    """Compile the kernel of :func:`operation_rate`."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "chains.cu").write_text(CHAINS_SOURCE, encoding="utf-8")
        return compile_program(
            ("chains.cu",), {"CHAINS": CHAINS}, architecture, ptx=ptx, folder=Path(folder)
        )


def launch_seconds(device: Device, clock: Clock) -> float:
    """Measure the seconds that an empty kernel takes in a recorded sequence."""
    device.compile("layout", 2)
    epoch = device.zeros(1, np.int32)

    def launch() -> None:
        for _ in range(LAUNCHES):
            device.launch("next_epoch", 1, epoch)

    launch()
    recording = device.record(launch)
    work = launch if recording is None else recording.play
    return _least_seconds(clock, work) / LAUNCHES


def _least_seconds(clock: Clock, work: Callable[[], None]) -> float:
    """Return the device seconds of the fastest repetition, after a warm-up."""
    clock.time(work)
    return min(clock.time(work)[1].device for _ in range(REPEATS))
