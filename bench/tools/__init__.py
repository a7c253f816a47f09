"""Helpers of the benchmarks: rows, rivals, load generators."""
