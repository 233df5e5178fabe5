"""What the guides say, held against what there is."""
