"""What reading the outside costs: our readers beside the ones that people would use instead."""
