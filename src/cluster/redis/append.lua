-- Appends a record that purges nothing. Returns the server's clock, in microseconds of Unix time.
-- KEYS: state, stream. ARGV: a fresh epoch, then the fields of the record.
append(KEYS[1], KEYS[2], unpack(ARGV))
return whole(now())
