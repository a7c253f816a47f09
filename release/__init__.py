"""The pipeline: build, upload, deploy."""
