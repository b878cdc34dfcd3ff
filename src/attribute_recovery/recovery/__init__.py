"""What a representation gives away: p(a given z) through the decoder, and by a direct probe of z."""
