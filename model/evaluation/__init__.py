"""How good a checkpoint is: bits per byte, choices by log-likelihood."""
