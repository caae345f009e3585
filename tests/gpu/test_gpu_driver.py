"""What the NVIDIA driver is asked, on a stand-in for it."""

from __future__ import annotations

import ctypes
from typing import Any

import pytest

from umapcore_cupy.host import driver


class FakeDriver:
    """NVIDIA's driver with a number of devices, as ctypes sees it."""

    def __init__(self, version: int = 13_020, devices: int = 2, *, works: bool = True) -> None:
        self.version, self.devices, self.works = version, devices, works

    def cuDriverGetVersion(self, number: Any) -> int:  # noqa: N802
        number._obj.value = self.version
        return 0

    def cuInit(self, flags: int) -> int:  # noqa: N802
        return 0 if self.works else 100

    def cuDeviceGetCount(self, number: Any) -> int:  # noqa: N802
        number._obj.value = self.devices
        return 0

    def cuDeviceGet(self, device: Any, number: int) -> int:  # noqa: N802
        device._obj.value = number
        return 0

    def cuDeviceGetName(self, text: Any, length: int, device: Any) -> int:  # noqa: N802
        text.value = f"GPU {device.value}".encode()
        return 0

    def cuDeviceTotalMem_v2(self, memory: Any, device: Any) -> int:  # noqa: N802
        assert ctypes.sizeof(memory._obj) == 8  # more than 4 GiB
        memory._obj.value = 80 * 2**30
        return 0

    def cuDeviceGetAttribute(self, value: Any, attribute: int, device: Any) -> int:  # noqa: N802
        value._obj.value = {75: 12, 76: 1}[attribute]
        return 0


class TestDriver:
    @pytest.fixture(autouse=True)
    def _fake(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.library: Any = FakeDriver()
        monkeypatch.setattr(driver, "_library", lambda: self.library)

    def test_devices(self) -> None:
        assert driver.driver_version() == 13_020
        expected = [driver.Gpu(f"GPU {i}", 80 * 2**30, (12, 1)) for i in range(2)]
        assert driver.gpus() == expected

    def test_none(self) -> None:
        self.library = None
        assert driver.driver_version() is None
        assert driver.gpus() == []

    def test_without_devices(self) -> None:
        self.library = FakeDriver(works=False)
        assert driver.driver_version() == 13_020
        assert driver.gpus() == []

    def test_version_text(self) -> None:
        assert driver.version_text(12_080) == "12.8"
        assert driver.version_text(13_000) == "13.0"
