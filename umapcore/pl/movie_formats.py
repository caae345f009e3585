"""Movie formats: choose one by the file name, and write frames as GIF or MP4."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

import numpy as np

from umapcore.errors import bad_value
from umapcore.pl.scatter import require_matplotlib

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

_WHITE = (255, 255, 255)
_FORMATS = (".gif", ".mp4")


def check_format(path: Path) -> None:
    """Raise if no movie can be written to a file of this name.

    Raises
    ------
    ValueError
        If the name ends in neither .gif nor .mp4.
    RuntimeError
        For .mp4 without ffmpeg.
    """
    if path.suffix.lower() not in _FORMATS:
        raise bad_value("path", str(path), f"a name that ends in {' or '.join(_FORMATS)}")
    if path.suffix.lower() == ".mp4":
        require_matplotlib()
        if shutil.which(ffmpeg()) is None:
            msg = f"{path}: .mp4 needs ffmpeg, which is not installed; a .gif does not."
            raise RuntimeError(msg)


def write_gif(path: Path, frames: Iterator[NDArray[np.uint8]], fps: float, hold: float) -> None:
    """Write RGB frames at `fps` frames a second; the last one stays `hold` seconds longer."""
    from PIL import Image

    pictures = [Image.fromarray(frame) for frame in frames]
    # One palette for all frames, from the first, the middle and the last one: no flicker.
    chosen = [pictures[i] for i in sorted({0, len(pictures) // 2, len(pictures) - 1})]
    width, height = pictures[0].size
    sheet = Image.new("RGB", (width, height * len(chosen)))
    for i, picture in enumerate(chosen):
        sheet.paste(picture, (0, height * i))
    colors = sheet.quantize(255, method=Image.Quantize.MEDIANCUT).getpalette() or []
    palette = Image.new("P", (1, 1))
    palette.putpalette([*_WHITE, *colors[: 3 * 255]])
    plain = []
    for picture in pictures:
        indexed = picture.quantize(palette=palette, dither=Image.Dither.NONE)
        # Pillow matches colours coarsely, which could turn the white background grey.
        indexed.paste(0, mask=Image.fromarray((np.asarray(picture) == 255).all(axis=2)))
        plain.append(indexed)
    durations = [round(1000 / fps)] * len(plain)
    durations[-1] += round(1000 * hold)
    plain[0].save(
        path, format="GIF", save_all=True, append_images=plain[1:], duration=durations, loop=0,
        optimize=False,
    )  # fmt: skip


def ffmpeg() -> str:
    """Return the ffmpeg program that matplotlib is configured to use."""
    import matplotlib as mpl

    return str(mpl.rcParams["animation.ffmpeg_path"])


def write_mp4(path: Path, frames: Iterator[NDArray[np.uint8]], fps: float, hold: float) -> None:
    """Write frames with ffmpeg; the last frame is repeated for `hold` seconds."""
    shown = list(frames)
    height, width = shown[0].shape[:2]
    shown += [shown[-1]] * round(hold * fps)
    command = [
        ffmpeg(), "-y", "-loglevel", "error", "-f", "rawvideo", "-pix_fmt", "rgb24",
        "-s", f"{width}x{height}", "-r", f"{fps:g}", "-i", "-",
        # This pixel format requires an even width and height.
        "-vf", "pad=ceil(iw/2)*2:ceil(ih/2)*2:color=white", "-pix_fmt", "yuv420p",
        "-f", "mp4", str(path),
    ]  # fmt: skip
    raw = b"".join(frame.tobytes() for frame in shown)
    done = subprocess.run(command, input=raw, capture_output=True, check=False)
    if done.returncode != 0:
        msg = f"ffmpeg failed: {done.stderr.decode(errors='replace').strip()}"
        raise RuntimeError(msg)
