"""The engine: from arrays to derivatives."""
