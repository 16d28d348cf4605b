"""From a simplified program to Python source."""
