-- Returns Unix time in microseconds by the server's own clock, which all nodes share. A double
-- holds it as a whole number for the next two centuries.
local function now()
  local time = redis.call('TIME')
  return time[1] * 1000000 + time[2]
end

-- Formats a whole number; tostring would use an exponent.
local function whole(number)
  return string.format('%.0f', number)
end

-- Returns a time that is at least now, and later than `text`.
local function later(text)
  return whole(math.max(now(), tonumber(text or '0') + 1))
end

-- Appends a record to the stream. A reader sees by its sequence number whether a record before it
-- is missing. A server that was emptied begins another epoch.
local function append(state, stream, fresh, ...)
  redis.call('HSETNX', state, 'epoch', fresh)
  local seq = redis.call('HINCRBY', state, 'seq', 1)
  local epoch = redis.call('HGET', state, 'epoch')
  redis.call('XADD', stream, 'MAXLEN', '~', 100000, '*', 'epoch', epoch, 'seq', seq, ...)
  return {epoch, seq}
end

-- Returns the stamp of second-level values stored now; nil after the server was emptied.
local function stamp_of(state)
  local epoch, generation = unpack(redis.call('HMGET', state, 'epoch', 'generation'))
  return epoch and epoch .. ':' .. (generation or '0')
end
