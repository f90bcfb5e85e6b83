-- Health of a volume claim. One that waits for its first pod is as it should be: the pod may be a schedule away, and one that cannot start
-- tells by itself. Argo CD's own check calls it "progressing" until then, and the Application with it.
local status = obj.status or {}

if status.phase == "Lost" then
  return { status = "Degraded", message = "its volume is gone" }
end
if status.phase == "Bound" then
  return { status = "Healthy", message = "bound" }
end
return { status = "Healthy", message = "gets its volume with its first pod" }
