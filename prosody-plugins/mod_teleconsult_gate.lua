-- No conference without admission: ask the API before the focus hears of a conference request.
-- Load on: the main VirtualHost.   Events: pre-iq/host, pre-iq/bare, pre-iq/full, jitsi-authentication-token-verified.
-- Options: teleconsult_lobby (the address of the lobby component, shown to clients), and those of service.lib.

local async = require "util.async";
local jid = require "util.jid";
local st = require "util.stanza";

local refusal = module:require "teleconsult/refusal";
local service = module:require "teleconsult/service";

local XMLNS_FOCUS = "http://jitsi.org/protocol/focus";
-- Jitsi's mod_reservations and client proxy sit at 0; nothing of theirs may see a request we have not let through.
local BEFORE_EVERYBODY = 20;

local function is_our_room(room_jid)
	if not room_jid then return false; end
	local node, host, resource = jid.prepped_split(room_jid);
	return node and host == service.state.muc_host and not resource and jid.join(node, host) == room_jid;
end

local function refuse(session, iq, code, sentence)
	session.send(refusal.conference(st, iq, code, sentence));
	return true;
end

-- Refusals the API decided are in its own record already.
local function refuse_here(session, iq, who, code)
	local room_jid = iq:get_child("conference", XMLNS_FOCUS).attr.room;
	local node = is_our_room(room_jid) and jid.node(room_jid) or "";
	service.tell_refused(node, nil, who, code, session.full_jid);
	return refuse(session, iq, code);
end

local function on_request(event)
	local session, iq = event.origin, event.stanza;
	local request = iq.attr.type == "set" and iq:get_child("conference", XMLNS_FOCUS);
	if not request or session.type ~= "c2s" or service.is_system(session.full_jid) then return; end
	local who, own = service.person_of(session);
	if not who then return refuse_here(session, iq, nil, "no-token"); end
	if not (service.state.muc_host and async.ready()) then return refuse_here(session, iq, who, "unavailable"); end
	local room_jid = request.attr.room;
	if not is_our_room(room_jid) then return refuse_here(session, iq, who, "unknown-room"); end

	local early = own.early;
	own.early, own.allowance = nil, nil;
	local policy = service.door:answer(early, who, room_jid);
	if session.destroyed then return true; end
	if policy.allow then
		-- for the room module: that this connection asked for this room, and what the answer was
		own.allowance = policy;
		return nil;
	end
	-- Jitsi clients ask for the conference before they knock; the room module then sends them to the lobby.
	if refusal.may_wait(policy.code) and service.lobby_of(room_jid) then
		own.allowance = policy;
		return nil;
	end
	module:log("info", "conference request for %s refused: %s", jid.node(room_jid), policy.code);
	if policy.is_local then return refuse_here(session, iq, who, policy.code); end
	return refuse(session, iq, policy.code, policy.text);
end

local lobby = module:get_option_string("teleconsult_lobby");
-- Jitsi clients look for a lobby here.
if lobby then module:add_identity("component", "lobbyrooms", lobby); end

-- Fired by Jitsi's token check and by ours.
module:hook_global("jitsi-authentication-token-verified", function (event)
	local session = event.session;
	service.remember_person(session, event.claims);
	local who, own = service.person_of(session);
	local muc_host = service.state.muc_host;
	if who and muc_host then own.early = service.door:ask_early(who, jid.join(who.token_room, muc_host)); end
end);

-- Real Jicofo answers at its own address too, so where the request is addressed makes no difference.
module:hook("pre-iq/host", on_request, BEFORE_EVERYBODY);
module:hook("pre-iq/bare", on_request, BEFORE_EVERYBODY);
module:hook("pre-iq/full", on_request, BEFORE_EVERYBODY);
