"""What an attribute weighs for a recognizer: retained information, identity share, decision effect."""
