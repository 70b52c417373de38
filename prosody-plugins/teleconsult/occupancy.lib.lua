-- Who is really in a room: the people, without focus, recorder and administrators.
-- The state is a plain table kept on the room under one key, so that it outlives a reload of the module.

local occupancy = {};

function occupancy.new(instance)
	return { instance = instance; seq = 0; records = {}; reasons = {}; count = 0 };
end

function occupancy.next_seq(state)
	state.seq = state.seq + 1;
	return state.seq;
end

-- record: participant_id, jid (full), nick (full), connection, joined_at, policy
function occupancy.add(state, record)
	if not state.records[record.nick] then
		state.count = state.count + 1;
	end
	state.records[record.nick] = record;
	state.reasons[record.nick] = nil;
end

-- The record and why its person was sent away, if somebody said so before.
function occupancy.remove(state, nick)
	local record, reason = state.records[nick], state.reasons[nick];
	state.reasons[nick] = nil;
	if not record then return nil; end
	state.records[nick] = nil;
	state.count = state.count - 1;
	return record, reason;
end

-- The first reason stays: a replaced person is then also kicked by status code, which must not overwrite it.
function occupancy.give_reason(state, nick, reason)
	state.reasons[nick] = state.reasons[nick] or reason;
end

function occupancy.of_participant(state, participant_id)
	local found = {};
	for _, record in pairs(state.records) do
		if record.participant_id == participant_id then
			found[#found + 1] = record;
		end
	end
	return found;
end

return occupancy;
