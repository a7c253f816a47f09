"""Push the static files of a version to a bucket with an API like S3's, and remove what no release needs."""
