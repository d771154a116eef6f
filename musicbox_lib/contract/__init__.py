"""What is agreed on between the jobs: tables, columns, checks, days, arguments."""
