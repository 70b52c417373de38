-- Moderation of microphones and cameras as Jitsi's clients and Jicofo know it: state on the room under the names that
-- Jitsi's own component uses, so that it goes on with ours and we with its, and that component's messages. Pure but for
-- the stanza builder and what is handed in.
-- room.av_moderation = { audio = { nicks that may speak }, video = … }, a medium missing: not moderated.

local avmoderation = {};

avmoderation.MEDIA = { "audio", "video" };

local Moderation = {};
Moderation.__index = Moderation;

-- deps: st, encode (JSON), array (util.array: an empty one is written as []), send(stanza), address (of the component)
function avmoderation.new(deps)
	return setmetatable(deps, Moderation);
end

function avmoderation.is_on(room, medium)
	return room.av_moderation ~= nil and room.av_moderation[medium] ~= nil;
end

-- Who may speak is kept by person as well (state: see occupancy): whoever comes back has another nickname.
function avmoderation.remember(state, medium, participant_id, allowed)
	state.av_allowed = state.av_allowed or {};
	state.av_allowed[medium] = state.av_allowed[medium] or {};
	state.av_allowed[medium][participant_id] = allowed or nil;
end

function avmoderation.is_allowed(state, medium, participant_id)
	return state.av_allowed ~= nil and state.av_allowed[medium] ~= nil and state.av_allowed[medium][participant_id] == true;
end

local function place_of(list, nick)
	for place, known in ipairs(list) do
		if known == nick then return place; end
	end
end

-- An order that was given again, or waited for its turn, may be older than what the room was told meanwhile (state: see
-- occupancy). version: how often the service had changed it by then; nil from a service that does not say.
function avmoderation.is_overtaken(state, version)
	local newest = state.av_version or 0;
	state.av_version = math.max(newest, version or newest);
	return (version or newest) < newest;
end

function Moderation:tell(room, to, content)
	content.type, content.room = "av_moderation", room.jid;
	self.send(self.st.message({ from = self.address; to = to })
		:tag("json-message", { xmlns = "http://jitsi.org/jitmeet" }):text(self.encode(content)):up());
end

function Moderation:tell_whitelists(room, medium, removed)
	for _, occupant in room:each_occupant() do
		if occupant.role == "moderator" then
			self:tell(room, occupant.jid, {
				whitelists = room.av_moderation; removed = removed or nil; mediaType = medium;
			});
		end
	end
end

-- What somebody must know who comes in, or who has just become a moderator.
function Moderation:tell_newcomer(room, occupant)
	for _, medium in ipairs(avmoderation.MEDIA) do
		if avmoderation.is_on(room, medium) then
			self:tell(room, occupant.jid, {
				enabled = true; actor = room.av_moderation_actors[medium]; mediaType = medium;
			});
			if occupant.role == "moderator" then
				self:tell(room, occupant.jid, { whitelists = room.av_moderation; mediaType = medium });
			end
		end
	end
end

-- Switch it on or off for one medium; tells everybody, the focus too, which then mutes. False when it was so already.
function Moderation:switch(room, medium, on, actor)
	if avmoderation.is_on(room, medium) == on then return false; end
	room.av_moderation, room.av_moderation_actors = room.av_moderation or {}, room.av_moderation_actors or {};
	room.av_moderation[medium] = on and self.array() or nil;
	room.av_moderation_actors[medium] = on and actor or nil;
	if next(room.av_moderation) == nil then room.av_moderation, room.av_moderation_actors = nil, nil; end
	for _, occupant in room:each_occupant() do
		self:tell(room, occupant.jid, { enabled = on; actor = actor; mediaType = medium });
	end
	return true;
end

-- Let one person speak, or not any more, while it is on. False when nothing changed.
function Moderation:allow(room, medium, occupant, allowed)
	local list = room.av_moderation and room.av_moderation[medium];
	if not list then return false; end
	local place = place_of(list, occupant.nick);
	if (place ~= nil) == allowed then return false; end
	if allowed then list:push(occupant.nick); else table.remove(list, place); end
	self:tell_whitelists(room, medium, not allowed);
	self:tell(room, occupant.jid, {
		approved = allowed or nil; removed = not allowed or nil; mediaType = medium;
	});
	return true;
end

-- Ask one person to switch on, whom nothing may keep from it then.
function Moderation:ask(room, medium, occupant)
	if not self:allow(room, medium, occupant, true) then
		self:tell(room, occupant.jid, { approved = true; mediaType = medium });
	end
end

return avmoderation;
