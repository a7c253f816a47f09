"""Logs of an application: send their lines to the controller, or to the host."""
