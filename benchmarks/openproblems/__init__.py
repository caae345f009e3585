"""umapcore in the terms of the openproblems task "Dimensionality Reduction for Visualization".

``component/umapcore`` is what a pull request to the task would add. The modules here compute the
task's metrics for it, for umap-learn, scanpy and the task's controls: ``python -m
benchmarks.openproblems``. What is done is taken from ``openproblems-bio/task_dimensionality_
reduction``, version 0.2.0; nothing of its code is used.
"""
