"""Files as they were delivered: landed by the command line, read by the first job of the night,
users as pseudonyms."""
