"""Prefect flows: typed parameters in, a supervised child process, artefacts out. Thin on purpose."""
