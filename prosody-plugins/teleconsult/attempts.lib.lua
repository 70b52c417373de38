-- Refused attempts on their way to the record. The first few of a person and kind are told one by one; what a flood adds is
-- counted, and told as one entry with its number when the minute is over. Pure.

local attempts = {};

attempts.BURST = 5;
attempts.WINDOW = 60; -- seconds

local Attempts = {};
Attempts.__index = Attempts;

-- deps: entries (table, given so that it survives a reload), now() (monotonic s), timer(s, callback)
function attempts.new(deps)
	return setmetatable(deps, Attempts);
end

-- tell(count): puts that many on record in one entry; burst: how many are told one by one, 5 unless given
function Attempts:add(key, tell, burst)
	local entry = self.entries[key];
	-- a reload of the module takes the timer along that would have ended this minute
	if not entry or self.now() - entry.began > 2 * attempts.WINDOW then
		entry = { seen = 0; held = entry and entry.held or 0; began = self.now() };
		self.entries[key] = entry;
		self.timer(attempts.WINDOW, function ()
			self.entries[key] = nil;
			if entry.held > 0 then entry.tell(entry.held); end
		end);
	end
	entry.seen, entry.tell = entry.seen + 1, tell;
	if entry.seen <= (burst or attempts.BURST) then return tell(1); end
	entry.held = entry.held + 1;
end

return attempts;
