-- Microseconds since 1970 by the server's own clock, which all nodes share: whole numbers in a
-- double for the next two centuries.
local function now()
  local time = redis.call('TIME')
  return time[1] * 1000000 + time[2]
end

-- A whole number as text; tostring would use an exponent.
local function whole(number)
  return string.format('%.0f', number)
end

-- Later than now, and than it was before.
local function later(text)
  return whole(math.max(now(), tonumber(text or '0') + 1))
end

-- Puts a record into the stream. Its number in sequence says to whoever reads it whether something
-- is missing before it. A server that was emptied begins another epoch.
local function append(state, stream, fresh, ...)
  redis.call('HSETNX', state, 'epoch', fresh)
  local seq = redis.call('HINCRBY', state, 'seq', 1)
  local epoch = redis.call('HGET', state, 'epoch')
  redis.call('XADD', stream, 'MAXLEN', '~', 100000, '*', 'epoch', epoch, 'seq', seq, ...)
  return {epoch, seq}
end

-- What second-level values of now are stamped with: nil after the server was emptied.
local function stamp_of(state)
  local epoch, generation = unpack(redis.call('HMGET', state, 'epoch', 'generation'))
  return epoch and epoch .. ':' .. (generation or '0')
end
