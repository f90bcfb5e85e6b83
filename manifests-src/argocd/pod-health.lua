-- Health of a pod. Argo CD's own check calls the pod of a Job that runs on and on "progressing" for ever.
local status = obj.status or {}

-- What waits for one of these does not start without somebody's help.
local stuck = {
  ErrImagePull = "image cannot be pulled",
  ImagePullBackOff = "image cannot be pulled",
  InvalidImageName = "image cannot be pulled",
  ErrImageNeverPull = "image cannot be pulled",
  RegistryUnavailable = "image cannot be pulled",
  CreateContainerConfigError = "container cannot be made",
  CreateContainerError = "container cannot be made",
  RunContainerError = "container cannot be started",
  CrashLoopBackOff = "container ends again and again",
}

local function told(text, detail)
  if detail ~= nil and detail ~= "" then
    return text .. ": " .. detail
  end
  return text
end

local function containers()
  local all = {}
  for _, key in ipairs({ "initContainerStatuses", "containerStatuses" }) do
    for _, one in ipairs(status[key] or {}) do
      table.insert(all, one)
    end
  end
  return all
end

if status.phase == "Succeeded" then
  return { status = "Healthy", message = "ended by itself" }
end
if status.phase == "Failed" then
  for _, one in ipairs(containers()) do
    local ended = (one.state or {}).terminated
    if ended ~= nil and ended.exitCode ~= 0 then
      local text = one.name .. " ended with exit code " .. (ended.exitCode or "unknown") .. " (" .. (ended.reason or "no reason given") .. ")"
      return { status = "Degraded", message = told("failed: " .. text, ended.message) }
    end
  end
  return { status = "Degraded", message = told("failed: " .. (status.reason or "no reason given"), status.message) }
end
for _, one in ipairs(containers()) do
  local waiting = (one.state or {}).waiting
  if waiting ~= nil and waiting.reason ~= nil and stuck[waiting.reason] ~= nil then
    return { status = "Degraded", message = told(stuck[waiting.reason] .. " (" .. one.name .. ", " .. waiting.reason .. ")", waiting.message) }
  end
end
for _, condition in ipairs(status.conditions or {}) do
  if condition.type == "Ready" and condition.status == "True" then
    return { status = "Healthy", message = "active" }
  end
  if condition.type == "PodScheduled" and condition.status == "False" then
    return { status = "Progressing", message = told("no node takes it", condition.message) }
  end
end
return { status = "Progressing", message = status.phase == "Running" and "launching: not ready yet" or "launching" }
