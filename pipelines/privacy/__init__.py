"""Personal data in text to be published: found by form *and* by rule, then replaced or recorded (`redact.py`)."""
