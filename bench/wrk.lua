-- For load.ts: asks for each of the paths in the arguments in turn, and prints what was measured as JSON: microseconds, and
-- how many requests failed.
local requests = {}
local last = 0

function init(paths)
  for index, path in ipairs(paths) do requests[index] = wrk.format("GET", path) end
end

function request()
  last = last % #requests + 1
  return requests[last]
end

function done(summary, latency)
  local errors = summary.errors
  local failed = errors.connect + errors.read + errors.write + errors.timeout + errors.status
  io.write(string.format('\n{"requests":%d,"microseconds":%d,"p50":%d,"p99":%d,"failed":%d}\n',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99), failed))
end
