"""Programs that explain examples: a language of grids, the search for programs in it, and a sandbox."""
