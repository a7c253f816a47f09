"""Lock files of users: which versions and files of which projects they ask for, in which environments."""
