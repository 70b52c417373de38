-- May this person enter this room now? The answers of the API, made safe to use, and the rules only Prosody can apply
-- without a race: room for one more, a host present, one live connection per token. Pure.

local shared = module:require "teleconsult/shared";
local text = module:require "teleconsult/text";

local admission = {};

-- Login, conference request and join follow each other within milliseconds. An answer this young is used for all, which halves
-- the questions to the API; whatever changes what they say meanwhile (kick, end, affiliate, files) raises the generation and voids it.
admission.REUSE = 2; -- seconds

local AFFILIATIONS = { owner = true; member = true };

local function valid_capacity(capacity)
	return type(capacity) == "number" and capacity >= 1 and capacity == math.floor(capacity);
end

local set_of = shared.sets();

local function names_in(list)
	local names = {};
	for _, name in ipairs(list) do
		if type(name) == "string" then names[#names + 1] = name; end
	end
	return names;
end

local function read_refusal(answer)
	local code, sentence = answer.code, answer.text;
	if type(code) ~= "string" or not code:match("^[a-z][a-z%-]*$") then return nil; end
	return { allow = false; code = code; text = type(sentence) == "string" and text.is_xml(sentence) and sentence or nil };
end

-- The API's answer as a policy, or nil when it is not one we can trust to mean anything.
function admission.read(answer, participant_id)
	if answer.allow == false then return read_refusal(answer); end
	if answer.allow ~= true or answer.participant_id ~= participant_id then return nil; end
	if not AFFILIATIONS[answer.affiliation] or type(answer.host) ~= "boolean" then return nil; end
	if not valid_capacity(answer.capacity) or type(answer.permissions) ~= "table" then return nil; end
	return {
		allow = true;
		affiliation = answer.affiliation;
		host = answer.host;
		capacity = answer.capacity;
		waiting_room = answer.waiting_room == true;
		consented = answer.consented == true;
		permissions = set_of(names_in(answer.permissions));
		no_files = answer.files == false;
	};
end

-- Without the API and with the option "token": what the token alone says. Nobody is let in by an expired token or one of
-- another room. The token does not carry the permissions but shows two: who may moderate, who then also counts as host, and
-- who may chat. Nobody may end a session on a token alone.
function admission.from_token(person, node, now, capacity)
	if person.token_room ~= node then return { allow = false; code = "wrong-room" }; end
	if not person.expires or now >= person.expires then return { allow = false; code = "token-expired" }; end
	local owner = person.affiliation == "owner";
	return {
		allow = true;
		affiliation = owner and "owner" or "member";
		host = owner;
		capacity = capacity;
		permissions = { moderate = owner; chat = person.may_chat };
	};
end

-- The policy when a recorder is in the room or may come in, of which the service may not know: who has not agreed waits. Where
-- the token alone decides, that was looked at already.
function admission.while_recorded(policy)
	if not policy.allow or policy.is_local or policy.consented then return policy; end
	return { allow = false; code = "consent-missing"; is_local = true };
end

-- What stays of a policy while its person is in the room.
function admission.kept(policy)
	return { host = policy.host; permissions = policy.permissions; no_files = policy.no_files };
end

-- Is this remembered answer about this room, this token, and young enough?
function admission.usable(answer, room_jid, token_id, seconds, now)
	return answer ~= nil and answer.room == room_jid and answer.token_id == token_id and now - answer.at < seconds;
end

-- What stands against entering, as a refusal code, or nil. Must run without waiting between it and the join.
-- state: see occupancy; live_token(record): the token in use on that person's connection, nil when it does not answer.
function admission.judge(policy, person, state, live_token)
	local others, host_present = 0, policy.host;
	for _, record in pairs(state.records) do
		if record.participant_id ~= person.participant_id then
			others = others + 1;
			host_present = host_present or record.policy.host;
		elseif live_token(record) == person.token_id then
			return "already-connected";
		end
	end
	if not host_present then return "waiting-for-host"; end
	if others >= policy.capacity then return "full"; end
	return nil;
end

return admission;
