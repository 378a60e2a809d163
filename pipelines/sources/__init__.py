"""Readers: one module per container format, each yields records or counted failures, never raises on bad data."""
