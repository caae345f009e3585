"""umapcore as a method of the openproblems task: a data set in, an embedding out."""

import anndata as ad
import numpy as np

import umapcore

# Viash puts its own dictionaries in place of what is between the two marks.
## VIASH START
par = {
    "input": "resources_test/task_dimensionality_reduction/cxg_mouse_pancreas_atlas/dataset.h5ad",
    "output": "embedding.h5ad",
    "n_hvg": 1000,
    "n_pca_dims": None,
    "n_neighbors": 15,
    "min_dist": 0.1,
    "density_weight": 0.0,
    "seed": 42,
}
meta = {"name": "umapcore", "cpus": None}
## VIASH END

print("Load input data", flush=True)
data = ad.read_h5ad(par["input"])
matrix = data.layers["normalized"]

if par["n_hvg"]:
    print(f"Take the {par['n_hvg']} most variable genes", flush=True)
    # A gene without a score is never among the most variable ones.
    score = np.nan_to_num(data.var["hvg_score"].to_numpy(float), nan=-np.inf)
    matrix = matrix[:, score.argsort()[::-1][: par["n_hvg"]]]

if par["n_pca_dims"]:
    import scanpy as sc

    print(f"Compute {par['n_pca_dims']} principal components", flush=True)
    matrix = sc.pp.pca(matrix, n_comps=par["n_pca_dims"], svd_solver="arpack")

threads = int(meta["cpus"]) if meta.get("cpus") else None
cells = ad.AnnData(X=matrix, obs=data.obs[[]])

print("Find neighbours", flush=True)
umapcore.pp.neighbors(
    cells,
    n_neighbors=par["n_neighbors"],
    use_rep="X",
    random_state=par["seed"],
    n_threads=threads,
    progress=False,
)

print("Lay out the graph", flush=True)
umapcore.tl.umap(
    cells,
    min_dist=par["min_dist"],
    density_weight=par["density_weight"],
    random_state=par["seed"],
    n_threads=threads,
    progress=False,
)

print("Write the embedding", flush=True)
output = ad.AnnData(
    obs=data.obs[[]],
    obsm={"X_emb": cells.obsm["X_umap"]},
    uns={
        "dataset_id": data.uns["dataset_id"],
        "normalization_id": data.uns["normalization_id"],
        "method_id": meta["name"],
    },
)
output.write_h5ad(par["output"], compression="gzip")
