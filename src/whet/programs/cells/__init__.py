"""Rules for single cells, learnt from all cells of the training pairs."""
