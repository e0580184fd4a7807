"""Multi-task training, subtyping and evaluation."""
