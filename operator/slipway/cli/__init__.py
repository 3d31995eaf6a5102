"""What the command line does besides running the operator: files it generates, plans it previews, what it lists."""
