-- Debits cells of several quotas (GCRA). Cells that a node spent on credit are debited even if none
-- are left. Cells that it requests in advance are granted as far as there are any.
-- KEYS: one per quota. ARGV, for each: the duration of one cell in microseconds, the burst, the
-- cells requested, the cells owed (negative: given back), the cells to leave to other nodes.
-- Returns for each: the cells granted, the cells left, and the microseconds until one more cell
-- would conform.
local time = now()
local replies = {}
for index, key in ipairs(KEYS) do
  local at = 5 * index - 4
  local cell, burst = tonumber(ARGV[at]), tonumber(ARGV[at + 1])
  local requested, owed = tonumber(ARGV[at + 2]), tonumber(ARGV[at + 3])
  local reserve = tonumber(ARGV[at + 4])
  local tat = math.max(tonumber(redis.call('GET', key) or '0'), time)
  -- Debt is limited: a burst, and two cells on credit from each of very many nodes. A clock that
  -- was set back makes no debt beyond that.
  tat = math.min(math.max(tat + owed * cell, time), time + (2 * burst + 64) * cell)
  -- A thousandth of a cell makes up for the rounding of doubles.
  local left = math.max(0, math.floor((time + burst * cell - tat) / cell + 0.001))
  local granted = math.min(requested, math.max(0, left - reserve))
  tat = tat + granted * cell
  local wait = math.max(0, tat + cell - burst * cell - time)
  if tat > time then
    redis.call('SET', key, string.format('%.2f', tat), 'PX', whole(math.ceil((tat - time) / 1000)))
  else
    redis.call('DEL', key)
  end
  replies[index] = {granted, left - granted, whole(math.ceil(wait))}
end
return replies
