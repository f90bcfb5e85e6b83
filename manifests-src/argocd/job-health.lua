-- Health of a Job: a chute, the GPU verification, or one that a CronJob made. In Argo CD's sandbox there is no `string` library; times are
-- compared as text, which is right for RFC 3339 in UTC (Argo CD's containers run on UTC).
local os = require("os")
local launchMinutes = LAUNCH_MINUTES
local metadata = obj.metadata or {}
local labels = metadata.labels or {}
local annotations = metadata.annotations or {}
local spec = obj.spec or {}
local status = obj.status or {}
local isChute = labels["chutes/chute"] == "true"
local isVerification = labels["app"] == "graval"

local function health(name, message)
  local deployment = labels["chutes/deployment-id"]
  if isChute and deployment ~= nil then
    message = message .. "; chutes-miner why " .. deployment
  end
  return { status = name, message = message }
end

local function told(condition)
  local text = condition.reason or "no reason given"
  if condition.message ~= nil and condition.message ~= "" then
    text = text .. ": " .. condition.message
  end
  return text
end

for _, condition in ipairs(status.conditions or {}) do
  if condition.status == "True" then
    if condition.type == "Failed" or condition.type == "FailureTarget" then
      return health("Degraded", "failed: " .. told(condition))
    end
    if condition.type == "Complete" then
      return health("Healthy", isChute and "ended by itself" or isVerification and "the verification ended" or "complete")
    end
  end
end
if spec.suspend == true then
  return health("Suspended", "suspended by hand: it has no pod")
end
if not isChute and not isVerification then
  return health("Progressing", "running")
end
if (status.failed or 0) > 0 and (status.active or 0) == 0 then
  return health("Degraded", "failed: its pod failed")
end
if (status.ready or 0) > 0 then
  if isVerification then
    return health("Healthy", "ready to prove its GPUs")
  end
  return health("Healthy", "active: its pod is ready; deployed for " .. (annotations["chutes-miner.io/reason"] or "no known reason"))
end
local since = status.startTime or metadata.creationTimestamp
local limit = os.date("!%Y-%m-%dT%H:%M:%SZ", os.time() - launchMinutes * 60)
if since ~= nil and since < limit then
  return health("Degraded", "not ready " .. launchMinutes .. " minutes after its start at " .. since .. "; its pod tells why")
end
if (status.active or 0) == 0 then
  return health("Progressing", "launching: no pod yet")
end
return health("Progressing", isVerification and "the verification starts" or "launching: its pod is not ready yet")
