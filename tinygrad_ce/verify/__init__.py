"""Verification: comparisons, finite differences, and independent references."""
