-- What a moderator decides about somebody in the lobby with Jitsi's own controls: told to the service, which then is the truth.

local verdict = {};

-- Nil when the service has taken it, else a refusal code. Waits: only inside a client's own thread.
-- actor: the moderator's record in the room; decision: "admitted" or "denied"
function verdict.tell(service, node, actor, participant_id, decision)
	local answer = service.wait_for(function (done)
		service.api.post("/internal/rooms/waiting", {
			room = node; actor_id = actor.participant_id; participant_id = participant_id; decision = decision;
		}, done);
	end);
	if not answer then return "unavailable"; end
	if answer.done ~= true then return (tostring(answer.code):gsub("_", "-")); end
	-- answers on their way may say something else
	service.state.generation = service.state.generation + 1;
	return nil;
end

-- The record of somebody who is in the room and may moderate it, or nil.
function verdict.moderator_in(room, full_jid)
	for _, record in pairs(room and room.teleconsult and room.teleconsult.records or {}) do
		if record.jid == full_jid and record.policy.permissions.moderate then return record; end
	end
	return nil;
end

return verdict;
