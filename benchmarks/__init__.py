"""Ratios against peers and floors, each measured in one run on the real pipeline. See README.md."""
