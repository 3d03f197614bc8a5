-- wrk script that requests a thousand ids in turn. The requests are built in advance, because a
-- generator that is slower than the server measures itself.
--
-- IKGATE_PREFIX: prefix of the ids. IKGATE_FIRST, IKGATE_IDS: first number, and number of ids.
local requests = {}
local number = 0
local prefix = os.getenv("IKGATE_PREFIX") or "65"
local first = tonumber(os.getenv("IKGATE_FIRST") or "0")
local ids = tonumber(os.getenv("IKGATE_IDS") or "1000")

init = function()
  for id = first, first + ids - 1 do
    local path = string.format("/v1/files/%s%022x/versions", prefix, id)
    requests[#requests + 1] = wrk.format("GET", path)
  end
end

request = function()
  number = number % ids + 1
  return requests[number]
end
