-- A stand-in for Jitsi's mod_av_moderation and its component, for the local stack only: a deployment has the real ones.
-- Load on: the component itself; the MUC component (tells newcomers); the main VirtualHost (tells clients the address).
-- See docs/stand-ins.md.   Events: message/host; muc-occupant-joined, muc-set-affiliation.
-- Option: teleconsult_av_moderation (address of the component).

local array = require "util.array";
local json = require "util.json";
local st = require "util.stanza";

local avmoderation = module:require "teleconsult/avmoderation";
local address = module:get_option_string("teleconsult_av_moderation");
-- set by teleconsult_room
local state = module:shared("/*/teleconsult/state");

local av = avmoderation.new({
	st = st; encode = json.encode; array = array; address = address;
	send = function (stanza) module:send(stanza); end;
});

-- Jitsi's finds the room by the query of the websocket, and wants the sender in it; here that the sender is in it is enough.
local function room_of(session)
	for room in prosody.hosts[state.muc_host].modules.muc.live_rooms() do
		local occupant = room:get_occupant_by_real_jid(session.full_jid);
		if occupant then return room, occupant; end
	end
end

local function on_message(event)
	local order = event.stanza:get_child("av_moderation");
	local room, actor = room_of(event.origin);
	if not order or not room or actor.role ~= "moderator" then return; end
	local medium, allowed = order.attr.mediaType, order.attr.jidToWhitelist;
	if order.attr.enable then
		av:switch(room, medium, order.attr.enable == "true", actor.nick);
	else
		local occupant = room:get_occupant_by_nick(allowed or order.attr.jidToBlacklist);
		if occupant then av:allow(room, medium, occupant, allowed ~= nil); end
	end
	return true;
end

local function on_affiliation(event)
	-- at every join, mostly with nothing to tell
	if not event.room.av_moderation or event.affiliation ~= "owner" then return; end
	for _, occupant in event.room:each_occupant() do
		if occupant.bare_jid == event.jid then av:tell_newcomer(event.room, occupant); end
	end
end

if module.host == address then
	module:hook("message/host", on_message);
elseif module:get_host_type() == "component" then
	-- the MUC's own handlers sit at 0
	module:hook("muc-occupant-joined", function (event) av:tell_newcomer(event.room, event.occupant); end, -1);
	module:hook("muc-set-affiliation", on_affiliation, -1);
else
	module:add_identity("component", "av_moderation", address);
end
