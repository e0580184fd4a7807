"""Beyond one machine: results in object stores, and slides and shards of slides as tasks of a Ray cluster."""
