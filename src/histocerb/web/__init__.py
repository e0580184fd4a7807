"""The viewer: a server on this machine, its pages, and reports that need none."""
