-- Health of every Payplane kind for Argo CD, from conditions alone. The order matters: the first that holds decides.
--
-- A refused payment is a result and not a fault: it is Healthy, with the reason as message. Only Stalled is Degraded.
local hs = { status = "Progressing", message = "The operator has not looked at this object yet." }

local function find(type_)
  for _, condition in ipairs((obj.status or {}).conditions or {}) do
    if condition.type == type_ then
      return condition
    end
  end
end

local function is(condition, status)
  return condition ~= nil and condition.status == status
end

local function tell(status, condition)
  hs.status = status
  hs.message = (condition.reason or "") .. ": " .. (condition.message or "")
  return hs
end

if obj.metadata.deletionTimestamp ~= nil then
  hs.message = "The object is being deleted."
  return hs
end

local ready, settled = find("Ready"), find("Settled")
local observed = (obj.status or {}).observedGeneration
if ready == nil or ready.status == "Unknown" then
  return hs
end
-- What is said about an older spec says nothing about this one, unless no change is possible any more.
if observed ~= nil and observed < (obj.metadata.generation or 0) then
  hs.message = "The operator has not looked at the latest change yet."
  return hs
end
local stalled, suspended = find("Stalled"), find("Suspended")
if is(stalled, "True") then
  return tell("Degraded", stalled)
end
if is(suspended, "True") then
  return tell("Suspended", suspended)
end
if is(settled, "True") or is(ready, "True") then
  return tell("Healthy", ready)
end
if is(find("Reconciling"), "True") then
  return tell("Progressing", ready)
end
-- Not ready, and nothing more will happen by itself: an answer that is no, such as a capture that was refused.
return tell("Healthy", ready)
