"""What is kept between runs, as tables in the user's own warehouse (DESIGN §6)."""
