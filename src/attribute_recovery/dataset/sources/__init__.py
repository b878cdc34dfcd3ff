"""Where brought faces come from: one module a source, and the record that they all give."""
