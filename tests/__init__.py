"""The tests; a package, so that a folder of this name in some distribution is not taken for it."""
