"""Reading slides at any resolution, finding tissue, and making slides of our own."""
