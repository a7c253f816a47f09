"""Changes to devpi's database: how it is opened, written and exported, and what each commit brings about."""
