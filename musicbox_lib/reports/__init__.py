"""What the night was like: skip rates, diversity, comparisons, and the page that shows them."""
