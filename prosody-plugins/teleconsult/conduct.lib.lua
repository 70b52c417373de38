-- Telling the service what is tried and done inside a room. What the modules on both hosts share, on top of service.lib.

local time = require "util.time";

local attempts = module:require "teleconsult/attempts";
local service = module:require "teleconsult/service";

local conduct = {};

local state = service.state;
state.attempts = state.attempts or {};
local tried = attempts.new({ entries = state.attempts; now = time.monotonic; timer = service.timer });

-- Somebody in a room, and the record of them; nil when they are not in it.
function conduct.inside(room, full_jid)
	local occupant = room:get_occupant_by_real_jid(full_jid);
	return occupant, occupant and room.teleconsult and room.teleconsult.records[occupant.nick] or nil;
end

-- The same as what is judged: permissions (never nil) and role.
function conduct.rights(occupant, record)
	return record and record.policy.permissions or {}, occupant and occupant.role;
end

-- room, who: nil when there is none.
function conduct.tell_attempt(node, room, who, code, act, full_jid)
	local participant_id = who and who.participant_id or "";
	tried:add(table.concat({ participant_id ~= "" and participant_id or full_jid, code, act }, " "), function (count)
		local outbox = state.outbox;
		if not outbox then return; end
		outbox:push_if_roomy(function ()
			local event = service.shapes:refused(
				node, room and room.teleconsult, participant_id, code, service.connection_of(full_jid)
			);
			event.act, event.count = act, count;
			return event;
		end);
	end);
end

-- by: the record of the moderator; fields: what else is to be said
function conduct.tell_deed(kind, node, room, by, fields)
	if state.outbox and by then
		state.outbox:push(service.shapes:deed(kind, node, room.teleconsult, by.participant_id, fields));
	end
end

return conduct;
