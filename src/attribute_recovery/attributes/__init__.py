"""Reading attributes from images, p(a given x), and changing one of them in code space."""
