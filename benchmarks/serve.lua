-- Sends the requests of a file in turn, and tells what came of them as one JSON object.
-- wrk -s serve.lua URL -- FILE METHOD PATH; a line of the file is the body, or ends the path.

local requests, place = {}, 0

function init(args)
  local method, path = args[2], args[3]
  for line in io.lines(args[1]) do
    if method == "POST" then
      requests[#requests + 1] = wrk.format(method, path, {["Content-Type"] = "application/json"}, line)
    else
      requests[#requests + 1] = wrk.format(method, (string.gsub(path, "{}", line)))
    end
  end
end

function request()
  place = place % #requests + 1
  return requests[place]
end

function done(summary, latency)
  local errors = summary.errors
  io.write(string.format(
    '{"requests": %d, "seconds": %f, "p50_ms": %f, "p99_ms": %f, "failed": %d}\n',
    summary.requests, summary.duration / 1e6,
    latency:percentile(50) / 1e3, latency:percentile(99) / 1e3,
    errors.connect + errors.read + errors.write + errors.status + errors.timeout))
end
