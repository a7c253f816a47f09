"""Agents on the hosts of a target: start them, through ssh or here, talk to them, decide whose turn it is."""
