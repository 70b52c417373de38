-- What a client in a call sends to the focus, to Jitsi's components and to others, judged by its person's permissions before
-- anybody acts on it; and what moderators' clients order there, told to the service. A client is shown under its token's name.
-- Load on: the main VirtualHost, with teleconsult_gate.   Events: pre-iq/*, pre-message/*, pre-presence/*.

local async = require "util.async";
local jid = require "util.jid";
local json = require "util.json";
local st = require "util.stanza";

local avmoderation = module:require "teleconsult/avmoderation";
local conduct = module:require "teleconsult/conduct";
local incall = module:require "teleconsult/incall";
local jibri = module:require "teleconsult/jibri";
local refusal = module:require "teleconsult/refusal";
local service = module:require "teleconsult/service";

-- Jitsi's own filters sit at 0.
local BEFORE_JITSI = 15;

local function room_of(who)
	local host = prosody.hosts[service.state.muc_host];
	local muc = who and host and host.modules.muc;
	return muc and muc.get_room_from_jid(jid.join(who.token_room, host.host)) or nil;
end

local function participant_at(room, occupant_jid)
	local record = occupant_jid and room.teleconsult.records[occupant_jid];
	return record and record.participant_id;
end

local deeds = {};

deeds["mute"] = function (stanza, room, node, by)
	local child = stanza.tags[1];
	local target = participant_at(room, child.attr.jid);
	if not target or child:get_text() ~= "true" then return; end
	conduct.tell_deed("participant.muted", node, room, by, {
		participant_id = target; media = incall.muted_medium(child);
	});
end

deeds["av-moderation"] = function (stanza, room, node, by)
	local attr = incall.child(stanza, "av_moderation").attr;
	local fields = { media = attr.mediaType };
	if fields.media ~= "audio" and fields.media ~= "video" then return; end
	if attr.enable then
		fields.on = attr.enable == "true";
		if room.teleconsult.av_allowed then room.teleconsult.av_allowed[fields.media] = nil; end
	else
		fields.participant_id = participant_at(room, attr.jidToWhitelist or attr.jidToBlacklist);
		fields.on = attr.jidToWhitelist ~= nil;
		if not fields.participant_id then return; end
		avmoderation.remember(room.teleconsult, fields.media, fields.participant_id, fields.on);
	end
	conduct.tell_deed("room.av_moderation", node, room, by, fields);
end

-- What the focus said to us, as if the client had heard it.
local function pass_on(session, stanza, answer)
	if answer and answer.attr.type == "result" then
		local child = answer:get_child("jibri", jibri.XMLNS);
		session.send(st.reply(stanza):tag("jibri", { xmlns = jibri.XMLNS; session_id = child and child.attr.session_id }));
		return;
	end
	local kind, condition = "wait", "remote-server-timeout";
	if answer then kind, condition = answer:get_error(); end
	session.send(st.error_reply(stanza, kind, condition));
end

-- The service decides with everybody in mind who is in the room, and the focus is then asked in this person's name.
local function record(session, stanza, room, occupant, by)
	local recording = service.state.recording;
	if not (recording and async.ready()) then return "unavailable"; end
	local code, text, answer = service.wait_for(function (done)
		recording.request(room, occupant.nick, { actor_id = by.participant_id }, done);
	end);
	if session.destroyed then return; end
	if code then
		session.send(st.error_reply(stanza, "auth", "forbidden", refusal.text(code, text)));
	else
		pass_on(session, stanza, answer);
	end
end

deeds["recording"] = function (_, room, node, by)
	if room.teleconsult.recording then conduct.tell_deed("recording.stop_asked", node, room, by, {}); end
end

local function refuse(session, stanza, room, who, code, act)
	conduct.tell_attempt(room and who.token_room or "", room, who, code, act, session.full_jid);
	session.send(st.error_reply(stanza, "auth", "forbidden", refusal.text(code)));
	return true;
end

local function on_act(session, stanza, act)
	local who = service.person_of(session);
	local room = room_of(who);
	local occupant, by;
	if room then occupant, by = conduct.inside(room, session.full_jid); end
	if act == "mute" and occupant and stanza.tags[1].attr.jid == occupant.nick then return; end -- anybody may mute themselves
	local code = incall.against(act, conduct.rights(occupant, by));
	if code then return refuse(session, stanza, room, who, code, act); end
	if act == "recording" and not jibri.stops(stanza.tags[1]) then
		code = record(session, stanza, room, occupant, by);
		return code and refuse(session, stanza, room, who, code, act) or true;
	end
	if deeds[act] and by then deeds[act](stanza, room, who.token_room, by); end
end

local function nick(name)
	return st.stanza("nick", { xmlns = "http://jabber.org/protocol/nick" }):text(name);
end

-- Nobody is taken for the doctor by calling themselves so.
local function show_true_name(event)
	local session, stanza = event.origin, event.stanza;
	if session.type ~= "c2s" or service.is_system(session.full_jid) then return; end
	local user = session.jitsi_meet_context_user;
	local name = type(user) == "table" and type(user.name) == "string" and user.name or "";
	incall.with_true_name(stanza, name, nick);
end

local function on_stanza(event)
	local session, stanza = event.origin, event.stanza;
	if session.type ~= "c2s" or service.is_system(session.full_jid) then return; end
	local act;
	if stanza.name == "iq" then act = incall.of_iq(stanza); else act = incall.of_message(stanza, json.decode); end
	if act then return on_act(session, stanza, act); end
end

for _, kind in ipairs({ "iq", "message" }) do
	for _, target in ipairs({ "host", "bare", "full" }) do
		module:hook("pre-" .. kind .. "/" .. target, on_stanza, BEFORE_JITSI);
	end
end
for _, kind in ipairs({ "presence", "message" }) do
	for _, target in ipairs({ "host", "bare", "full" }) do
		module:hook("pre-" .. kind .. "/" .. target, show_true_name, BEFORE_JITSI);
	end
end
