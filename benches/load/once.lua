-- wrk script that requests ids from number IKGATE_FIRST on, each once. IKGATE_PREFIX: their prefix.
local prefix = os.getenv("IKGATE_PREFIX")
local next_id = tonumber(os.getenv("IKGATE_FIRST"))

request = function()
  next_id = next_id + 1
  return wrk.format("GET", string.format("/v1/files/%s%022x/versions", prefix, next_id - 1))
end
