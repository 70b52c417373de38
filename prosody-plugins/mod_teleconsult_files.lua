-- Jitsi's list of shared files, as the service has it: in the place of Jitsi's mod_filesharing_component, which believes what
-- clients say of files, and mod_short_lived_token.
-- Load on: the component itself (hears clients); the MUC component (who is there, and what they see); the main VirtualHost (tells
-- clients the address, and gives them passes). With teleconsult_room and teleconsult_guard, which refuses who may not share.
-- Events: message/host; muc-occupant-joined; iq-get/host with <credentials xmlns='urn:xmpp:extdisco:2'>.
-- Option: teleconsult_file_sharing (address of the component), and those of service.lib.
--
-- A client says "add" when it has sent a file, and "remove" before it asks the service to delete one. Neither is passed on: what
-- is shown to whom is asked of the service, each time somebody or the service itself says that there may be something new.

local async = require "util.async";
local datetime = require "util.datetime";
local jid = require "util.jid";
local st = require "util.stanza";
local time = require "util.time";

local conduct = module:require "teleconsult/conduct";
local json = module:require "teleconsult/json";
local service = module:require "teleconsult/service";
local shelf = module:require "teleconsult/shelf";
local text = module:require "teleconsult/text";

local XMLNS_EXTDISCO = "urn:xmpp:extdisco:2";
local SERVICE, HOST = "short-lived-token", "file-sharing";
-- mod_external_services answers at 0, and knows nothing of this one.
local BEFORE_THE_OTHERS = 10;
-- teleconsult_room notes the join at 0.
local AFTER_THE_JOIN = -10;
-- Seconds: from an answer to the next question about a room; the same without an answer; before the end of a pass.
local BETWEEN_LOOKS, AFTER_NO_ANSWER, RENEWED_BEFORE = 1, 5, 10;

local address = module:get_option_string("teleconsult_file_sharing");
if not address then error("teleconsult_file_sharing must be set", 0); end

local deps = { st = st; encode = json.encode; is_xml = text.is_xml; from = address };

local function muc()
	local host = prosody.hosts[service.state.muc_host];
	return host and host.modules.muc;
end

local function nickname_of(room, participant_id)
	for nick, record in pairs(room.teleconsult.records) do
		if record.participant_id == participant_id then return jid.resource(nick); end
	end
	return "";
end

local function say(record, fields)
	local message = shelf.message(deps, record.jid, fields);
	if message then module:send(message); end
end

local function show_to(room, record)
	local added, removed = shelf.changes(room.teleconsult.files, record);
	for _, id in ipairs(removed) do say(record, { event = "remove"; fileId = id }); end
	for _, file in ipairs(added) do
		say(record, { event = "add"; file = shelf.as_jitsi(file, room.jid, nickname_of(room, file.shared_by)) });
	end
end

local function show(room)
	if not (room.teleconsult and room.teleconsult.files) then return; end
	for _, record in pairs(room.teleconsult.records) do show_to(room, record); end
end

local function take(room, answer, reason)
	local files = answer and shelf.read(answer);
	if not files then
		module:log("warn", "no list of files for room %s: %s", jid.node(room.jid), reason or "malformed");
		return false;
	end
	room.teleconsult.files = files;
	show(room);
	return true;
end

-- Ask the service what there is. While an answer is on its way, and a moment longer, one more question waits, however many are
-- asked. A question without an answer is asked again for as long as somebody is in: who ordered it was told already.
local function look(room)
	local state = room.teleconsult;
	if not state then return; end
	if state.files_asked then
		state.files_asked = "again";
		return;
	end
	state.files_asked = "once";
	service.api.post("/internal/rooms/files", { room = jid.node(room.jid) }, function (answer, reason)
		local was_answered = take(room, answer, reason);
		module:add_timer(was_answered and BETWEEN_LOOKS or AFTER_NO_ANSWER, function ()
			local is_due = not was_answered or state.files_asked == "again";
			state.files_asked = nil;
			if not is_due then return; end
			if next(state.records) then look(room); else state.files = nil; end
		end);
	end);
end

-- With the first person there may be files from before. Their admission says when there are none; nothing can have come since,
-- because the service's word of a change voids what it answered earlier.
local function on_joined(event)
	local room = event.room;
	local state = room.teleconsult;
	local record = state and state.records[event.nick];
	if not record or service.is_health_check(jid.node(room.jid)) then return; end
	if record.policy.no_files and not state.files and not state.files_asked then state.files = {}; end
	if state.files then show_to(room, record); else look(room); end
end

-- The room somebody's token names, and who they are there.
local function place_of(session)
	local who = service.person_of(session);
	local rooms = who and muc();
	local room = rooms and rooms.get_room_from_jid(jid.join(who.token_room, service.state.muc_host));
	if not room then return who; end
	local _, record = conduct.inside(room, session.full_jid);
	return who, room, record;
end

local function file_in(message)
	local child = message:get_child("file-sharing", "http://jitsi.org/jitmeet");
	if not child then return nil; end
	if child.attr.type == "remove" then return child.attr.fileId, false; end
	local told = child.attr.type == "add" and json.decode(child:get_text() or "");
	return type(told) == "table" and told.fileId or nil, true;
end

local function on_message(event)
	local message = event.stanza;
	if message.attr.type == "error" or event.origin.type ~= "c2s" then return; end
	local _, room, record = place_of(event.origin);
	local id, is_added = file_in(message);
	if record and type(id) == "string" then
		-- what their own list has now, whether or not there is such a file
		record.files = record.files or {};
		record.files[id] = is_added or nil;
		if is_added then look(room); end
	end
	return true;
end

local function asks_for_a_pass(stanza)
	for child in stanza.tags[1]:childtags("service") do
		if child.attr.type == SERVICE and child.attr.host == HOST then return true; end
	end
	return false;
end

local function answer_with(session, stanza, answer)
	session.send(st.reply(stanza):tag("credentials", { xmlns = XMLNS_EXTDISCO }):tag("service", {
		type = SERVICE; host = HOST; username = "token"; password = answer.pass;
		expires = datetime.datetime(math.floor(answer.expires_at)); restricted = "1"; transport = "https"; port = "443";
	}));
end

-- A client asks for another pass when its own has that little time left, and until then has no use for one.
local function is_good(pass)
	return pass ~= nil and pass.expires_at - time.now() > RENEWED_BEFORE;
end

local function on_credentials(event)
	local session, stanza = event.origin, event.stanza;
	if session.type ~= "c2s" or not asks_for_a_pass(stanza) then return; end
	local who, room, record = place_of(session);
	if not record or not async.ready() then
		session.send(st.error_reply(stanza, "cancel", "not-allowed"));
		return true;
	end
	local answer = is_good(record.file_pass) and record.file_pass or service.wait_for(function (done)
		service.api.post("/internal/rooms/file-pass", {
			participant_id = who.participant_id; link_id = who.link_id; meeting = room._data.meetingId or "";
		}, done);
	end);
	if session.destroyed then return true; end
	if answer and type(answer.pass) == "string" and type(answer.expires_at) == "number" then
		record.file_pass = answer;
		answer_with(session, stanza, answer);
	else
		session.send(st.error_reply(stanza, "wait", "remote-server-timeout"));
	end
	return true;
end

if module.host == address then
	module:hook("message/host", on_message);
elseif module:get_host_type() == "component" then
	service.state.files = { look = look; show = show };
	module:hook("muc-occupant-joined", on_joined, AFTER_THE_JOIN);
else
	module:add_identity("component", HOST, address);
	module:hook("iq-get/host/" .. XMLNS_EXTDISCO .. ":credentials", on_credentials, BEFORE_THE_OTHERS);
end
