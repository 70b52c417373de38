-- May this person enter this room? What the API says, what holds when it says nothing, and what only this Prosody knows.
-- Pure: the way to the API, waiting, clocks and rooms are handed in.
--
-- The API is asked when a login is good, before anybody needs the answer: when the client asks for the conference, two or
-- three round trips later, it is there or on its way. Only a yes is used so, and only while it is young and no command has overtaken
-- it; else the API is asked as if it had not been before. It records nothing of what it refuses at a login.

local admission = module:require "teleconsult/admission";

-- A question at a login waits so long for others, since nobody waits for it: a request costs more than what is in it.
local GATHER = 0.01; -- seconds

local door = {};

-- What the API's answers say of a person, of the link they came by, and of the session.
local OF_A_PERSON = { ["not-admitted"] = true; ["denied"] = true; ["consent-missing"] = true; ["removed"] = true };
local OF_A_LINK = { ["link-revoked"] = true; ["link-expired"] = true };
local OF_A_SESSION = { ["session-ended"] = true; ["session-cancelled"] = true };

-- For when the API cannot be asked. What lets somebody in (again) does not count once an order has overtaken it.
local function remember(state, policy, who, node, is_overtaken)
	local function note(kept, key, is_refusal, is_allowance)
		if is_refusal then
			kept:set(key, true);
		elseif is_allowance and not is_overtaken then
			kept:set(key, nil);
		end
	end
	note(state.kept_out, who.participant_id, OF_A_PERSON[policy.code], true);
	-- lives again when the session was put off
	if who.link_id then note(state.kept_out, who.link_id, OF_A_LINK[policy.code], policy.allow); end
	note(state.ended, node, OF_A_SESSION[policy.code], policy.allow);
end

local function question(stage, who, node)
	return {
		stage = stage; room = node; participant_id = who.participant_id;
		link_id = who.link_id; token_id = who.token_id; token_room = who.token_room;
	};
end

local Door = {};
Door.__index = Door;

-- deps: questions, wait_for(start) (see service.lib), now() (unix s), monotonic() (s), log(level, format, ...), node_of(jid),
--   recorded_room(room_jid): the room when a recorder is in it or may come in, whatever the service believes; else nil,
--   is_banned(who), when_down ("closed" or "token"), capacity (people in a room when only the token is asked),
--   state: generation, kept_out, ended (see service.lib)
function door.new(deps)
	return setmetatable({ deps = deps }, Door);
end

-- While a room is recorded only those may come back without the service's word who had agreed.
local function is_recorded_without(self, who, room_jid)
	local room = self.deps.recorded_room(room_jid);
	if not room then return false; end
	local agreed = room.teleconsult and room.teleconsult.agreed;
	return not (agreed and agreed[who.participant_id]);
end

local function without_api(self, who, room_jid, reason)
	local deps, node = self.deps, self.deps.node_of(room_jid);
	deps.log("warn", "no admission answer for room %s: %s", node, reason);
	if deps.when_down == "closed" or is_recorded_without(self, who, room_jid) then
		return { allow = false; code = "unavailable"; is_local = true };
	end
	local policy = admission.from_token(who, node, deps.now(), deps.capacity);
	if deps.state.ended:get(node) then policy = { allow = false; code = "session-ended" }; end
	local kept_out = deps.state.kept_out;
	if kept_out:get(who.participant_id) or who.link_id and kept_out:get(who.link_id) then
		policy = { allow = false; code = "unavailable" };
	end
	policy.is_local = true;
	return policy;
end

-- generation: of commands, before the question was asked; at: when the answer came
local function stamped(policy, who, room_jid, generation, at)
	policy.room, policy.token_id, policy.generation, policy.at = room_jid, who.token_id, generation, at;
	return policy;
end

-- What the API says: done(policy) or done(nil, reason) when it says nothing.
local function consult(self, stage, who, room_jid, done)
	local deps, node = self.deps, self.deps.node_of(room_jid);
	local generation = deps.state.generation;
	deps.questions:ask(question(stage, who, node), function (answer, reason)
		local policy = answer and admission.read(answer, who.participant_id);
		if not policy then return done(nil, reason or "malformed"); end
		remember(deps.state, policy, who, node, generation ~= deps.state.generation);
		return done(stamped(policy, who, room_jid, generation, deps.monotonic()));
	end, stage == "login" and GATHER or nil);
end

local function with_own_rules(self, policy, who, room_jid)
	local ruled = policy;
	-- a recording that begins after this raises the generation, and the answer is not used
	if self.deps.recorded_room(room_jid) then ruled = admission.while_recorded(policy); end
	if ruled.allow and self.deps.is_banned(who) then ruled = { allow = false; code = "banned"; is_local = true }; end
	return stamped(ruled, who, room_jid, policy.generation, policy.at);
end

-- Is this policy about this room and token, young enough for one more use, and overtaken by no command?
function Door:is_current(policy, who, room_jid)
	return admission.usable(policy, room_jid, who.token_id, admission.REUSE, self.deps.monotonic())
		and policy.generation == self.deps.state.generation;
end

local function decided(self, who, room_jid, generation, policy, reason)
	if not policy then
		policy = stamped(without_api(self, who, room_jid, reason), who, room_jid, generation, self.deps.monotonic());
	end
	return with_own_rules(self, policy, who, room_jid);
end

-- Ask whether `who` may enter a room. Waits; always answers with a policy (see admission.lib).
function Door:ask(stage, who, room_jid)
	local generation = self.deps.state.generation;
	return decided(self, who, room_jid, generation, self.deps.wait_for(function (done)
		consult(self, stage, who, room_jid, done);
	end));
end

-- Ask at a login. Returns what `answer` takes.
function Door:ask_early(who, room_jid)
	local early = { room = room_jid; generation = self.deps.state.generation };
	consult(self, "login", who, room_jid, function (policy, reason)
		early.policy, early.is_over = policy, true;
		if early.resume then early.resume(policy, reason); end
	end);
	return early;
end

-- The policy for a conference request: the early answer (may be nil) if it still counts, or one that is asked for now. Waits.
function Door:answer(early, who, room_jid)
	local policy = early and early.policy;
	if early and early.room == room_jid and not early.is_over then
		local reason;
		policy, reason = self.deps.wait_for(function (done) early.resume = done; end);
		-- who has waited for an API that does not answer need not do so twice
		if not policy then return decided(self, who, room_jid, early.generation, nil, reason); end
	end
	if policy and policy.allow and self:is_current(policy, who, room_jid) then
		return with_own_rules(self, policy, who, room_jid);
	end
	return self:ask("conference", who, room_jid);
end

return door;
