"""The generated world: invented tracks and listeners whose true answers are known. Nothing in it is real."""
