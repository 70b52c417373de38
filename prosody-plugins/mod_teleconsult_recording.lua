-- No recorder without the service's word: it is asked with everybody who is in the room at that moment, whoever wants a
-- recording, and until it has said yes no recorder gets in. What the focus and the recorder then do is told to it.
-- On room.teleconsult: `recording`, the id of the recording whose recorder may come in, nil while the door is shut; `agreed`,
-- whose word there is for it; `stops`, how often it was stopped.
-- Load on: the MUC component, with teleconsult_room and teleconsult_control.
-- Events: iq/full, muc-occupant-pre-join, muc-occupant-joined, muc-occupant-left, muc-broadcast-presence.
-- Options: those of service.lib; without teleconsult_hidden_domain there are no recorders.

local jid = require "util.jid";
local json = require "util.json";
local st = require "util.stanza";
local uuid = require "util.uuid";

local jibri = module:require "teleconsult/jibri";
local refusal = module:require "teleconsult/refusal";
local service = module:require "teleconsult/service";
local muc = module:depends "muc";
module:depends "teleconsult_room";

-- The MUC itself answers at -2.
local BEFORE_THE_MUC = 10;
-- muc-occupant-pre-join: before Jitsi's own checks begin at 99.
local BEFORE_EVERYBODY = 100;
-- muc-occupant-joined: teleconsult_room notes the join at 0.
local AFTER_THE_JOIN = -5;
-- muc-occupant-left: at -1 the MUC destroys the empty room.
local BEFORE_DESTRUCTION = 5;
-- A recorder that is still there then is put out: who took their consent back waits for nobody.
local LEAVES_WITHIN = 1; -- seconds
local ANSWERS_WITHIN = 15; -- seconds, of the focus

-- What we asked the focus and it has not answered yet: id -> { room, done }.
local asked = {};

local function node_of(room)
	return (jid.node(room.jid));
end

local function is_alive(room)
	return muc.get_room_from_jid(room.jid) == room;
end

local function is_recorder(full_jid)
	return service.is_recorder(full_jid);
end

local function tell(kind, room, fields)
	local outbox = service.state.outbox;
	if outbox then outbox:push(service.shapes:deed(kind, node_of(room), room.teleconsult, nil, fields)); end
end

-- recording_id: nil when the focus speaks of a recording that is none of ours, or not any more.
local function tell_status(room, recording_id, status, code, reference)
	tell("recording.status", room, { recording_id = recording_id; status = status; code = code; reference = reference });
end

local function is_focus(room, nick, full_jid)
	return nick == room.jid .. "/focus" and service.is_system(full_jid);
end

-- Everybody in the room but focus and recorder; "" for one of whom we know nothing, as of a bridge for telephones.
local function people_in(room)
	local ids = {};
	for _, occupant in room:each_occupant() do
		if not is_focus(room, occupant.nick, occupant.bare_jid) and not is_recorder(occupant.bare_jid) then
			local record = room.teleconsult.records[occupant.nick];
			ids[#ids + 1] = record and record.participant_id or "";
		end
	end
	return ids;
end

local function moderator_in(room)
	for nick in pairs(room.teleconsult.records) do
		local occupant = room:get_occupant_by_nick(nick);
		if occupant and occupant.role == "moderator" then return occupant; end
	end
end

-- In the name of somebody in the room, past it: the focus takes the sender for who it says, and the answer comes to us.
local function ask_focus(room, sender_nick, attr, done)
	local focus = room:get_occupant_by_nick(room.jid .. "/focus");
	if not focus then return done(nil); end
	local id = "teleconsult-" .. uuid.generate();
	asked[id] = { focus = focus.jid; done = done };
	attr.xmlns = jibri.XMLNS;
	module:send(st.iq({ type = "set"; id = id; from = sender_nick; to = focus.jid }):tag("jibri", attr));
	module:add_timer(ANSWERS_WITHIN, function ()
		local question = asked[id];
		asked[id] = nil;
		if question then question.done(nil); end
	end);
end

local function on_answer(event)
	local stanza = event.stanza;
	local question = asked[stanza.attr.id];
	if not question or stanza.attr.from ~= question.focus then return; end
	if stanza.attr.type ~= "result" and stanza.attr.type ~= "error" then return; end
	asked[stanza.attr.id] = nil;
	question.done(stanza);
	return true;
end

local function put_recorders_out(room)
	for _, occupant in room:each_occupant() do
		if is_recorder(occupant.bare_jid) then room:set_role(true, occupant.nick, nil, "The recording was stopped."); end
	end
end

-- No recorder comes in any more, and one that is inside has `seconds` to go. shut(): nobody records there now.
local function close_door(room, seconds, shut)
	room.teleconsult.recording = nil;
	module:add_timer(seconds, function ()
		if not is_alive(room) or room.teleconsult.recording then return; end
		put_recorders_out(room);
		if shut then shut(); end
	end);
end

local function begin(room, sender_nick, recording_id, done)
	local app_data = json.encode({ file_recording_metadata = { recording_id = recording_id } });
	ask_focus(room, sender_nick, { action = "start"; recording_mode = "file"; app_data = app_data }, function (answer)
		if answer and answer.attr.type == "result" then
			local child = answer:get_child("jibri", jibri.XMLNS);
			tell_status(room, recording_id, "pending", nil, child and child.attr.session_id);
		else
			-- also for a recorder that the focus has sent although it said nothing
			if room.teleconsult.recording == recording_id then close_door(room, LEAVES_WITHIN); end
			tell_status(room, recording_id, "refused", answer and jibri.reason(select(2, answer:get_error())) or "error");
		end
		done(nil, nil, answer);
	end);
end

-- done(code, text): refused; done(nil, nil, answer): what the focus said, nil when it said nothing.
-- fields: recording_id of the service's order, or actor_id of who wants it.
local function request(room, sender_nick, fields, done)
	local before, stops = people_in(room), room.teleconsult.stops;
	service.api.post("/internal/rooms/recording", {
		room = node_of(room); occupants = before; recording_id = fields.recording_id; actor_id = fields.actor_id;
	}, function (answer, reason)
		-- whoever was let in without this being known is asked about again
		service.state.generation = service.state.generation + 1;
		if not answer then
			module:log("warn", "no answer about a recording in room %s: %s", node_of(room), reason);
			-- it may have said yes, and waits for a recorder then
			if not room.teleconsult.recording then tell_status(room, fields.recording_id, "refused", "unavailable"); end
			return done("unavailable");
		end
		if answer.allow ~= true or type(answer.recording_id) ~= "string" then
			return done(jibri.code(answer.code), answer.text);
		end
		local event, code = jibri.overtaken({
			alive = is_alive(room); stopped = room.teleconsult.stops ~= stops; before = before; now = people_in(room);
		});
		if event then
			tell_status(room, answer.recording_id, "refused", event);
			return done(code);
		end
		room.teleconsult.recording = answer.recording_id;
		room.teleconsult.agreed = jibri.set(before);
		begin(room, sender_nick, answer.recording_id, done);
	end);
end

local orders = { request = request };

function orders.record_start(args)
	local room = muc.get_room_from_jid(jid.join(args.room, module.host));
	if not (room and room.teleconsult) then return { present = false }; end
	local moderator = moderator_in(room);
	if not moderator then
		tell_status(room, args.recording_id, "refused", "no-moderator");
		return { present = true; asked = false };
	end
	request(room, moderator.nick, { recording_id = args.recording_id }, function (code)
		if code then module:log("info", "recording in room %s not started: %s", args.room, code); end
	end);
	return { present = true; asked = true };
end

function orders.record_stop(args)
	local room = muc.get_room_from_jid(jid.join(args.room, module.host));
	if not (room and room.teleconsult) then return { present = false }; end
	local occupants = room.teleconsult;
	-- a repeat of an order that was carried out before
	if occupants.recording and occupants.recording ~= args.recording_id then return { present = true }; end
	occupants.stops = (occupants.stops or 0) + 1;
	local moderator = moderator_in(room);
	if moderator then
		ask_focus(room, moderator.nick, { action = "stop"; recording_mode = "file" }, function () end);
	end
	close_door(room, moderator and LEAVES_WITHIN or 0, function () tell_status(room, args.recording_id, "off"); end);
	return { present = true };
end

-- The door for those who need no token, also for a recorder that nobody asked the focus for.
local function at_the_door(event)
	local room, stanza = event.room, event.stanza;
	local from = stanza.attr.from;
	if service.is_health_check(node_of(room)) then return; end
	local code = jibri.keeps_out({
		is_system = service.is_system(from); is_recorder = is_recorder(from); is_focus = is_focus(room, stanza.attr.to, from);
	}, room.teleconsult and room.teleconsult.recording);
	if not code then return; end
	service.tell_refused(node_of(room), room, nil, code, from);
	event.origin.send(refusal.presence(st, stanza, code, nil, room.jid));
	return true;
end

local function on_left(event)
	local room = event.room;
	if not is_recorder(event.occupant.bare_jid) or not room.teleconsult or not room.teleconsult.recording then return; end
	tell("recording.recorder_left", room, {});
end

-- Who came in while it is recorded has agreed: the service let them in.
local function on_joined(event)
	local occupants = event.room.teleconsult;
	local record = occupants and occupants.recording and occupants.records[event.nick];
	if record then occupants.agreed[record.participant_id] = true; end
end

local function on_presence(event)
	local room, occupant, stanza = event.room, event.occupant, event.stanza;
	if not occupant or not is_focus(room, occupant.nick, occupant.bare_jid) then return; end
	local said = stanza and not stanza.attr.type and jibri.status(stanza);
	local occupants = room.teleconsult;
	if not said or not occupants or jibri.same(said, occupants.recording_status) then return; end
	occupants.recording_status = said;
	local recording_id = occupants.recording;
	if said.status == "off" then close_door(room, LEAVES_WITHIN); end
	tell_status(room, recording_id, said.status, said.failure, said.session_id);
end

module:hook("iq/full", on_answer, BEFORE_THE_MUC);
module:hook("muc-occupant-pre-join", at_the_door, BEFORE_EVERYBODY);
module:hook("muc-occupant-joined", on_joined, AFTER_THE_JOIN);
module:hook("muc-occupant-left", on_left, BEFORE_DESTRUCTION);
module:hook("muc-broadcast-presence", on_presence);

function module.load()
	service.state.recording = orders;
end

function module.unload()
	service.state.recording = nil;
end
