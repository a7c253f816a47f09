"""Remove cached files that nobody uses: on demand, and by itself when they take too much room."""
