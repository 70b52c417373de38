-- Who may do what in the rooms: the service, from its gateway component and from nobody else, with commands of its own; and
-- the people inside what XEP-0045 and their permissions allow.
-- Load on: the MUC component, with teleconsult_room.
-- Events: iq-set/host with <command xmlns='urn:teleconsult:control:1'>, iq-*/bare with queries of muc#admin and muc#owner,
--   message/full, muc-occupant-groupchat, muc-pre-set-role.
-- Options: teleconsult_gateway (the component's address), teleconsult_ban_ttl (s somebody who was put out for good is
--   remembered here, default 8 days), and those of service.lib.

local array = require "util.array";
local jid = require "util.jid";
local json = require "util.json";
local st = require "util.stanza";
local storagemanager = require "core.storagemanager";
local uuid = require "util.uuid";

local bans = module:require "teleconsult/bans";
local conduct = module:require "teleconsult/conduct";
local commands = module:require "teleconsult/commands";
local moderation = module:require "teleconsult/moderation";
local occupancy = module:require "teleconsult/occupancy";
local refusal = module:require "teleconsult/refusal";
local rights = module:require "teleconsult/rights";
local service = module:require "teleconsult/service";
local muc = module:depends "muc";
module:depends "teleconsult_room";

local XMLNS = "urn:teleconsult:control:1";
local XMLNS_ADMIN = "http://jabber.org/protocol/muc#admin";
local XMLNS_OWNER = "http://jabber.org/protocol/muc#owner";
-- The MUC itself answers at -2.
local BEFORE_THE_MUC = 10;
-- muc-occupant-groupchat: at 50 the MUC turns away who is not in the room, at 20 it takes a subject.
local BEFORE_THE_SUBJECT = 40;
local DAY = 86400; -- seconds

local gateway = module:get_option_string("teleconsult_gateway");
if not gateway then error("teleconsult_gateway must be set", 0); end

-- Not open_store: Jitsi's configuration has this component keep everything in memory.
local function open_bans()
	local state, disk = service.state, storagemanager.load_driver(module.host, "internal");
	state.banned = state.banned or {};
	state.bans = bans.new({
		entries = state.banned; store = disk:open("teleconsult_bans", "keyval"); now = os.time;
		-- a multiple of what any token lives
		ttl = module:get_option_number("teleconsult_ban_ttl", 8 * DAY);
		log = function (level, ...) module:log(level, ...); end;
	});
	state.bans:load();
	module:add_timer(DAY, function () state.bans:forget_expired(); return DAY; end);
end

local function find_room(node)
	local room = muc.get_room_from_jid(jid.join(node, module.host));
	return room, room and room.teleconsult;
end

local function records_of(node, participant_id)
	local room, occupants = find_room(node);
	if not occupants then return room, {}; end
	return room, occupancy.of_participant(occupants, participant_id), occupants;
end

-- Answers of the API that are on their way or remembered may say something else than the command: they are not used any more.
local function void_answers()
	service.state.generation = service.state.generation + 1;
end

local function leave_lobby(args)
	local lobby = service.state.lobby;
	return lobby and lobby.put_out(args.room, args.participant_id, args.reason) or 0;
end

-- What goes out over sockets is sent in the turn after the one in which it was written, and timers run between the two
-- (net/server_epoll.lua and util/poll.c of 13.0.1). So a timer that is due at once lets one turn pass.
local function afterwards(work)
	local is_sent = false;
	module:add_timer(0, function ()
		if is_sent then work(); return; end
		is_sent = true;
		return 0;
	end);
end

-- A handler returns its result, and what is to be done before the result may be told but after the room has heard.
local handlers = {};

function handlers.kick(args)
	void_answers();
	-- heard too late: whoever is inside was let in again
	if args.ban_until and args.ban_until <= os.time() then return { present = false; kicked = 0 }; end
	local room, records, occupants = records_of(args.room, args.participant_id);
	for _, record in ipairs(records) do
		occupancy.give_reason(occupants, record.nick, "kicked");
		room:set_role(true, record.nick, nil, args.reason);
	end
	local waited = leave_lobby(args);
	local result = { present = #records + waited > 0; kicked = #records };
	if not args.ban then return result; end
	-- Whole seconds, because the bans' clock counts those; the API says until when exactly.
	service.state.bans:hold(args.participant_id, args.ban_until and math.floor(args.ban_until));
	-- Who is put out need not wait for the disk; who is told that it is done must.
	return result, function () service.state.bans:keep(args.participant_id); end;
end

-- The lobby asks the service again, so that an order which comes late does nothing wrong.
function handlers.admit(args)
	void_answers();
	local lobby = service.state.lobby;
	if not lobby then return { present = false }; end
	lobby.look(args.room);
	return { present = #lobby.of_participant(args.room, args.participant_id) > 0 };
end

function handlers.deny(args)
	service.state.kept_out:set(args.participant_id, true);
	return handlers.kick({ room = args.room; participant_id = args.participant_id; reason = args.reason or refusal.text("denied") });
end

handlers["end"] = function (args)
	void_answers();
	service.state.ended:set(args.room, true);
	if service.state.lobby then service.state.lobby.close(args.room, args.reason); end
	local room = find_room(args.room);
	if room then room:destroy(nil, args.reason); end
	return { existed = room ~= nil and room ~= false };
end

function handlers.affiliate(args)
	void_answers();
	local room, records = records_of(args.room, args.participant_id);
	for _, record in ipairs(records) do
		if args.permissions then
			record.policy.permissions = args.permissions;
			-- whoever is a host no more opens the room for nobody else
			record.policy.host = args.permissions.enter_without_host == true;
		end
		room:set_affiliation(true, jid.bare(record.jid), args.affiliation);
	end
	-- who may see other files now is shown others
	if args.permissions and service.state.files and room then service.state.files.show(room); end
	return { present = #records > 0 };
end

for _, name in ipairs({ "mute", "unmute", "av_moderation" }) do
	handlers[name] = function (args)
		local room, occupants = find_room(args.room);
		if not occupants then return { present = false }; end
		return moderation[name](room, occupants, args);
	end;
end

for _, name in ipairs({ "record_start", "record_stop" }) do
	handlers[name] = function (args)
		local recording = service.state.recording;
		return recording and recording[name](args);
	end;
end

function handlers.files(args)
	void_answers(); -- they say whether there are files
	local files, room = service.state.files, find_room(args.room);
	-- without teleconsult_files there is no list, and nothing to bring up to date
	if files and room then files.look(room); end
	return { present = room ~= nil and room ~= false };
end

local function message_to(room, kind, text)
	return st.message({ type = kind; from = room.jid; id = uuid.generate() }):text_tag("body", text);
end

function handlers.message(args)
	local room, occupants = find_room(args.room);
	if not occupants then return { delivered = 0 }; end
	if not args.participant_id then
		room:broadcast_message(message_to(room, "groupchat", args.text));
		return { delivered = occupants.count };
	end
	local records = occupancy.of_participant(occupants, args.participant_id);
	for _, record in ipairs(records) do
		local occupant = room:get_occupant_by_nick(record.nick);
		room:route_to_occupant(occupant, message_to(room, "chat", args.text));
	end
	return { delivered = #records };
end

local function describe(room)
	local people = array();
	for nick, record in pairs(room.teleconsult.records) do
		people:push({
			participant_id = record.participant_id; occupant = jid.resource(nick);
			connection = record.connection; joined_at = record.joined_at;
		});
	end
	return { room = jid.node(room.jid); room_instance = room.teleconsult.instance; occupants = people };
end

function handlers.rooms()
	local rooms = array();
	for room in muc.live_rooms() do
		if room.teleconsult and not service.is_health_check(jid.node(room.jid)) then
			rooms:push(describe(room));
		end
	end
	return { source = service.state.source; rooms = rooms };
end

local function fail(origin, iq, kind, condition, text)
	origin.send(st.error_reply(iq, kind, condition, text));
	return true;
end

-- Somebody with a token who tries what is not theirs: told, and put on record.
local function forbid(origin, iq, node, code, act)
	local room = node ~= "" and find_room(node) or nil;
	conduct.tell_attempt(node, room, service.person_of(origin), code, act, iq.attr.from);
	return fail(origin, iq, "auth", "forbidden", refusal.text(code));
end

local function on_command(event)
	local origin, iq = event.origin, event.stanza;
	local node, host = jid.split(iq.attr.from);
	if node or host ~= gateway then return forbid(origin, iq, "", "not-gateway", "command"); end
	local command = iq:get_child("command", XMLNS);
	local name = command.attr.name;
	local handler = name and handlers[name];
	if not handler then return fail(origin, iq, "cancel", "feature-not-implemented"); end
	local args, problem = commands.check(name, json.decode(command:get_text()));
	if not args then return fail(origin, iq, "modify", "bad-request", problem); end
	local result, rest = handler(args);
	-- nobody is there to do it, so nobody may believe that it was done
	if not result then return fail(origin, iq, "cancel", "feature-not-implemented"); end
	local function confirm()
		if origin.destroyed then return; end
		origin.send(st.reply(iq):tag("command", { xmlns = XMLNS; name = name }):text(json.encode(result)));
	end
	if not rest then confirm(); return true; end
	afterwards(function () rest(); confirm(); end);
	return true;
end

-- Prosody judges most of these queries itself, but not all: reserving a nickname for somebody puts its present holder out
-- before anybody asks who wants it reserved (handle_admin_query_set_command in muc.lib.lua of 0.12.3 and 13.0.1). So nobody
-- gets that far who does not moderate this room from within.
local function on_room_query(event)
	local origin, iq = event.origin, event.stanza;
	if service.is_system(iq.attr.from) then return; end
	local node = jid.split(iq.attr.to);
	local room = find_room(node);
	if not room then return; end
	local occupant, record = conduct.inside(room, iq.attr.from);
	local permissions, role = conduct.rights(occupant, record);
	local query, is_set = iq.tags[1], iq.attr.type == "set";
	local code, act = rights.against_query(query, permissions, role, is_set);
	if code then return forbid(origin, iq, node, code, act); end
	-- Told before the room goes, so that its end is known for what it is.
	if is_set and query.attr.xmlns == XMLNS_OWNER and rights.destroys(query) then
		conduct.tell_deed("room.ended", node, room, record, {});
	end
end

local function check_message(origin, message, room)
	local occupant, record = conduct.inside(room, message.attr.from);
	if not occupant or service.is_system(message.attr.from) then return; end
	local code, act = rights.against_message(message, conduct.rights(occupant, record));
	if not code then return; end
	conduct.tell_attempt(jid.node(room.jid), room, service.person_of(origin), code, act, message.attr.from);
	origin.send(st.error_reply(message, "auth", "forbidden", refusal.text(code), room.jid));
	return true;
end

local function on_private_message(event)
	local message = event.stanza;
	local room = message.attr.type ~= "error" and muc.get_room_from_jid(jid.bare(message.attr.to));
	if room then return check_message(event.origin, message, room); end
end

-- Putting out the focus or the recorder would end the conference or the recording for everybody.
local function protect_system(event)
	if not service.is_system(event.occupant.bare_jid) or service.is_system(event.actor) then return; end
	event.allowed, event.error, event.condition = false, "cancel", "not-allowed";
end

open_bans();

module:hook("iq-set/host/" .. XMLNS .. ":command", on_command);
for _, query in ipairs({ XMLNS_ADMIN .. ":query", XMLNS_OWNER .. ":query" }) do
	module:hook("iq-set/bare/" .. query, on_room_query, BEFORE_THE_MUC);
	module:hook("iq-get/bare/" .. query, on_room_query, BEFORE_THE_MUC);
end
module:hook("message/full", on_private_message, BEFORE_THE_MUC);
module:hook("muc-occupant-groupchat", function (event)
	return check_message(event.origin, event.stanza, event.room);
end, BEFORE_THE_SUBJECT);
module:hook("muc-pre-set-role", protect_system);
