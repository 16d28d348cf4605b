"""The page that steps through backprop."""
