"""Exact and near duplicates: signatures, candidate pairs, verification, clusters, survivors."""
