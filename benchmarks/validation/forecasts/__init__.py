"""What is recovered of people whom the run has never seen."""
