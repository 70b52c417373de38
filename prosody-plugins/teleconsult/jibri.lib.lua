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

return jibri;
