-- What a client asks for inside a call beyond talking and writing, and whose it is. A Jitsi client shows a button or not;
-- this is what holds when it shows one too many. Source of the stanzas: docs/stand-ins.md. Pure.

local jibri = module:require "teleconsult/jibri";

local incall = {};

-- act = { the permission it takes (false: nobody has it), the refusal code }
local ACTS = {
	["mute"] = { "moderate", "not-moderator" };
	["av-moderation"] = { "moderate", "not-moderator" };
	["metadata"] = { "moderate", "not-moderator" };
	["breakout"] = { "moderate", "not-moderator" };
	["invite"] = { "moderate", "not-moderator" };
	["poll"] = { "moderate", "not-moderator" };
	["end"] = { "end_session", "end-not-allowed" };
	["screen"] = { "share_screen", "screen-not-allowed" };
	["files"] = { "share_files", "files-not-allowed" };
	["recording"] = { "request_recording", "recording-not-allowed" };
	["broadcast"] = { false, "not-offered" };
	["telephone"] = { false, "not-offered" };
	["transcription"] = { false, "not-offered" };
};

local XMLNS_MUTE = { audio = true; video = true; desktop = true };
local MESSAGES = {
	av_moderation = "av-moderation"; end_conference = "end"; room_metadata = "metadata"; breakout_rooms = "breakout";
	["file-sharing"] = "files"; audio_translation = "transcription";
};
local DEEPEST = 6; -- a source lies four below <jingle>

-- Why this is refused, or nil. Who moderates is said by the role in the room, where one moderator may have made another.
function incall.against(act, permissions, role)
	local permission, code = ACTS[act][1], ACTS[act][2];
	if permission == "moderate" then return role ~= "moderator" and code or nil; end
	return not (permission and permissions[permission]) and code or nil;
end

local function has_screen(element, depth)
	if element.attr.videoType == "desktop" then return true; end
	if depth == 0 then return false; end
	for _, child in ipairs(element.tags) do
		if has_screen(child, depth - 1) then return true; end
	end
	return false;
end

-- The medium a <mute> is about, or nil when it is none.
function incall.muted_medium(child)
	local medium = child.name == "mute" and (child.attr.xmlns or ""):match("^http://jitsi%.org/jitmeet/(%l+)$");
	return XMLNS_MUTE[medium] and medium or nil;
end

-- The act of an IQ, or nil.
function incall.of_iq(iq)
	local child = iq.tags[1];
	if not child or iq.attr.type == "result" or iq.attr.type == "error" then return nil; end
	local xmlns = child.attr.xmlns or "";
	if incall.muted_medium(child) then return "mute"; end
	if child.name == "jibri" then return jibri.leaves_the_house(child) and "broadcast" or "recording"; end
	if xmlns:match("^urn:xmpp:rayo:") then return "telephone"; end
	if child.name == "jingle" and has_screen(child, DEEPEST) then return "screen"; end
	return nil;
end

-- By name alone: Jitsi's clients give most of these no namespace, and its components do not look.
function incall.child(stanza, name)
	for _, child in ipairs(stanza.tags) do
		if child.name == name then return child; end
	end
end

local function makes_poll(content)
	return type(content) == "table" and (content.type == "new-poll" or content.command == "new-poll");
end

-- decode(text): JSON or nil
function incall.of_message(message, decode)
	if message.attr.type == "error" then return nil; end
	for _, child in ipairs(message.tags) do
		if MESSAGES[child.name] then return MESSAGES[child.name]; end
		if (child.name == "json-message" or child.name == "polls") and makes_poll(decode(child:get_text())) then
			return "poll";
		end
		if child.name == "x" and child.tags[1] and child.tags[1].name == "invite" then return "invite"; end
	end
	return nil;
end

local function shares_screen(sources)
	if type(sources) ~= "table" then return false; end
	for _, source in pairs(sources) do
		if type(source) == "table" and source.videoType == "desktop" and source.muted ~= true then return true; end
	end
	return false;
end

function incall.of_presence(presence, decode)
	for _, child in ipairs(presence.tags) do
		if child.name == "videoType" and child:get_text() == "desktop" then return "screen"; end
		if child.name == "SourceInfo" and shares_screen(decode(child:get_text())) then return "screen"; end
		if child.name == "jitsi_participant_requestingTranscription" and child:get_text() == "true" then
			return "transcription";
		end
	end
	return nil;
end

-- What clients show as somebody's name, wherever its sender puts it. Jitsi's clients look at the element's name only.
local NAMES = { nick = true; ["display-name"] = true; identity = true };

-- The stanza with the name its person has here, and no other; a message carries none. name: "" when the token says none.
function incall.with_true_name(stanza, name, make)
	return stanza:maptags(function (child)
		if not NAMES[child.name] then return child; end
		return child.name == "nick" and stanza.name == "presence" and name ~= "" and make(name) or nil;
	end);
end

return incall;
