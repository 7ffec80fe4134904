"""`python -m service.cli` is the command where the package is not installed."""

from service.cli import main

main()
