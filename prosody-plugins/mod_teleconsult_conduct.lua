-- What people do to each other inside a room: what is not theirs to do is refused where the MUC sees it first, and what
-- moderators' clients did is told to the service and lasts as if the service had been asked.
-- Load on: the MUC component, with teleconsult_room and teleconsult_control.
-- Events: muc-occupant-pre-join, muc-occupant-pre-change, muc-occupant-joined, muc-broadcast-presence, muc-set-affiliation.

local jid = require "util.jid";
local json = require "util.json";
local st = require "util.stanza";

local avmoderation = module:require "teleconsult/avmoderation";
local conduct = module:require "teleconsult/conduct";
local incall = module:require "teleconsult/incall";
local moderation = module:require "teleconsult/moderation";
local refusal = module:require "teleconsult/refusal";
local service = module:require "teleconsult/service";
module:depends "teleconsult_room";

-- muc-occupant-pre-join: teleconsult_room decides at -2 and appoints at -3.7.
local AFTER_THE_DECISION = -2.5;
-- teleconsult_room notes the join at 0.
local AFTER_THE_JOIN = -5;
local SENT_AWAY = { ["301"] = true; ["307"] = true }; -- XEP-0045: banned, kicked

local function node_of(room)
	return (jid.node(room.jid));
end

local function judge_presence(event, permissions, role)
	local origin, stanza, room = event.origin, event.stanza, event.room;
	local act = incall.of_presence(stanza, json.decode);
	local code = act and incall.against(act, permissions, role);
	if not code then return; end
	conduct.tell_attempt(node_of(room), room, service.person_of(origin), code, act, stanza.attr.from);
	origin.send(st.error_reply(stanza, "auth", "forbidden", refusal.text(code), room.jid));
	return true;
end

local function on_pre_join(event)
	if service.is_system(event.stanza.attr.from) then return; end
	local _, own = service.person_of(event.origin);
	return judge_presence(event, own.answer.permissions, event.occupant.role);
end

local function on_pre_change(event)
	if service.is_system(event.stanza.attr.from) or event.stanza.attr.type then return; end
	return judge_presence(event, conduct.rights(conduct.inside(event.room, event.stanza.attr.from)));
end

local function is_kick(x)
	for status in x:childtags("status") do
		if SENT_AWAY[status.attr.code] then return true; end
	end
	return false;
end

-- The moderator behind an act; nil for the focus, administrators and our own modules.
local function moderator_of(room, actor)
	if type(actor) ~= "string" or service.is_system(actor) then return nil; end
	local _, record = conduct.inside(room, actor);
	return record;
end

-- Who is put out by a moderator stays out, like who is removed over the API: their client would be back in a second.
local function on_presence(event)
	local room, occupant = event.room, event.occupant;
	if not occupant or occupant.role ~= nil or not is_kick(event.x) then return; end
	local by = moderator_of(room, event.actor);
	local record = room.teleconsult and room.teleconsult.records[occupant.nick];
	if not by or not record then return; end
	service.state.generation = service.state.generation + 1;
	if service.state.bans then service.state.bans:add(record.participant_id); end
	conduct.tell_deed("participant.kicked", node_of(room), room, by, { participant_id = record.participant_id });
end

local function with(permissions, name, value)
	local copy = {};
	for known, allowed in pairs(permissions) do copy[known] = allowed; end
	copy[name] = value;
	return copy;
end

local function on_affiliation(event)
	local room, is_owner = event.room, event.affiliation == "owner";
	local by = moderator_of(room, event.actor);
	if not by or is_owner == (event.previous_affiliation == "owner") then return; end
	for _, record in pairs(room.teleconsult.records) do
		if jid.bare(record.jid) == event.jid then
			record.policy.permissions = with(record.policy.permissions, "moderate", is_owner);
			conduct.tell_deed("participant.moderator", node_of(room), room, by, {
				participant_id = record.participant_id; on = is_owner;
			});
		end
	end
end

-- Jitsi's component tells newcomers what is moderated; who may speak all the same only we know.
local function on_joined(event)
	local room = event.room;
	if not room.teleconsult or not event.stanza or service.is_system(event.stanza.attr.from) then return; end
	local record = room.teleconsult.records[event.nick];
	for _, medium in ipairs(avmoderation.MEDIA) do
		if record and avmoderation.is_allowed(room.teleconsult, medium, record.participant_id) then
			moderation.av:allow(room, medium, event.occupant, true);
		end
	end
end

module:hook("muc-occupant-pre-join", on_pre_join, AFTER_THE_DECISION);
module:hook("muc-occupant-pre-change", on_pre_change);
module:hook("muc-broadcast-presence", on_presence);
module:hook("muc-set-affiliation", on_affiliation);
module:hook("muc-occupant-joined", on_joined, AFTER_THE_JOIN);
