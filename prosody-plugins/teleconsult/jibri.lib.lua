-- How recorders are asked for and what the focus says of them. Source of the stanzas: docs/stand-ins.md. Pure.

local jibri = {};

jibri.XMLNS = "http://jitsi.org/protocol/jibri";

local STATUS = { pending = true; on = true; off = true };
-- Conditions of Jicofo's errors.
local REASONS = {
	["resource-constraint"] = "busy";
	["service-unavailable"] = "no-recorder";
};

-- Whether a client asks for what nobody has agreed to: a broadcast, a telephone bridge. Without a mode Jicofo records a file.
function jibri.leaves_the_house(child)
	local attr = child.attr;
	return (attr.recording_mode or "file") ~= "file" or attr.streamid ~= nil or attr.sipaddress ~= nil;
end

function jibri.stops(child)
	return child.attr.action == "stop";
end

-- What an error of the focus means, in a word.
function jibri.reason(condition)
	return REASONS[condition] or "error";
end

-- A refusal code of the service, or one that says as much as that there is none.
function jibri.code(code)
	return type(code) == "string" and code:match("^[a-z][a-z%-]*$") and code or "unavailable";
end

-- What the focus' presence says of the recording, or nil.
function jibri.status(presence)
	local child = presence:get_child("jibri-recording-status", jibri.XMLNS);
	if not child or not STATUS[child.attr.status] then return nil; end
	return { status = child.attr.status; session_id = child.attr.session_id; failure = child.attr.failure_reason };
end

function jibri.same(one, other)
	return other ~= nil and one.status == other.status and one.session_id == other.session_id
		and one.failure == other.failure;
end

function jibri.set(list)
	local set = {};
	for _, item in ipairs(list) do set[item] = true; end
	return set;
end

-- Whether everybody who is there now was there before.
function jibri.covers(before, now)
	local known = jibri.set(before);
	for _, id in ipairs(now) do
		if id == "" or not known[id] then return false; end
	end
	return true;
end

-- What has overtaken an allowing answer while it was on its way: the word for the service, and the refusal code for who asked;
-- nil: nothing. given: alive (the room is still that one), stopped (a stop came), before and now (the people inside).
function jibri.overtaken(given)
	if not given.alive then return "unavailable", "no-conference"; end
	if given.stopped then return "stopped", "not-requested"; end
	if not jibri.covers(given.before, given.now) then return "newcomer", "consent-missing"; end
	return nil;
end

-- Why somebody who may need no token does not come in, or nil. The focus does, and a recorder while one is allowed; no other
-- account of an administrator, because behind one may be people whom nobody asks: callers on a telephone, for example.
-- who: is_system, is_recorder, is_focus; recording: of which a recorder may come in, or nil.
function jibri.keeps_out(who, recording)
	if who.is_recorder then return not recording and "recording-not-allowed" or nil; end
	return who.is_system and not who.is_focus and "no-token" or nil;
end

return jibri;
