"""Many slides: which, in what order, what became of them, and one table over all."""
