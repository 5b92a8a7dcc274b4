"""What verify says, as data, as a page, as JUnit and in words."""
