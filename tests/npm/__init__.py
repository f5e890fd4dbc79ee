"""The published clients of State Backed, from npm, against a real server."""
