"""The words of the domain: errors, tasks, geometry, samples and instances (stdlib and numpy only)."""
