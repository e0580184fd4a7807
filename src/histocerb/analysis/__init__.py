"""What can be asked of found objects: their table, what contains them, tissue around them, counts."""
