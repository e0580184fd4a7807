"""From annotated images to training batches: sources, store, splits, targets, augmentation, sampler."""
