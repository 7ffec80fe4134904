"""`shapserve fetch`: an artifact from elsewhere, whole and as it was pinned, or nothing.

A URI comes from whoever deploys, what is behind it from anybody. So what is refused is written down
here, one idea a file: which URIs (`uri`), which addresses (`addresses`), where the web may lead to
(`web`), how many bytes (`pieces`), and what an archive may hold (`archives`).
"""
