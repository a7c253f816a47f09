"""Commands on the processes of an application: scale, restart, stop, start, one-offs, jobs, maintenance."""
