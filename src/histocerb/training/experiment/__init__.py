"""Grids of training runs (rows of a table x folds), and their figures beside those of the paper.

`files` -> `plan` (what to train) -> `queue` (when, on which device) -> `process`, `perform` (one run)
-> `results` -> `table`. `ledger` says what is kept where.
"""
