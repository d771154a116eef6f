"""The machine below: Java, Spark, environments, disks, signals."""
