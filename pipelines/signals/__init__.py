"""Measure: arrays of text in, arrays of numbers out. Knows no thresholds and no framework."""
