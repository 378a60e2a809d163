"""Benchmark items in training documents: files of any known format, an index of n-grams, and the evidence."""
