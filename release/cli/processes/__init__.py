"""Commands on the processes of a target: what runs, how many, what they write."""
