"""What people look at: releases, processes, logs and versions of all hosts of a target."""
