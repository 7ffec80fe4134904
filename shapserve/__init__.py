"""The command `shapserve`; importing this imports nothing else."""
