-- Nobody is in a room whom the service did not admit; and the service hears who came and went.
-- Load on: the MUC component.   Events: presence/full, muc-occupant-*, muc-room-*, muc-broadcast-presence.
-- Options: teleconsult_conference_ttl (s between an admitted conference request and the join, default 30), and those of
--   service.lib and outbox.lib.
--
-- A join has two halves. The question to the API takes time, so it is asked at presence/full, before the MUC has looked at
-- the stanza at all: the client's thread waits there, later stanzas of the client queue behind it, and the MUC then works on
-- the room as it is after the answer. The decision at muc-occupant-pre-join never waits, so two joins cannot share the last place.

local async = require "util.async";
local jid = require "util.jid";
local st = require "util.stanza";
local time = require "util.time";
local uuid = require "util.uuid";

local admission = module:require "teleconsult/admission";
local occupancy = module:require "teleconsult/occupancy";
local outboxes = module:require "teleconsult/outbox";
local refusal = module:require "teleconsult/refusal";
local muc = module:depends "muc";

-- A module that fails to load leaves the rooms open. So a wrong setting closes them instead, and says why.
local set_up, service = pcall(module.require, module, "teleconsult/service");
if not set_up then
	module:log_status("error", service);
	module:hook("muc-occupant-pre-join", function (event)
		event.origin.send(refusal.presence(st, event.stanza, "unavailable", nil, event.room.jid));
		return true;
	end, 1000);
	return;
end

-- presence/full: the MUC itself answers at -2.
local BEFORE_THE_MUC = 10;
-- muc-occupant-pre-join in a Jitsi installation, highest first: 99 token check, 11 nick syntax, 10 max occupants,
-- 8 queue until the focus is there, 2 and 1 nick rules, 0 wait for host.
local DECIDE = -2;
-- -3.5 token affiliation (the token's word, which ours overrules), then -4 lobby, -5 members only, -7 password list.
local APPOINT = -3.7;
-- -10 banned, -20 password, -30 locked: whoever arrives here is in, and only now may an older connection be sent away.
local COMMIT = -100;
-- muc-occupant-left: at -1 the MUC destroys the empty room.
local BEFORE_DESTRUCTION = 5;

local ASK_AGAIN = 3; -- times, when commands keep overtaking the answer
local REPLACED = "replaced: You joined from another connection.";

local conference_ttl = module:get_option_number("teleconsult_conference_ttl", 30);
service.state.muc_host = module.host;
local outbox = outboxes.open(service);

local function occupants_of(room)
	if not room.teleconsult then
		room.teleconsult = occupancy.new(uuid.generate());
	end
	return room.teleconsult;
end

local function node_of(room)
	return (jid.node(room.jid));
end

local function is_silent(room)
	return service.is_health_check(node_of(room));
end

local function refuse(origin, stanza, code, sentence)
	local room_jid = jid.bare(stanza.attr.to);
	module:log("info", "join of %s refused: %s", jid.node(room_jid), code);
	origin.send(refusal.presence(st, stanza, code, sentence, room_jid, service.lobby_of(room_jid)));
	return true;
end

-- What the API itself refused is in its record already; all else it hears from us.
local function refuse_here(origin, stanza, who, code)
	local room_jid = jid.bare(stanza.attr.to);
	service.tell_refused(jid.node(room_jid), muc.get_room_from_jid(room_jid), who, code, stanza.attr.from);
	return refuse(origin, stanza, code);
end

local function fresh(policy, room_jid, who, seconds)
	return admission.usable(policy, room_jid, who.token_id, seconds, time.monotonic());
end

-- The policy for this join: the answer to the conference request when nothing can have changed since, else a new one.
local function policy_for(own, who, room_jid)
	if service.door:is_current(own.allowance, who, room_jid) then return own.allowance; end
	for _ = 1, ASK_AGAIN do
		local policy = service.door:ask("join", who, room_jid);
		if policy.generation == service.state.generation then return policy; end
	end
	return { allow = false; code = "unavailable"; is_local = true };
end

local function is_first_presence(stanza)
	if stanza.attr.type ~= nil or service.is_system(stanza.attr.from) then return false; end
	local room = muc.get_room_from_jid(jid.bare(stanza.attr.to));
	return not (room and room:get_occupant_jid(stanza.attr.from));
end

local function ask_first(event)
	local origin, stanza = event.origin, event.stanza;
	if not is_first_presence(stanza) then return; end
	local room_jid = jid.bare(stanza.attr.to);
	local who, own = service.person_of(origin);
	if not who then return refuse_here(origin, stanza, nil, "no-token"); end
	if not fresh(own.allowance, room_jid, who, conference_ttl) then return refuse_here(origin, stanza, who, "no-conference"); end
	if not async.ready() then return refuse_here(origin, stanza, who, "unavailable"); end

	local policy = policy_for(own, who, room_jid);
	if origin.destroyed then return true; end
	own.answer = policy;
	if not policy.allow then
		if policy.is_local then return refuse_here(origin, stanza, who, policy.code); end
		return refuse(origin, stanza, policy.code, policy.text);
	end
	-- only the focus opens rooms; the MUC would say so too, but in words no client knows
	if not muc.get_room_from_jid(room_jid) then return refuse_here(origin, stanza, who, "no-conference"); end
end

-- Let the client's own thread take the stanza from the start again, behind what it is doing now.
local function start_over(event)
	if not event.origin.thread then return refuse_here(event.origin, event.stanza, nil, "unavailable"); end
	event.origin.thread:run(st.clone(event.stanza));
	return true;
end

-- The token a record's connection holds now, if that connection still answers. Resuming may have brought a newer one.
local function live_token(record)
	local session = prosody.full_sessions[record.jid];
	if not session or session.hibernating or session.destroyed then return nil; end
	local who = service.person_of(session);
	return who and who.token_id;
end

local function send_away(room, record, reason, text)
	occupancy.give_reason(occupants_of(room), record.nick, reason);
	room:set_role(true, record.nick, nil, text);
end

local function replace_older(room, participant_id)
	for _, record in ipairs(occupancy.of_participant(occupants_of(room), participant_id)) do
		send_away(room, record, "replaced", REPLACED);
	end
end

-- The MUC has looked the nickname up already, so whatever is to change about its holder means starting over.
local function settle_nick(event, who)
	local holder = occupants_of(event.room).records[event.occupant.nick];
	if holder and holder.participant_id == who.participant_id then
		send_away(event.room, holder, "replaced", REPLACED);
		return start_over(event);
	end
	return refuse_here(event.origin, event.stanza, who, "nick-taken");
end

local function decide(event)
	local room, origin, stanza = event.room, event.origin, event.stanza;
	if service.is_system(stanza.attr.from) then return; end
	local who, own = service.person_of(origin);
	if not who then return refuse_here(origin, stanza, nil, "no-token"); end
	-- Another module may have kept the join back for a while (Jitsi does, until the focus is there).
	if not service.door:is_current(own.answer, who, room.jid) then return start_over(event); end

	local code = admission.judge(own.answer, who, occupants_of(room), live_token);
	if code then return refuse_here(origin, stanza, who, code); end
	if not event.is_first_session then return settle_nick(event, who); end
end

local function nothing() end

-- The MUC would tell everybody in the room of the affiliation of somebody not there yet, and save the room. The presence of
-- the join says the same a moment later, and rooms are not kept; the two would cost a sixth of the join.
local function set_quietly(room, bare_jid, affiliation)
	local save = rawget(room, "save");
	room.broadcast, room.save = nothing, nothing;
	local ok, problem = pcall(room.set_affiliation, room, true, bare_jid, affiliation);
	room.broadcast, room.save = nil, save;
	if not ok then error(problem, 0); end
end

local function appoint(event)
	local room, occupant = event.room, event.occupant;
	if service.is_system(event.stanza.attr.from) then return; end
	local _, own = service.person_of(event.origin);
	-- also past a lobby that a moderator's client has switched on: the service has admitted them
	local affiliation = own.answer.affiliation;
	set_quietly(room, occupant.bare_jid, affiliation);
	occupant.role = room:get_default_role(affiliation);
end

local function commit(event)
	if service.is_system(event.stanza.attr.from) then return; end
	local who = service.person_of(event.origin);
	replace_older(event.room, who.participant_id);
	-- with the older connection the last occupant may have gone, and the room with it
	if muc.get_room_from_jid(event.room.jid) ~= event.room then
		return refuse_here(event.origin, event.stanza, who, "no-conference");
	end
end

local function new_record(event, who, policy)
	local full_jid = event.stanza.attr.from;
	return {
		participant_id = who.participant_id; jid = full_jid; nick = event.nick;
		connection = service.connection_of(full_jid); joined_at = time.now(); policy = admission.kept(policy);
	};
end

local function on_joined(event)
	if not event.stanza or service.is_system(event.stanza.attr.from) then return; end
	local who, own = service.person_of(event.origin);
	local occupants = occupants_of(event.room);
	local record = new_record(event, who, own.answer);
	-- used up: coming back needs a conference request of its own
	own.answer, own.allowance = nil, nil;
	occupancy.add(occupants, record);
	outbox:push(service.shapes:joined(node_of(event.room), occupants, record));
end

-- For a connection that is gone Prosody says goodbye itself: by then the session counts as destroyed.
local function said_goodbye(event)
	local stanza, origin = event.stanza, event.origin;
	return stanza and stanza.attr.type == "unavailable" and origin and not origin.destroyed;
end

local function why_left(event, given)
	if given then return given; end
	if event.room.destroying then return "ended"; end
	return said_goodbye(event) and "left" or "disconnected";
end

local function on_left(event)
	local occupants = occupants_of(event.room);
	local record, given = occupancy.remove(occupants, event.nick);
	if not record then return; end
	outbox:push(service.shapes:left(node_of(event.room), occupants, record, why_left(event, given)));
end

local SENT_AWAY = { ["301"] = true; ["307"] = true }; -- XEP-0045: banned, kicked

-- muc-occupant-left does not say that somebody was kicked, the presence before it does.
local function note_kick(event)
	local occupant = event.occupant;
	if not occupant or occupant.role ~= nil then return; end
	for status in event.x:childtags("status") do
		if SENT_AWAY[status.attr.code] then
			occupancy.give_reason(occupants_of(event.room), occupant.nick, "kicked");
		end
	end
end

local function refuse_nick_change(event)
	if event.orig_occupant.nick == event.dest_occupant.nick or service.is_system(event.stanza.attr.from) then return; end
	return refuse_here(event.origin, event.stanza, service.person_of(event.origin), "nick-change");
end

local function on_created(event)
	if is_silent(event.room) then return; end
	outbox:push(service.shapes:room("created", node_of(event.room), occupants_of(event.room)));
end

local function on_destroyed(event)
	local occupants = occupants_of(event.room);
	-- destroying by command empties the room, and an empty room is destroyed
	if occupants.destroyed or is_silent(event.room) then return; end
	occupants.destroyed = true;
	outbox:push(service.shapes:room("destroyed", node_of(event.room), occupants));
end

module:hook("presence/full", ask_first, BEFORE_THE_MUC);
module:hook("muc-occupant-pre-join", decide, DECIDE);
module:hook("muc-occupant-pre-join", appoint, APPOINT);
module:hook("muc-occupant-pre-join", commit, COMMIT);
module:hook("muc-occupant-pre-change", refuse_nick_change);
module:hook("muc-broadcast-presence", note_kick);
module:hook("muc-occupant-joined", on_joined);
module:hook("muc-occupant-left", on_left, BEFORE_DESTRUCTION);
module:hook("muc-room-created", on_created);
module:hook("muc-room-destroyed", on_destroyed, BEFORE_DESTRUCTION);

function module.load()
	if service.state.announced then
		outbox:start(); -- the module was reloaded: what is queued goes on
		return;
	end
	service.state.announced = true;
	outbox:push(service.shapes:server_started());
end

function module.unload()
	outbox:stop();
end
