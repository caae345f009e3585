"""Movies of a layout in progress: ``umapcore.pl.movie``."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from umapcore._kit.checks import check_real
from umapcore.anndata_io.write import check_object
from umapcore.errors import bad_type, bad_value
from umapcore.files.atomic_write import atomic_write
from umapcore.pl.drawing import Drawing
from umapcore.pl.figure import make_room
from umapcore.pl.movie_formats import check_format, write_gif, write_mp4
from umapcore.pl.options import named
from umapcore.pl.positions import Embedding
from umapcore.pl.scatter import require_matplotlib, umap
from umapcore.runs.snapshots import Snapshots

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from anndata import AnnData
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

#: Free margin around the points, as a share of their extent.
_MARGIN = 0.04
#: Inches: width of the panel, height of the title, and bounds of the figure's height.
_PANEL, _HEADING, _HEIGHTS = 4.4, 0.6, (3.2, 6.4)
_STEPS, _SPARE = 3, 0.1
#: Options of a picture that a movie does not have.
_OF_PICTURES = ("ax", "basis", "dims", "ncols", "projection", "return_fig", "save", "show")


def movie(
    adata: AnnData,
    path: str | os.PathLike[str],
    color: str | None = None,
    *,
    snapshots: Snapshots | None = None,
    key: str | None = None,
    components: Sequence[int] = (0, 1),
    layer: str | None = None,
    fps: float = 10.0,
    hold: float = 2.0,
    figsize: tuple[float, float] | None = None,
    dpi: float = 100.0,
    title: str | None = None,
    **options: Any,
) -> Path:
    """Write a movie of a layout in progress.

    The axes do not move: their limits hold the points of all epochs. Points keep their colours
    and their drawing order. `adata` is only read.

    Parameters
    ----------
    adata
        Annotated data, for example after ``umapcore.tl.umap(adata, snapshots=10)``.
    path
        File to write: ``.gif``, or ``.mp4`` if ffmpeg is installed. An existing file is replaced
        when the new one is complete.
    color
        A column of ``obs`` or a name in ``var_names``, as for :func:`umapcore.pl.umap`.
    snapshots
        Positions to show; None takes those in ``uns[key]['snapshots']``.
    key
        The ``key_added`` of :func:`umapcore.tl.umap`; None means ``'umap'``.
    components
        The two columns of the positions to draw.
    layer
        Layer that holds a variable's values; None takes ``X``.
    fps
        Snapshots shown per second.
    hold
        Seconds that the last snapshot stays.
    figsize, dpi
        Width and height in inches, and dots per inch. A `figsize` of None follows the shape of
        the layout and makes room for the legend.
    title
        Title above the picture; None takes `color`.
    options
        Options of :func:`umapcore.pl.umap`: `palette`, `cmap`, `size`, `legend_loc` and so on.
        `ax`, `show`, `save` and `return_fig` are not among them: a movie has a file only.

    Returns
    -------
    The path.

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    ValueError, TypeError
        If there are no snapshots, if they do not fit `adata`, or if a parameter is bad.
    RuntimeError
        For ``.mp4`` without ffmpeg.

    Examples
    --------
    >>> import umapcore as uc
    >>> uc.tl.umap(adata, snapshots=5)  # doctest: +SKIP
    >>> uc.pl.movie(adata, "umap.gif", color="cell_type")  # doctest: +SKIP
    """
    if not isinstance(path, (str, os.PathLike)) or not str(path):
        raise bad_type("path", path, "the name of a file")
    path = Path(path)
    check_format(path)
    check_object(adata)
    shown = _snapshots(adata, snapshots, "umap" if key is None else key)
    style = Style(components, layer, fps, hold, figsize, dpi, title)
    basis = "X_umap" if key is None else key
    with atomic_write(path) as beside:
        write_movie(adata, beside, path, color, shown, basis, style, **options)
    return path


class Style(NamedTuple):
    """How a movie looks: parameters of :func:`movie`."""

    components: Sequence[int] = (0, 1)
    layer: str | None = None
    fps: float = 10.0
    hold: float = 2.0
    figsize: tuple[float, float] | None = None
    dpi: float = 100.0
    title: str | None = None


def write_movie(
    adata: AnnData,
    beside: Path,
    path: Path,
    color: str | None,
    snapshots: Snapshots,
    basis: str,
    style: Style = Style(),  # noqa: B008 (it cannot be changed)
    **options: Any,
) -> None:
    """Write a movie to the file `beside`, in the format of `path`; otherwise as :func:`movie`."""
    if color is not None and not isinstance(color, str):
        raise bad_type("color", color, "None, a column of obs or a name in var_names")
    fps = check_real("fps", style.fps, above=0.0, at_most=50.0)
    hold = check_real("hold", style.hold, at_least=0.0)
    require_matplotlib()
    for name in _OF_PICTURES:
        if name in options:
            msg = f"{name}= is not an option of a movie, which is only written to its file."
            raise TypeError(msg)
    given = {"layer": style.layer, "title": style.title, "components": style.components}
    last = Embedding(list(snapshots)[-1][1], basis)
    drawing = Drawing.read(adata, color, named(umap, given | options), last)
    if len(drawing.panels) != 1 or len(drawing.panels[0].columns) != 2:
        raise bad_value("components", style.components, "two columns of the positions")
    frames = _frames(drawing, snapshots, (style.figsize, style.dpi))
    write = write_gif if path.suffix.lower() == ".gif" else write_mp4
    write(beside, frames, fps, hold)


def _snapshots(adata: AnnData, given: Snapshots | None, key: str) -> Snapshots:
    if given is None:
        entry = adata.uns.get(key)
        if not isinstance(entry, Mapping) or "snapshots" not in entry:
            msg = (
                f".uns[{key!r}] has no snapshots. Run `umapcore.tl.umap(adata, snapshots=10)` "
                "first, or give snapshots=."
            )
            raise ValueError(msg)
        given = Snapshots.from_dict(entry["snapshots"])
    elif not isinstance(given, Snapshots):
        raise bad_type("snapshots", given, "a umapcore.Snapshots or None")
    if not len(given):
        msg = "the snapshots are empty: a run must fill them first."
        raise ValueError(msg)
    n = next(iter(given))[1].shape[0]
    if n != adata.n_obs:
        msg = f"the snapshots are of {n} observations: adata has {adata.n_obs}."
        raise ValueError(msg)
    return given


def _frames(
    drawing: Drawing,
    snapshots: Snapshots,
    size: tuple[tuple[float, float] | None, float],
) -> Iterator[NDArray[np.uint8]]:
    """Draw each snapshot as an RGB image of shape (height, width, 3)."""
    panel = drawing.panels[0]
    columns = list(panel.columns)
    low, high = _extent(snapshots, columns)
    figsize, dpi = size
    if figsize is None:
        shape = float((high - low)[1] / (high - low)[0])
        figsize = (_PANEL, float(np.clip(_PANEL * shape + _HEADING, *_HEIGHTS)))
    # The same in all frames.
    box = drawing.fit(panel, figsize, grows=size[0] is None)

    def draw(positions: NDArray[np.floating[Any]]) -> Axes:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        # A separate figure: no window, no global state.
        figure = Figure(figsize=figsize, dpi=dpi, layout="constrained", facecolor="white")
        FigureCanvasAgg(figure)
        ax: Any = figure.add_subplot()
        # The legend must not depend on the shape of this frame's points.
        ax.set_axes_locator(lambda place, _: place.get_position(original=True))
        drawing.at(positions).draw(ax, box)
        ax.set_axes_locator(None)
        ax.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]))
        if not ax.get_title():
            ax.set_title(" ")  # room for the epoch number
        return ax  # type: ignore[no-any-return]

    if size[0] is None:
        # All frames have the size of the last one, with room for legend and colour bar.
        last = draw(list(snapshots)[-1][1])
        make_room([last], 1)
        figsize = _with_room(last.figure)
    width = len(str(int(snapshots.epochs[-1])))
    stage = None
    if not drawing.legend.on_data and drawing.edges is None:
        stage = _Stage.of(draw, columns, positions_like=next(iter(snapshots))[1])
    for epoch, positions in snapshots:
        text = f"epoch {epoch:>{width}}"
        if stage is not None:
            yield stage.show(positions[:, columns], text)
        else:
            ax = draw(positions)
            _settle(ax.figure)
            _epoch_text(ax, text)
            ax.figure.canvas.draw()
            yield _pixels(ax)


def _settle(figure: Any) -> None:
    # With a fixed aspect of the axes, the figure's layout needs several steps to settle.
    for _ in range(_STEPS):
        figure.get_layout_engine().execute(figure)


def _with_room(figure: Any) -> tuple[float, float]:
    """Widen a figure until nothing is cut off on the right, and return its size."""
    for _ in range(_STEPS):
        _settle(figure)
        right = figure.get_tightbbox().x1  # in inches
        if right <= figure.get_figwidth() - _SPARE:
            break
        figure.set_figwidth(right + 2 * _SPARE)
    width, height = figure.get_size_inches()
    return float(width), float(height)


class _Stage:
    """Axes in which only the points and the epoch number change; the rest is drawn once."""

    def __init__(self, ax: Any, groups: list[tuple[Any, NDArray[np.intp]]]) -> None:
        self._ax, self._groups = ax, groups
        self._text = _epoch_text(ax, "")
        below_first = sorted((points for points, _ in groups), key=lambda each: each.get_zorder())
        self._moving = [*below_first, self._text]
        for artist in self._moving:
            artist.set_animated(True)
        ax.figure.canvas.draw()
        self._still = ax.figure.canvas.copy_from_bbox(ax.figure.bbox)

    @classmethod
    def of(
        cls,
        draw: Callable[[Any], Axes],
        columns: Sequence[int],
        positions_like: NDArray[np.float32],
    ) -> _Stage | None:
        """Return a stage for such positions, or None if points are not drawn one by one."""
        # The plot chooses the order and the groups. Numbers as coordinates identify its points.
        numbered = np.zeros(positions_like.shape)
        numbered[:, columns[0]] = np.arange(len(numbered))
        ax = draw(numbered)
        _settle(ax.figure)
        if ax.images or not ax.collections:
            return None
        groups = []
        for points in ax.collections:
            offsets = np.asarray(points.get_offsets())
            groups.append((points, offsets[:, 0].astype(np.intp)))
        return cls(ax, groups)

    def show(self, positions: NDArray[np.float32], text: str) -> NDArray[np.uint8]:
        """Draw the points at `positions`, (n, 2), and return the frame."""
        canvas = self._ax.figure.canvas
        canvas.restore_region(self._still)
        for points, members in self._groups:
            points.set_offsets(positions[members])
        self._text.set_text(text)
        for artist in self._moving:
            self._ax.draw_artist(artist)
        return _pixels(self._ax)


def _epoch_text(ax: Any, text: str) -> Any:
    return ax.text(
        0.0, 1.0, text, transform=ax.transAxes, ha="left", va="bottom", color="0.45",
        fontsize="small", family="monospace",
    )  # fmt: skip


def _pixels(ax: Any) -> NDArray[np.uint8]:
    return np.asarray(ax.figure.canvas.buffer_rgba())[..., :3].copy()


def _extent(
    snapshots: Snapshots, columns: Sequence[int]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return two corners of a box that holds the points of all epochs."""
    low = np.min([taken[:, columns].min(axis=0) for _, taken in snapshots], axis=0)
    high = np.max([taken[:, columns].max(axis=0) for _, taken in snapshots], axis=0)
    margin = np.maximum(_MARGIN * (high - low), 1e-3)
    return low - margin, high + margin
