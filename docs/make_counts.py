"""Make the counts that the notebook begins with: ``docs/data/cbmc8k_counts.h5ad``.

Usage: ``python docs/make_counts.py CITE_CBMC_counts_top2000.h5``, the file as ttgump/scDCC has it.
The cells and their order are those of ``umapcore/data/cbmc8k.h5ad``, whose names of groups are
taken over.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import anndata as ad
import h5py
import numpy as np
import pandas as pd
from scipy import sparse

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.make_demo_data import NAMES, SOURCE, compress, round_mantissa  # noqa: E402

# The order of the antibodies of GSE100866 without the three that its authors found not to work.
# The file has no names; that each is highest in the cells that it marks says the same.
PROTEINS = ["CD3", "CD4", "CD8", "CD45RA", "CD56", "CD16", "CD11c", "CD14", "CD19", "CD34"]


def main() -> None:
    """Read, check and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("input", type=Path)
    parser.add_argument("-o", "--output", type=Path, default=ROOT / "docs/data/cbmc8k_counts.h5ad")
    args = parser.parse_args()
    with h5py.File(args.input) as file:
        counts, groups = file["X"][:], file["Y"][:].astype(int)
        proteins = file["ADT_X"][:].astype(np.float32)
    assert (counts == np.rint(counts)).all()
    names = pd.Series(groups).map(NAMES)
    demo = ad.read_h5ad(ROOT / "umapcore/data/cbmc8k.h5ad")
    assert (names.to_numpy() == demo.obs["cell_type"].astype(str).to_numpy()).all()

    made = ad.AnnData(
        X=sparse.csr_matrix(counts.astype(np.uint16)),
        obs=pd.DataFrame(
            {"cell_type": pd.Categorical(names, categories=list(NAMES.values()))},
            index=demo.obs_names,
        ),
        var=pd.DataFrame(index=[f"gene {i}" for i in range(counts.shape[1])]),
        obsm={
            "protein": pd.DataFrame(
                round_mantissa(proteins, 9), index=demo.obs_names, columns=PROTEINS
            )
        },
        uns={
            "source": SOURCE
            | {"changes": "stored sparsely, names put in place of the group numbers"}
        },
    )
    made.X.indices = made.X.indices.astype(np.int32)
    made.write_h5ad(args.output)
    compress(args.output)
    print(f"{args.output}: {args.output.stat().st_size / 1e6:.2f} MB")  # noqa: T201


if __name__ == "__main__":
    main()
