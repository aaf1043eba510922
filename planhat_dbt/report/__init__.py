"""Plans and results for people and programs: text, Markdown, JSON. Reads values, executes nothing."""
