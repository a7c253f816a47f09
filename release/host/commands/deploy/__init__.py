"""The steps of a deploy or a rollback, and their order."""
