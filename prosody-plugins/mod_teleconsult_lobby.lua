-- The lobby: Jitsi clients of people who are not admitted yet wait here. Who waits is seen by the moderators of the room and by
-- nobody else, and neither sees nor reaches the others. It replaces Jitsi's muc_lobby_rooms, which knows nothing of the service.
-- Load on: the lobby's MUC component.   Events: presence/full, muc-occupant-*, iq-*/bare with queries of muc#admin and
--   muc#owner, message/bare, message/full, iq/full.
-- Options: those of service.lib.
--
-- Nothing here decides. Everybody in the lobby is asked about again every few seconds, and whenever something happened that may
-- matter; that is also how the service knows that they are still there. While it does not answer, they wait.

local async = require "util.async";
local jid = require "util.jid";
local st = require "util.stanza";
local time = require "util.time";

local lobby = module:require "teleconsult/lobby";
local refusal = module:require "teleconsult/refusal";
local service = module:require "teleconsult/service";
local verdict = module:require "teleconsult/verdict";
local muc = module:depends "muc";

local XMLNS_ADMIN = "http://jabber.org/protocol/muc#admin";
local XMLNS_OWNER = "http://jabber.org/protocol/muc#owner";
local XMLNS_USER = "http://jabber.org/protocol/muc#user";
-- The MUC itself answers at -2.
local BEFORE_THE_MUC = 10;
-- muc-occupant-pre-join: the MUC's own checks (members, bans, password) begin at -5.
local APPOINT = -3;
-- muc-occupant-left: at -1 the MUC destroys the empty room.
local BEFORE_DESTRUCTION = 5;
local ASK_EVERY = 10; -- seconds; the service counts somebody as gone after two and a half of it

local REPLACED = "replaced: You wait on another connection.";

local function main_jid(node)
	return jid.join(node, service.state.muc_host);
end

local function main_room(node)
	local host = prosody.hosts[service.state.muc_host];
	local main = host and host.modules.muc;
	return main and main.get_room_from_jid(main_jid(node));
end

local function moderator(room_jid, full_jid)
	return verdict.moderator_in(main_room(jid.node(room_jid)), full_jid);
end

-- Every way from the room to an occupant leads through here: presence, messages, queries, answers.
local function route(room, stanza)
	local from, to = stanza.attr.from, stanza.attr.to;
	local nick = from ~= room.jid and from or nil;
	if lobby.may_hear(room.teleconsult_lobby, to, nick, nick and moderator(room.jid, to)) then
		module:send(stanza);
	end
end

local function adopt(room)
	room.teleconsult_lobby = room.teleconsult_lobby or lobby.new();
	room.route_stanza = route;
	return room;
end

local function room_at(node)
	return muc.get_room_from_jid(jid.join(node, module.host));
end

local function refuse(origin, stanza, who, code)
	local node = jid.node(stanza.attr.to);
	service.tell_refused(node, main_room(node), who, code, stanza.attr.from);
	origin.send(refusal.presence(st, stanza, code, nil, jid.bare(stanza.attr.to)));
	return true;
end

-- Only who was told to wait, and who moderates from within the room. The MUC would make the first to come an owner, so the
-- room is made before it looks.
local function at_the_door(event)
	local origin, stanza = event.origin, event.stanza;
	local room_jid = jid.bare(stanza.attr.to);
	local room = muc.get_room_from_jid(room_jid);
	if stanza.attr.type ~= nil or (room and room:get_occupant_jid(stanza.attr.from)) then return; end
	local who, own = service.person_of(origin);
	if not who then return refuse(origin, stanza, nil, "no-token"); end
	if not moderator(room_jid, stanza.attr.from) then
		local knocked = lobby.has_knocked(own.answer, main_jid(jid.node(room_jid)), who.token_id, time.monotonic());
		if not knocked then return refuse(origin, stanza, who, "no-knock"); end
	end
	if not room then adopt(muc.create_room(room_jid)); end
end

local function put_out(room, record, text)
	room:set_role(true, record.nick, nil, text);
end

local function appoint(event)
	local room, occupant, full_jid = event.room, event.occupant, event.stanza.attr.from;
	local who = service.person_of(event.origin);
	if not event.is_first_session then return refuse(event.origin, event.stanza, who, "nick-taken"); end
	if moderator(room.jid, full_jid) then
		room:set_affiliation(true, occupant.bare_jid, "owner");
		occupant.role = "moderator";
		return;
	end
	local state = room.teleconsult_lobby;
	for _, older in ipairs(lobby.those(state, function (one) return one.participant_id == who.participant_id; end)) do
		put_out(room, older, REPLACED);
	end
	-- the last one out takes the room along
	if muc.get_room_from_jid(room.jid) ~= room then return refuse(event.origin, event.stanza, who, "no-knock"); end
	occupant.role = "participant";
	lobby.add(state, {
		participant_id = who.participant_id; jid = full_jid; nick = occupant.nick;
		connection = service.connection_of(full_jid);
	});
end

local function on_left(event)
	local record = lobby.remove(event.room.teleconsult_lobby, event.nick);
	local outbox = service.state.outbox;
	if record and outbox then outbox:push(service.shapes:lobby_left(jid.node(event.room.jid), record)); end
end

local function refuse_nick_change(event)
	if event.orig_occupant.nick == event.dest_occupant.nick then return; end
	return refuse(event.origin, event.stanza, service.person_of(event.origin), "nick-change");
end

local function ask_in(node, record)
	local invite = st.message({ from = main_jid(node); to = record.jid })
		:tag("x", { xmlns = XMLNS_USER }):tag("invite", { from = main_jid(node) }):up():up();
	module:send(invite);
end

local function host_is_there(node, policy)
	local main = main_room(node);
	if not (main and main.teleconsult) then return false; end
	if policy.host then return true; end
	for _, record in pairs(main.teleconsult.records) do
		if record.policy.host then return true; end
	end
	return false;
end

local function look_at(room, record)
	local who, own = service.person_of(prosody.full_sessions[record.jid] or {});
	if not who then return; end
	local node = jid.node(room.jid);
	local policy = service.door:ask("join", who, main_jid(node));
	if room.teleconsult_lobby.waiting[record.nick] ~= record then return; end
	-- without the service nobody is let in, whatever a token says
	if refusal.may_wait(policy.code) or policy.code == "unavailable" or (policy.allow and policy.is_local) then return; end
	if not policy.allow then return put_out(room, record, refusal.text(policy.code, policy.text)); end
	if not host_is_there(node, policy) then return; end
	-- for the room module: this connection may come without a conference request of its own
	own.allowance = policy;
	ask_in(node, record);
end

local function look(room)
	for _, record in ipairs(lobby.those(room.teleconsult_lobby, function () return true; end)) do
		look_at(room, record);
	end
end

local looks = async.runner(function (room)
	room.teleconsult_lobby.is_due = nil;
	look(room);
end, {
	error = function (_, problem) module:log("error", "looking after the lobby: %s", problem); end;
});

-- One look per room waits at a time: while the service does not answer, each takes long, and they would pile up.
local function look_soon(room)
	if room.teleconsult_lobby.is_due then return; end
	room.teleconsult_lobby.is_due = true;
	looks:run(room);
end

-- What the other modules ask of the lobby, wherever they run.
local asked = { host = module.host };

function asked.look(node)
	local room = room_at(node);
	if room then look_soon(room); end
end

function asked.of_participant(node, participant_id)
	local room = room_at(node);
	if not room then return {}; end
	return lobby.those(room.teleconsult_lobby, function (one) return one.participant_id == participant_id; end), room;
end

function asked.put_out(node, participant_id, text)
	local records, room = asked.of_participant(node, participant_id);
	for _, record in ipairs(records) do put_out(room, record, text); end
	return #records;
end

-- Who waits at this address, full or bare.
function asked.find(node, address)
	local room = room_at(node);
	return room and lobby.those(room.teleconsult_lobby, function (one)
		return one.jid == address or jid.bare(one.jid) == address;
	end)[1];
end

function asked.close(node, text)
	local room = room_at(node);
	if room then room:destroy(nil, text); end
end

local function fail(origin, stanza, condition, text)
	origin.send(st.error_reply(stanza, "auth", condition, text, jid.bare(stanza.attr.to)));
	return true;
end

local function forbid(origin, stanza, code)
	local node = jid.node(stanza.attr.to);
	service.tell_refused(node, main_room(node), service.person_of(origin), code, stanza.attr.from);
	return fail(origin, stanza, "forbidden", refusal.text(code));
end

-- The one thing to be done here by hand: a moderator puts somebody out, which denies them.
local function on_query(event)
	local origin, iq = event.origin, event.stanza;
	local actor = moderator(iq.attr.to, iq.attr.from);
	if not actor then return forbid(origin, iq, "not-moderator"); end
	local nick = iq.attr.type == "set" and iq.tags[1].attr.xmlns == XMLNS_ADMIN and lobby.denied_nick(iq.tags[1]);
	local room = nick and muc.get_room_from_jid(iq.attr.to);
	local record = room and room.teleconsult_lobby.waiting[jid.join(jid.node(room.jid), module.host, nick)];
	if not (record and async.ready()) then return fail(origin, iq, "forbidden", refusal.text("not-waiting")); end
	local node = jid.node(room.jid);
	local problem = verdict.tell(service, node, actor, record.participant_id, "denied");
	if problem then return fail(origin, iq, "forbidden", refusal.text(problem)); end
	asked.put_out(node, record.participant_id, refusal.text("denied"));
	origin.send(st.reply(iq));
	return true;
end

local ANSWERS = { error = true; result = true };

-- A moderator may speak to who waits; who waits may speak to nobody, nor find out who else is there by asking.
local function on_word(event)
	local origin, stanza = event.origin, event.stanza;
	if ANSWERS[stanza.attr.type] or moderator(jid.bare(stanza.attr.to), stanza.attr.from) then return; end
	return fail(origin, stanza, "forbidden", refusal.text("chat-not-allowed"));
end

module:hook("presence/full", at_the_door, BEFORE_THE_MUC);
module:hook("muc-occupant-pre-join", appoint, APPOINT);
module:hook("muc-occupant-pre-change", refuse_nick_change);
module:hook("muc-occupant-left", on_left, BEFORE_DESTRUCTION);
for _, query in ipairs({ XMLNS_ADMIN .. ":query", XMLNS_OWNER .. ":query" }) do
	module:hook("iq-set/bare/" .. query, on_query, BEFORE_THE_MUC);
	module:hook("iq-get/bare/" .. query, on_query, BEFORE_THE_MUC);
end
for _, kind in ipairs({ "message/bare", "message/full", "iq/full" }) do
	module:hook(kind, on_word, BEFORE_THE_MUC);
end

module:add_timer(ASK_EVERY, function ()
	for room in muc.live_rooms() do look_soon(room); end
	return ASK_EVERY;
end);

function module.load()
	for room in muc.live_rooms() do adopt(room); end
	service.state.lobby = asked;
end

function module.unload()
	service.state.lobby = nil;
end
