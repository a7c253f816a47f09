"""Prepare servers with Ansible."""
