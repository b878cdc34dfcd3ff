"""The checkpoints that the method's authors publish, converted, read and run (Ren et al., IEEE TIFS 2024)."""
