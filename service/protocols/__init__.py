"""What the protocols of others need besides their routes and bodies."""
