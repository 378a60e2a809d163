"""A checkpoint behind an OpenAI-compatible HTTP interface."""
