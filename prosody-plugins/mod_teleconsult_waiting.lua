-- The room's half of the waiting room: Jitsi clients learn that there is a lobby, and a moderator's invitation from it is a
-- decision that the service takes. The other half is teleconsult_lobby.
-- Load on: the MUC component, with teleconsult_room.   Events: muc-disco#info, muc-occupant-joined, muc-pre-invite.
-- Options: those of service.lib.

local async = require "util.async";
local jid = require "util.jid";
local st = require "util.stanza";

local refusal = module:require "teleconsult/refusal";
local service = module:require "teleconsult/service";
local verdict = module:require "teleconsult/verdict";
module:depends "teleconsult_room";

local XMLNS_USER = "http://jabber.org/protocol/muc#user";
-- muc-occupant-joined: at 0 teleconsult_room uses the answer up.
local BEFORE_THE_RECORD = 5;
local AFTER_THE_RECORD = -5;
-- muc-pre-invite: at 0 the MUC asks for the inviter's affiliation.
local BEFORE_THE_MUC = 10;

local function tell_of_change(room)
	-- XEP-0045: 104, the room's configuration changed; clients then ask again what it is
	room:broadcast_message(st.message({ type = "groupchat"; from = room.jid })
		:tag("x", { xmlns = XMLNS_USER }):tag("status", { code = "104" }):up():up());
end

local function note_lobby(event)
	local _, own = service.person_of(event.origin or {});
	local answer = own and own.answer;
	local room = event.room;
	if not (answer and answer.allow) or answer.is_local or answer.waiting_room == room.teleconsult_has_lobby then return; end
	room.teleconsult_has_lobby = answer.waiting_room;
	-- whoever is the first asks what the room is after this, and there is nobody else to tell
	if room.teleconsult.count > 0 then tell_of_change(room); end
end

-- With a host in the room who was let in earlier need not wait for the next round of questions.
local function look_again(event)
	local record = event.room.teleconsult and event.room.teleconsult.records[event.nick];
	if record and record.policy.host and service.state.lobby then
		service.state.lobby.look(jid.node(event.room.jid));
	end
end

local function describe(event)
	local lobby_jid = event.room.teleconsult_has_lobby and service.lobby_of(event.room.jid);
	if not lobby_jid then return; end
	if not event.room:get_members_only() then event.reply:tag("feature", { var = "muc_membersonly" }):up(); end
	table.insert(event.form, { name = "muc#roominfo_lobbyroom"; label = "Lobby room"; value = "" });
	event.formdata["muc#roominfo_lobbyroom"] = lobby_jid;
end

local function forbid(event, code)
	local room, stanza = event.room, event.stanza;
	local who = service.person_of(event.origin);
	service.tell_refused(jid.node(room.jid), room, who, code, stanza.attr.from);
	event.origin.send(st.error_reply(stanza, "auth", "forbidden", refusal.text(code), room.jid));
	return true;
end

-- Jitsi lets somebody in by inviting them. The invitation itself opens nothing: it only makes their client try again.
local function on_invite(event)
	local room, stanza = event.room, event.stanza;
	if service.is_system(stanza.attr.from) then return; end
	local actor = verdict.moderator_in(room, stanza.attr.from);
	if not actor then return forbid(event, "not-moderator"); end
	local node, lobby = jid.node(room.jid), service.state.lobby;
	local invitee = jid.prep(stanza:get_child("x", XMLNS_USER):get_child("invite").attr.to);
	local record = lobby and lobby.find(node, invitee);
	if not record then return forbid(event, "not-waiting"); end
	if not async.ready() then return forbid(event, "unavailable"); end
	local problem = verdict.tell(service, node, actor, record.participant_id, "admitted");
	if problem then return forbid(event, problem); end
	lobby.look(node);
	return true;
end

module:hook("muc-occupant-joined", note_lobby, BEFORE_THE_RECORD);
module:hook("muc-occupant-joined", look_again, AFTER_THE_RECORD);
module:hook("muc-disco#info", describe);
module:hook("muc-pre-invite", on_invite, BEFORE_THE_MUC);
