"""restic repositories: the program itself, and its documented format read without it."""
