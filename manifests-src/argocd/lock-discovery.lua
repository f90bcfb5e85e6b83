-- Which of the two a server's Application offers: the other one is what it is already. Other Applications offer none.
local labels = obj.metadata.labels or {}
local annotations = obj.metadata.annotations or {}
if labels["chutes-miner.io/server"] == nil then
  return {}
end
local locked = annotations["chutes-miner.io/locked"] == "true"
local asked = labels["chutes-miner.io/lock"]
return {
  lock = { disabled = asked == "lock" or (locked and asked == nil) },
  unlock = { disabled = asked == "unlock" or (not locked and asked == nil) },
}
