"""Whether decoded images pass for the person, beside other ways of decoding."""
