"""From a slide to its tables: windows, network, canvas on disk, objects, files."""
