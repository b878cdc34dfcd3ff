"""The facial image decoder G and its encoder E, trained once for a domain of images."""
