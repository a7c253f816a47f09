"""Views for people: releases, processes, logs and versions of all hosts of a target."""
