-- The service's orders about microphones, cameras and screens, for teleconsult_control.
-- Option: teleconsult_av_moderation (address of the component whose messages clients and Jicofo believe).

local array = require "util.array";
local json = require "util.json";
local st = require "util.stanza";
local uuid = require "util.uuid";

local avmoderation = module:require "teleconsult/avmoderation";
local occupancy = module:require "teleconsult/occupancy";

-- The nick that makes a stanza the focus's own, which alone clients obey.
local FOCUS_NICK = "focus";

local orders = {};

orders.av = avmoderation.new({
	st = st; encode = json.encode; array = array;
	address = module:get_option_string("teleconsult_av_moderation", "avmoderation." .. module.host:gsub("^[^.]+%.", ""));
	send = function (stanza) module:send(stanza); end;
});

-- Jicofo says the same; but only to a moderator who is in the call, and the service is not.
local function mute(room, occupant, medium)
	local focus = room.jid .. "/" .. FOCUS_NICK;
	module:send(st.iq({ type = "set"; id = uuid.generate(); from = focus; to = occupant.jid })
		:text_tag("mute", "true", {
			xmlns = "http://jitsi.org/jitmeet/" .. medium; jid = occupant.nick; actor = focus;
		}));
end

local function as_set(ids)
	local set = {};
	for _, id in ipairs(ids or {}) do set[id] = true; end
	return set;
end

local function is_meant(record, occupant, args, spared)
	if args.participant_id then return record.participant_id == args.participant_id; end
	return not spared[record.participant_id] and (args.moderators or occupant.role ~= "moderator");
end

function orders.mute(room, occupants, args)
	local spared, muted = as_set(args.except), 0;
	for nick, record in pairs(occupants.records) do
		local occupant = room:get_occupant_by_nick(nick);
		if occupant and is_meant(record, occupant, args, spared) then
			mute(room, occupant, args.media);
			muted = muted + 1;
		end
	end
	return { present = muted > 0; muted = muted };
end

function orders.unmute(room, occupants, args)
	local records = occupancy.of_participant(occupants, args.participant_id);
	if avmoderation.is_overtaken(occupants, args.version) then return { present = #records > 0 }; end
	if avmoderation.is_on(room, args.media) then
		avmoderation.remember(occupants, args.media, args.participant_id, true);
	end
	for _, record in ipairs(records) do
		orders.av:ask(room, args.media, room:get_occupant_by_nick(record.nick));
	end
	return { present = #records > 0 };
end

local function apply_allowed(room, occupants, medium)
	for nick, record in pairs(occupants.records) do
		local allowed = avmoderation.is_allowed(occupants, medium, record.participant_id);
		orders.av:allow(room, medium, room:get_occupant_by_nick(nick), allowed);
	end
end

function orders.av_moderation(room, occupants, args)
	if avmoderation.is_overtaken(occupants, args.version) then return { present = true }; end
	occupants.av_allowed = { audio = as_set(args.audio_allowed); video = as_set(args.video_allowed) };
	for _, medium in ipairs(avmoderation.MEDIA) do
		orders.av:switch(room, medium, args[medium], room.jid .. "/" .. FOCUS_NICK);
		if args[medium] then apply_allowed(room, occupants, medium); end
	end
	return { present = true };
end

return orders;
