-- Who is in a lobby room: people who wait, each alone as far as they can tell, and moderators who look after them. Pure.
-- The state is a plain table kept on the room, so that it outlives a reload of the module.

local refusal = module:require "teleconsult/refusal";

local lobby = {};

-- From being told to wait until the client has entered the lobby.
lobby.KNOCK_TTL = 30; -- seconds

function lobby.new()
	return { waiting = {}; nicks = {} };
end

-- Was this connection told by the service that it has to wait for this room, just now?
-- answer: the one to its last question (see service.lib), or nil
function lobby.has_knocked(answer, room_jid, token_id, now)
	return answer ~= nil and refusal.may_wait(answer.code) and answer.room == room_jid
		and answer.token_id == token_id and now - answer.at < lobby.KNOCK_TTL;
end

-- nick and jid are full addresses
function lobby.add(state, record)
	state.waiting[record.nick] = record;
	state.nicks[record.jid] = record.nick;
end

function lobby.remove(state, nick)
	local record = state.waiting[nick];
	state.waiting[nick] = nil;
	if record and state.nicks[record.jid] == nick then state.nicks[record.jid] = nil; end
	return record;
end

-- Those for whom matches(record) holds, in no order; a list, so that people may go while it is walked through.
function lobby.those(state, matches)
	local found = {};
	for _, record in pairs(state.waiting) do
		if matches(record) then found[#found + 1] = record; end
	end
	return found;
end

-- May something that comes from an occupant (nil: from the room itself) be heard by this address? Moderators hear
-- everybody; who waits hears the room and their own echo, and nothing of the others, whatever anybody sends.
function lobby.may_hear(state, full_jid, from_nick, moderates)
	return from_nick == nil or moderates or state.nicks[full_jid] == from_nick;
end

-- The nickname that a query of muc#admin wants out, which is how Jitsi denies; nil when it wants anything else or more.
function lobby.denied_nick(query)
	local item = query.tags[1];
	if #query.tags ~= 1 or item.name ~= "item" then return nil; end
	local wish = item.attr;
	if wish.role ~= "none" or wish.affiliation or wish.jid then return nil; end
	return wish.nick;
end

return lobby;
