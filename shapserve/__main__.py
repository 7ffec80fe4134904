"""`python -m shapserve` is the command where the package is not installed."""

from shapserve.start import main

main()
