-- Returns the value of a file, or whether this node or another one holds the lease to fetch it.
-- KEYS: state, fence, value, lease. ARGV: a token, how long it may hold the lease in ms.
local state, fence, value, lease = unpack(KEYS)
local stamp = stamp_of(state)
if not stamp then return redis.error_reply('EMPTIED no node has joined since') end
local ticket = {stamp, redis.call('GET', fence) or '0', whole(now()), 'wait', ''}
local stored = redis.call('GET', value)
if stored and string.sub(stored, 1, #stamp + 1) == stamp .. ' ' then
  ticket[4], ticket[5] = 'found', string.sub(stored, #stamp + 2)
elseif redis.call('SET', lease, ARGV[1], 'NX', 'PX', ARGV[2]) then
  ticket[4] = 'lead'
end
return ticket
