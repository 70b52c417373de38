-- What a client is told when it is refused: "<code>: <English sentence>". The pages know the codes and have their own words.
-- Pure, but for the stanza builder that is handed in.

local text = module:require "teleconsult/text";

local refusal = {};

local XMLNS_FOCUS = "http://jitsi.org/protocol/focus";
local XMLNS_JITMEET = "http://jitsi.org/jitmeet";
local LONGEST_TEXT = 200; -- bytes of a sentence from outside

-- code = { sentence, number shown by Jitsi's web app for a refused conference request }
local KNOWN = {
	["already-recording"] = { "This session is being recorded already.", 409 };
	["already-connected"] = { "This link is already in use on another connection.", 409 };
	["banned"] = { "You were removed from this room.", 403 };
	["chat-not-allowed"] = { "You may not write in this session.", 403 };
	["consent-missing"] = { "Not everybody has agreed to be recorded.", 403 };
	["consent-refused"] = { "Somebody did not agree to be recorded.", 403 };
	["denied"] = { "You were not let into this session.", 403 };
	["end-not-allowed"] = { "You may not end this session.", 403 };
	["files-not-allowed"] = { "You may not share files in this session.", 403 };
	["full"] = { "The room is full.", 409 };
	["nick-change"] = { "A nickname cannot be changed during a session.", 403 };
	["nick-taken"] = { "This nickname is in use.", 409 };
	["no-conference"] = { "The room was not opened by an admitted conference request.", 403 };
	["no-knock"] = { "Nobody was told to wait here on this connection.", 403 };
	["not-admitted"] = { "Please wait until you are let in.", 403 };
	["not-gateway"] = { "Only the service itself gives this command.", 403 };
	["not-moderator"] = { "Only who moderates this room may do this.", 403 };
	["not-offered"] = { "This is not offered here.", 403 };
	["not-requested"] = { "Nobody asked for this recording.", 409 };
	["not-waiting"] = { "This person does not wait.", 404 };
	["no-token"] = { "A token of this service is needed.", 401 };
	["recording-not-allowed"] = { "You may not ask for a recording of this session.", 403 };
	["removed"] = { "You were removed from this session.", 403 };
	["screen-not-allowed"] = { "You may not share your screen in this session.", 403 };
	["session-cancelled"] = { "This session was cancelled.", 410 };
	["session-ended"] = { "This session has ended.", 410 };
	["too-early"] = { "This session is not open yet.", 425 };
	["token-expired"] = { "The token has expired.", 401 };
	["unavailable"] = { "Admission cannot be checked at the moment.", 503 };
	["unknown-participant"] = { "Nobody by this link takes part in this session.", 403 };
	["unknown-room"] = { "There is no such room.", 404 };
	["waiting-for-host"] = { "Nobody who may open the room is there yet.", 403 };
	["wrong-room"] = { "The token is for another room.", 403 };
};
local UNKNOWN = { "You may not enter this room.", 403 };

function refusal.text(code, sentence)
	local known = KNOWN[code] or UNKNOWN;
	return code .. ": " .. (sentence and text.cut(sentence, LONGEST_TEXT) or known[1]);
end

function refusal.number(code)
	return (KNOWN[code] or UNKNOWN)[2];
end

-- To a join. Jitsi clients tell people about a full room only by this condition, and show the text of not-allowed.
local CONDITIONS = { ["full"] = "service-unavailable"; ["nick-taken"] = "conflict" };

-- Who has to wait is sent to the lobby, in the words of Jitsi's own: old clients look for its address beside the error, new
-- ones inside.
local function to_the_lobby(st, stanza, code, sentence, room_jid, lobby_jid)
	local reply = st.error_reply(stanza, "auth", "registration-required", refusal.text(code, sentence), room_jid);
	reply:get_child("error"):add_child(st.stanza("lobbyroom", { xmlns = XMLNS_JITMEET }):text(lobby_jid));
	reply:add_child(st.stanza("lobbyroom"):text(lobby_jid));
	return reply;
end

-- Whom another answer may come for a while later.
local WAITS = { ["not-admitted"] = true; ["consent-missing"] = true };

function refusal.may_wait(code)
	return WAITS[code] == true;
end

-- lobby_jid: nil without a lobby
function refusal.presence(st, stanza, code, sentence, room_jid, lobby_jid)
	if refusal.may_wait(code) and lobby_jid then return to_the_lobby(st, stanza, code, sentence, room_jid, lobby_jid); end
	local condition = CONDITIONS[code] or "not-allowed";
	return st.error_reply(stanza, "cancel", condition, refusal.text(code, sentence), room_jid);
end

-- To a conference request. Any other error makes Jitsi clients fail without showing a text (they look for this child).
function refusal.conference(st, stanza, code, sentence)
	local reply = st.error_reply(stanza, "cancel", "service-unavailable", refusal.text(code, sentence));
	local child = st.stanza("reservation-error", {
		xmlns = XMLNS_FOCUS; ["error-code"] = ("%d"):format(refusal.number(code));
	});
	reply:get_child("error"):add_child(child);
	return reply;
end

return refusal;
