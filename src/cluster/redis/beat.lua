-- KEYS: state, stream. ARGV: a fresh epoch, then the fields of the record.
append(KEYS[1], KEYS[2], unpack(ARGV))
return whole(now())
