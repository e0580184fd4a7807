"""histocerb."""
