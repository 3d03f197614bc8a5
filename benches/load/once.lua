-- Asks for so many ids, each once, and stops. IKGATE_PREFIX, IKGATE_FIRST, IKGATE_IDS: as in ids.lua.
local prefix = os.getenv("IKGATE_PREFIX")
local next_id = tonumber(os.getenv("IKGATE_FIRST"))
local last = next_id + tonumber(os.getenv("IKGATE_IDS"))

request = function()
  if next_id >= last then
    wrk.thread:stop()
  end
  next_id = next_id + 1
  return wrk.format("GET", string.format("/v1/files/%s%022x/versions", prefix, next_id - 1))
end
