-- Public keys by id, from the key server, in the form Jitsi's ASAP key server has: <url>/<hex sha256(kid)>.pem.
-- Pure: HTTP, clock, hash, cache and the key loader are handed in.

local FRESH = 600; -- seconds a key is used before it is asked for again, so that a revoked key dies without a restart
local UNKNOWN = 5; -- seconds an unknown id is remembered, so that a bad token cannot make us ask at will
local ASKING_AT_ONCE = 16; -- different ids on the wire; beyond that we are being played with
local LONGEST_PEM = 16384; -- bytes

local keys = {};

local Keys = {};
Keys.__index = Keys;

-- deps: url, get(url, done(body, status)), sha256_hex, load(pem) -> key or nil, now() (s), cache (get, set)
function keys.new(deps)
	return setmetatable({ deps = deps; waiting = {}; asking = 0 }, Keys);
end

local function settle(self, kid, key, code)
	local callbacks = self.waiting[kid];
	self.waiting[kid] = nil;
	self.asking = self.asking - 1;
	for _, done in ipairs(callbacks) do
		done(key, code);
	end
end

local function remember(self, kid, key, seconds)
	self.deps.cache:set(kid, { key = key; fresh_until = self.deps.now() + seconds });
end

local function on_answer(self, kid, old, body, status)
	if status == 200 and #body <= LONGEST_PEM then
		local key = self.deps.load(body);
		remember(self, kid, key, key and FRESH or UNKNOWN);
		settle(self, kid, key, "token-key");
	elseif status == 404 then
		remember(self, kid, nil, UNKNOWN);
		settle(self, kid, nil, "token-key");
	else
		-- a key server that is down must not lock out people whose key we know
		settle(self, kid, old, "unavailable");
	end
end

local function ask(self, kid, old, done)
	local waiting = self.waiting[kid];
	if waiting then
		waiting[#waiting + 1] = done;
		return;
	end
	if self.asking >= ASKING_AT_ONCE then done(nil, "unavailable"); return; end
	self.waiting[kid], self.asking = { done }, self.asking + 1;
	self.deps.get(self.deps.url .. "/" .. self.deps.sha256_hex(kid) .. ".pem", function (body, status)
		on_answer(self, kid, old, body, status);
	end);
end

-- Calls done(key) or done(nil, code), at once when the answer is known.
function Keys:find(kid, done)
	local known = self.deps.cache:get(kid);
	if known and self.deps.now() < known.fresh_until then
		done(known.key, "token-key");
	else
		ask(self, kid, known and known.key, done);
	end
end

return keys;
