"""Logins that views need; views for root alone: declared settings, reserved names, changed files, bundles."""
