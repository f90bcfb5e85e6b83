-- Actions `lock` and `unlock` of a server's Application: a label that the controller reads, does and takes off. Git stays the only place
-- that says whether the server is locked.
if obj.metadata.labels == nil then
  obj.metadata.labels = {}
end
obj.metadata.labels["chutes-miner.io/lock"] = "ACTION"
return obj
