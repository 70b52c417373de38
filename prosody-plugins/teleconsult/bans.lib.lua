-- Who was put out, for good or for a time. The API knows it too and says so whenever it is asked; this is for when it cannot be
-- (teleconsult_admission_when_down = "token"). So it is kept on disk, and outlives the room and this run of Prosody. Pure.

local bans = {};

local Bans = {};
Bans.__index = Bans;

-- deps: entries (table: participant id -> unix s until which it holds; given, so that it survives a reload of the module),
--   store (Prosody's keyval: get, set, users), now() (unix s), ttl (s), log(level, format, ...)
function bans.new(deps)
	return setmetatable(deps, Bans);
end

function Bans:forget_expired()
	for participant_id, expires in pairs(self.entries) do
		if self.now() >= expires then
			self.entries[participant_id] = nil;
			self.store:set(participant_id, nil);
		end
	end
end

function Bans:load()
	for participant_id in self.store:users() do
		local kept = self.store:get(participant_id);
		if kept then self.entries[participant_id] = kept.expires; end
	end
	self:forget_expired();
end

-- Holds at once, and with `keep` after the next run, too. expires (unix s): nil for good, which is longer than any token lives.
function Bans:hold(participant_id, expires)
	self.entries[participant_id] = expires or self.now() + self.ttl;
end

-- When the disk is full the ban holds all the same, in this run.
function Bans:keep(participant_id)
	local ok, problem = self.store:set(participant_id, { expires = self.entries[participant_id] });
	if not ok then self.log("error", "the ban of %s would not outlive a restart: %s", participant_id, problem); end
end

function Bans:add(participant_id, expires)
	self:hold(participant_id, expires);
	self:keep(participant_id);
end

function Bans:holds(participant_id)
	local expires = self.entries[participant_id];
	return expires ~= nil and self.now() < expires;
end

return bans;
