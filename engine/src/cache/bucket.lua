-- The same as bucket.rs, for all engines: takes up to ARGV[3] calls at once, by Redis' own clock in microseconds.
-- KEYS[1]: when the bucket will be full again. ARGV: calls per second, burst, calls wanted.
-- Answers how many calls are granted and, if none, the milliseconds until there is one.
local interval, burst, wanted = 1000000 / tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local latest = now + interval * burst
local found = redis.pcall('GET', KEYS[1])
if type(found) == 'table' then -- Somebody put something else there.
  redis.call('DEL', KEYS[1])
  found = false
end
-- What cannot have been written by this script counts as a full bucket.
local full_at = tonumber(found or now) or now
if not (now < full_at and full_at <= latest) then full_at = now end
local granted = math.min(math.floor((latest - full_at) / interval + 0.000001), wanted)
if granted < 1 then
  return {0, math.ceil((full_at + interval - latest) / 1000)}
end
full_at = full_at + granted * interval
redis.call('SET', KEYS[1], string.format('%.0f', full_at), 'PX', math.ceil((full_at - now) / 1000) + 1000)
return {granted, 0}
