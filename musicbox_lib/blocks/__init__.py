"""The vocabulary of the policies: what one sees and what it gives, as arrays. No Spark, no lake."""
