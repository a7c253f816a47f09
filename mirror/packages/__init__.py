"""Names and files of the company: reserved, yanked, listed as a bill of materials."""
