"""Make the data set that ``umapcore demo`` embeds: ``umapcore/data/cbmc8k.h5ad``.

Usage: ``python benchmarks/make_demo_data.py CBMC8K.h5ad [-o umapcore/data/cbmc8k.h5ad]``

The input holds 8,617 cord blood cells: ``obsm['X_pca']`` (50 components), the neighbour graph as
``scanpy.pp.neighbors`` writes it, and ``obs['label']``, the group numbers 1 to 15 that the scDCC
repository distributes. The output holds the same cells with names instead of group numbers, and
its source in ``uns['source']``. The principal components are rounded to 15 significant bits (still
float32), which saves a third of the file. The graph is unchanged, so embeddings of both files
agree.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

import anndata as ad
import h5py
import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from numpy.typing import NDArray

# The numbers are those of the Seurat tutorial on this data set (19 clusters, some of them merged),
# in the order in which its list of names first mentions each group. The sizes decrease in this
# order. The ten surface proteins measured in the same cells agree with every name that they can
# distinguish: CD3 and CD4 in 1 and 3, CD56 and CD16 in 4, CD19 in 6, CD3 and CD8 in 7, CD11c and
# CD16 in 8, CD3 and CD14 together in 9, CD34 in 10, CD4 and CD45RA without CD3 in 15.
NAMES = {
    1: "Memory CD4 T",
    2: "CD14+ monocytes",
    3: "Naive CD4 T",
    4: "NK",
    5: "Mouse",
    6: "B",
    7: "CD8 T",
    8: "CD16+ monocytes",
    9: "T/monocyte doublets",
    10: "CD34+",
    11: "Multiplets",
    12: "Erythroid",
    13: "Megakaryocytes",
    14: "DC",
    15: "pDC",
}

SOURCE = {
    "data": "CITE-seq of human cord blood mononuclear cells with mouse cells spiked in",
    "accession": "GEO GSE100866",
    "paper": "Stoeckius et al., Nature Methods 14, 865-868 (2017), doi:10.1038/nmeth.4380",
    "taken_from": "https://github.com/ttgump/scDCC",
    "licence": "Apache-2.0 (scDCC repository)",
    "changes": "principal components and neighbour graph computed from the counts, names put in "
    "place of the group numbers, components rounded to 15 significant bits",
}


def round_mantissa(values: NDArray[np.float32], bits: int = 14) -> NDArray[np.float32]:
    """Round to `bits` stored mantissa bits (half to even); the zero bits compress well."""
    drop = 23 - bits
    raw = np.ascontiguousarray(values, dtype=np.float32).view(np.uint32)
    raw = raw + np.uint32((1 << (drop - 1)) - 1) + ((raw >> np.uint32(drop)) & np.uint32(1))
    return (raw & np.uint32(0xFFFFFFFF << drop & 0xFFFFFFFF)).view(np.float32)


def compress(path: Path) -> None:
    """Store every array gzipped after a byte shuffle, for which write_h5ad has no option."""
    plain = path.with_suffix(".plain")
    path.rename(plain)
    with h5py.File(plain) as source, h5py.File(path, "w") as target:
        target.attrs.update(source.attrs)

        def copy(name: str, item: h5py.Group | h5py.Dataset) -> None:
            if isinstance(item, h5py.Group):
                made = target.require_group(name)
            elif item.size and item.shape:
                made = target.create_dataset(
                    name,
                    data=item[()],
                    dtype=item.dtype,
                    chunks=item.shape,
                    compression=9,
                    shuffle=True,
                )
            else:
                made = target.create_dataset(name, data=item[()], dtype=item.dtype)
            made.attrs.update(item.attrs)

        source.visititems(copy)
    plain.unlink()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("input", type=Path)
    parser.add_argument("-o", "--output", type=Path, default=Path("umapcore/data/cbmc8k.h5ad"))
    args = parser.parse_args()

    given = ad.read_h5ad(args.input)
    groups = given.obs["label"].astype(int).map(NAMES)
    made = ad.AnnData(
        obs=pd.DataFrame(
            {"cell_type": pd.Categorical(groups, categories=list(NAMES.values()))},
            index=given.obs_names,
        ),
        obsm={"X_pca": round_mantissa(given.obsm["X_pca"])},
        obsp={key: given.obsp[key] for key in ("connectivities", "distances")},
        uns={"neighbors": given.uns["neighbors"], "source": SOURCE},
    )
    made.write_h5ad(args.output)
    compress(args.output)
    print(f"{args.output}: {args.output.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
