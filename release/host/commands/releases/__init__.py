"""The release that runs and those before: activate, repair, list, configure."""
