"""Corpora from where they are published to a local directory: resumed, checked, polite. Reads no document."""
