"""The page that a researcher reads, and the figures that the stages draw."""
